// Every text of the build once in Brotli and once in gzip, as small as they get; the API serves them as they lie.
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const folder = fileURLToPath(new URL("../dist", import.meta.url));
const texts = /\.(html|js|css|json|svg|txt|webmanifest)$/;

for (const name of await readdir(folder, { recursive: true })) {
  if (!texts.test(name)) continue;
  const text = await readFile(join(folder, name));
  await writeFile(
    join(folder, `${name}.br`),
    brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }),
  );
  await writeFile(join(folder, `${name}.gz`), gzipSync(text, { level: 9 }));
}
