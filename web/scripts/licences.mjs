// The licences of what the build contains, in one text beside it.
import { readdir, readFile, writeFile } from "node:fs/promises";

const folder = new URL("../", import.meta.url);
const { dependencies } = JSON.parse(await readFile(new URL("package.json", folder), "utf8"));
const parts = [];
for (const name of Object.keys(dependencies).sort()) {
  const home = new URL(`node_modules/${name}/`, folder);
  const { version, license } = JSON.parse(await readFile(new URL("package.json", home), "utf8"));
  const file = (await readdir(home)).find((one) => /^(licen[cs]e|mit-license)/i.test(one));
  const text = file ? await readFile(new URL(file, home), "utf8") : license;
  parts.push(`${name} ${version}\n\n${text.trim()}\n`);
}
await writeFile(new URL("dist/licences.txt", folder), parts.join(`\n${"-".repeat(72)}\n\n`));
