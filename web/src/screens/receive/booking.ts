/** What a scan at the laboratory's door means: a specimen to receive, or why not. */
import type { Store } from "../../store/database";
import type { Specimen } from "../../store/documents";

/** How long a number that is not known here is waited for: it may just have been given. */
const PATIENCE = 3_000;
const STEP = 150;

/** The specimen of this label; the server is asked for news when it is not known. Undefined: nobody knows it. */
export async function lookUp(store: Store, code: string, wake: () => void): Promise<Specimen | undefined> {
  let found = await find(store, code);
  const state = await store.read("sync");
  if (found || state?.state !== "online") return found;
  wake();
  for (let waited = 0; !found && waited < PATIENCE; waited += STEP) {
    await new Promise((resolve) => setTimeout(resolve, STEP));
    found = await find(store, code);
  }
  return found;
}

async function find(store: Store, code: string): Promise<Specimen | undefined> {
  const specimens = store.of("specimens");
  return (
    (await specimens.where({ accession_number: code }).first()) ??
    (await specimens.where({ accession_number: code.toUpperCase() }).first())
  );
}
