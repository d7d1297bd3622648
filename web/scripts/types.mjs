// The API's types, from the document that the application publishes. Generated at every build, never committed.
import { mkdir, writeFile } from "node:fs/promises";
import openapi, { astToString } from "openapi-typescript";

const document = new URL("../../docs/reference/openapi.json", import.meta.url);
const folder = new URL("../src/generated/", import.meta.url);

await mkdir(folder, { recursive: true });
await writeFile(new URL("api.ts", folder), astToString(await openapi(document)));
