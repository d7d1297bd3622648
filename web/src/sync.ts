/** Keeps the local store and the server together: sends what is due, fetches what changed. One tab does it for all. */
import { type Answer, Refused, type Sent, type Server, Unreachable } from "./api";
import { bringIn, type Command, nextDue, settle, take } from "./outbox";
import type { Store, SyncState } from "./store/database";

const PULL_EVERY = 5_000;
const PULL_HIDDEN = 60_000;
const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 60_000;
const BATCH = 50;

/** How long to wait after so many failures in a row: twice as long each time, with chance, so that clients spread. */
export function pause(failures: number, chance: number = Math.random()): number {
  const longest = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (failures - 1));
  return longest / 2 + (longest / 2) * chance;
}

/** Send everything that is due, in order. True when something was sent. Throws when the server cannot go on. */
export async function push(store: Store, server: Server, device: string): Promise<boolean> {
  for (let sent = false; ; sent = true) {
    const due = await take(store, BATCH);
    if (!due.length) return sent;
    const { answers } = await server.push(due.map((command) => asSent(command, device)));
    await settle(store, answers);
    const stuck = answers.find(isNoAnswer);
    if (stuck) throw new Refused(stuck.reply as Refused["problem"]);
    if (answers.length < due.length) throw new Unreachable("some commands were not answered");
  }
}

function asSent({ id, name, body, made_at }: Command, device: string): Sent {
  return { id, name, body, made_at, device };
}

function isNoAnswer({ status }: Answer): boolean {
  return status >= 500 || status === 401 || status === 429;
}

/** Fetch what changed since the last time, page by page. The server's clock minus ours, milliseconds. */
export async function pull(store: Store, server: Server): Promise<number> {
  for (;;) {
    // what was answered before we ask is in what we get
    const applied = await store.outbox.where({ state: "applied" }).toArray();
    const page = await server.pull(await store.read("cursor"));
    await bringIn(store, page, page.more ? [] : applied.map((command) => command.id));
    await store.write("cursor", page.cursor);
    if (!page.more) return Date.parse(page.server_time) - Date.now();
  }
}

/** What a failed exchange says of the state. */
export function stateAfter(failure: unknown): Pick<SyncState, "state" | "detail"> {
  if (!(failure instanceof Refused)) return { state: "offline", detail: null };
  const state = failure.problem.status === 401 ? "signed_out" : "degraded";
  return { state, detail: failure.problem.title };
}

/** The loop of the leading tab. It ends with `signal`, or when the session has ended. */
export class Sync {
  #wake: () => void = () => {};
  #failures = 0;

  constructor(
    readonly store: Store,
    readonly server: Server,
    readonly device: string,
  ) {}

  /** Lead as soon as no other tab does, until told to stop. */
  async lead(signal: AbortSignal): Promise<void> {
    try {
      await navigator.locks.request(`${this.store.name}:sync`, { signal }, () => this.run(signal));
    } catch (failure) {
      // told to stop in the middle of an exchange: the store may be gone already
      if (!signal.aborted) throw failure;
    }
  }

  /** Do not wait for the next turn: a command was made, the network is back, the page is looked at. */
  wake(): void {
    this.#wake();
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const state = await this.once();
      if (state === "signed_out") return;
      await this.#rest(await this.#untilNext(), signal);
    }
  }

  /** One exchange; the state after it, also kept in the store for the other tabs. */
  async once(): Promise<SyncState["state"]> {
    const before = await this.store.read("sync");
    let next: SyncState;
    try {
      await push(this.store, this.server, this.device);
      const clock_offset = await pull(this.store, this.server);
      this.#failures = 0;
      next = { state: "online", synced_at: Date.now(), clock_offset, detail: null };
    } catch (failure) {
      this.#failures += 1;
      next = { synced_at: null, clock_offset: 0, ...before, ...stateAfter(failure) };
    }
    await this.store.write("sync", next);
    return next.state;
  }

  async #untilNext(): Promise<number> {
    if (this.#failures) return pause(this.#failures);
    const due = await nextDue(this.store);
    const quiet = document.visibilityState === "visible" ? PULL_EVERY : PULL_HIDDEN;
    return due === undefined ? quiet : Math.min(quiet, Math.max(0, due - Date.now()));
  }

  #rest(milliseconds: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        this.#wake = () => {};
        resolve();
      };
      const timer = setTimeout(done, milliseconds);
      signal.addEventListener("abort", done);
      this.#wake = done;
    });
  }
}
