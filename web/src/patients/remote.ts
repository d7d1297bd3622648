/** Patients that the local store does not have: asked of the server, and put into the store. */
import { request } from "../api";
import type { Store } from "../store/database";
import type { Patient } from "../store/documents";
import type { Typed } from "./matching";
import { words } from "./spelling";

interface Hits {
  hits: Omit<Patient, "status">[];
}

/** Look for them; false when the server was not reached or would not say. What the store has already stays as it is. */
export async function search(store: Store, typed: Typed): Promise<boolean> {
  const asked = criteria(typed);
  const token = await store.read("token");
  if (!token || !asked.length) return true;
  try {
    const answers = await Promise.all(asked.map((one) => request<Hits>("POST", "/v1/patients/search", token, one)));
    await keep(
      store,
      answers.flatMap(({ hits }) => hits),
    );
    return true;
  } catch {
    return false;
  }
}

function criteria({ name, phone, uhid }: Typed): Record<string, string>[] {
  const found: Record<string, string>[] = [];
  if (uhid.length >= 4) found.push({ uhid });
  if (/^(\+91|0)?[6-9]\d{9}$/.test(phone.replace(/[\s()-]/g, ""))) found.push({ phone });
  if (words(name).some((word) => word.length >= 3)) found.push({ name });
  return found;
}

async function keep(store: Store, hits: Omit<Patient, "status">[]): Promise<void> {
  const patients = store.of("patients");
  await store.transaction("rw", patients, async () => {
    const known = new Set((await patients.bulkGet(hits.map(({ id }) => id))).map((one) => one?.id));
    const news = new Map(hits.filter(({ id }) => !known.has(id)).map((hit) => [hit.id, { ...hit, status: "active" }]));
    await patients.bulkPut([...news.values()]);
  });
}
