/** Who is signed in on this device, and the store and the sync loop that belong to them. */
import { signal } from "@preact/signals";
import { liveQuery } from "dexie";
import { request, server } from "../api";
import { Sync } from "../sync";
import { uuid7 } from "../uuid7";
import { Store, storeName } from "./database";
import type { Me } from "./documents";

/** A signed-in person. `me` follows the store. */
export interface Session {
  store: Store;
  me: Me;
}

/** null: nobody; undefined: not known yet. */
export const session = signal<Session | null | undefined>(undefined);

const CURRENT = "nidan:current";
const DEVICE = "nidan:device";
let sync: Sync | undefined;
let stop: (() => void) | undefined;

/** This device's id, made once. It names the device in the commands, and nobody. */
export function device(): string {
  const known = localStorage.getItem(DEVICE);
  if (known) return known;
  const made = uuid7();
  localStorage.setItem(DEVICE, made);
  return made;
}

/** Sign in. Throws `Refused` when the server says no, `Unreachable` without it. What waits in the store stays. */
export async function signIn(organization: string, username: string, password: string): Promise<void> {
  const { token } = await request<{ token: string }>("POST", "/v1/sessions", undefined, {
    organization,
    username,
    password,
  });
  const known = await request<Pick<Me, "user_id" | "username" | "full_name" | "permissions">>("GET", "/v1/me", token);
  const store = new Store(storeName(organization, username));
  const before = await store.me();
  await store.write("token", token);
  await store.of("me").put({
    roles: [],
    site_id: null,
    organization: { id: "", code: organization, name: organization, is_example: false },
    ...before,
    ...known,
    id: "me",
  });
  await store.write("sync", undefined);
  localStorage.setItem(CURRENT, store.name);
  await open(store);
}

/** Take up the session that this device had. */
export async function resume(): Promise<void> {
  const name = localStorage.getItem(CURRENT);
  if (!name) session.value = null;
  else await open(new Store(name));
}

/**
 * End the session here and at the server, and delete the local store: nothing personal stays on the device. Only then
 * is the next person asked to sign in.
 */
export async function signOut(): Promise<void> {
  const current = session.value;
  if (!current) return;
  const token = await current.store.read("token");
  await request("DELETE", "/v1/sessions/current", token).catch(() => undefined);
  leave();
  session.value = undefined;
  await current.store.delete();
  session.value = null;
}

/** The session has ended at the server: sign in again; what waits stays in the store. */
export function close(): void {
  leave();
  session.value = null;
}

function leave(): void {
  stop?.();
  localStorage.removeItem(CURRENT);
}

/** Something is to be sent, or may be fetched, at once. */
export function wake(): void {
  sync?.wake();
}

async function open(store: Store): Promise<void> {
  const [token, me] = [await store.read("token"), await store.me()];
  if (!token || !me) return close();
  stop?.();
  const ended = new AbortController();
  sync = new Sync(store, server(token), device());
  session.value = { store, me };
  const watched = liveQuery(() => store.me()).subscribe((now) => {
    if (now && !ended.signal.aborted) session.value = { store, me: now };
  });
  const outbox = liveQuery(() => store.outbox.where({ state: "waiting" }).count()).subscribe(() => wake());
  for (const event of ["online", "focus"]) addEventListener(event, wake, { signal: ended.signal });
  document.addEventListener("visibilitychange", wake, { signal: ended.signal });
  stop = () => {
    ended.abort();
    watched.unsubscribe();
    outbox.unsubscribe();
  };
  sync.lead(ended.signal);
}
