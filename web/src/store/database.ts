/** The local store of one person at one laboratory: what the server sent, and what it has not been told yet. */
import { Dexie, type EntityTable, type Table } from "dexie";
import type { Command } from "../outbox";
import { INDEXES, type Kind, type Kinds, type Me } from "./documents";

/** What the server last said of a document that a waiting command has changed here; `null`: it knows of none. */
export interface Base {
  kind: Kind;
  id: string;
  document: Kinds[Kind] | null;
}

/** How the last exchange with the server went. */
export interface SyncState {
  state: "online" | "degraded" | "offline" | "signed_out";
  /** When the last pull ended well, milliseconds. */
  synced_at: number | null;
  /** Server's clock minus ours, milliseconds, as last seen. */
  clock_offset: number;
  /** What the server says is wrong (a problem's title), if it said so. */
  detail: string | null;
}

/** Single values, by key. */
export interface Meta {
  token: string;
  cursor: string;
  sync: SyncState;
}

export class Store extends Dexie {
  declare outbox: EntityTable<Command, "seq">;
  declare bases: Table<Base, [Kind, string]>;
  declare meta: Table<{ key: keyof Meta; value: unknown }, keyof Meta>;

  constructor(name: string) {
    super(name);
    this.version(1).stores({
      ...INDEXES,
      outbox: "++seq, &id, state",
      bases: "[kind+id]",
      meta: "key",
    });
  }

  /** The table of a kind. */
  of<K extends Kind>(kind: K): Table<Kinds[K], string> {
    return this.table(kind);
  }

  /** A single value, or undefined. */
  async read<K extends keyof Meta>(key: K): Promise<Meta[K] | undefined> {
    return (await this.meta.get(key))?.value as Meta[K] | undefined;
  }

  /** Keep a single value; undefined forgets it. */
  async write<K extends keyof Meta>(key: K, value: Meta[K] | undefined): Promise<void> {
    if (value === undefined) await this.meta.delete(key);
    else await this.meta.put({ key, value });
  }

  /** Who is signed in here, as far as it is known. */
  async me(): Promise<Me | undefined> {
    return this.of("me").get("me");
  }
}

/** The name of the store of a person at a laboratory. Codes and user names have no colon. */
export function storeName(organization: string, username: string): string {
  return `nidan:${organization.toLowerCase()}:${username.toLowerCase()}`;
}
