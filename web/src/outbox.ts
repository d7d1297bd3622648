/**
 * Commands that wait for the server, and their effects on the local documents.
 *
 * A document that a waiting command has changed has its *base* kept: what the server last said of it. The documents
 * shown are always the bases with the effects of the waiting commands put on, in their order. So taking a command out,
 * by undo or by refusal, restores exactly what would be there without it.
 */
import type { Answer, Problem } from "./api";
import { definition, type Made, type Reference, type Written } from "./commands";
import type { Store } from "./store/database";
import { KINDS, type Kind, type Kinds } from "./store/documents";
import { uuid7 } from "./uuid7";

/**
 * - waiting: not sent, or sent without an answer that reached us
 * - applied: the server has done it; its documents are on their way
 * - refused: the server said no; stays until a person has read why
 */
export type CommandState = "waiting" | "applied" | "refused";

export interface Command {
  seq: number;
  id: string;
  name: string;
  body: unknown;
  /** Where the effect looks for documents that the body does not name. Never sent. */
  hints: unknown;
  made_at: string;
  state: CommandState;
  /** Not before this instant, milliseconds: until then it can be undone. */
  send_after: number;
  /** How often it was sent. */
  attempts: number;
  /** What the server answered, if it did. */
  reply?: unknown;
  problem?: Problem;
}

/** Put a command in the outbox and its effect on the documents, in one transaction. */
export async function issue(store: Store, name: string, body: unknown, hints: unknown = null): Promise<Command> {
  const now = Date.now();
  const command: Omit<Command, "seq"> = {
    id: uuid7(now),
    name,
    body,
    hints,
    made_at: new Date(now).toISOString(),
    state: "waiting",
    send_after: now + definition(name).undoSeconds * 1000,
    attempts: 0,
  };
  return change(store, async () => {
    const seq = await store.outbox.add(command);
    await apply(store, { ...command, seq });
    return { ...command, seq };
  });
}

/** Take a command out that was not sent yet. False when it is too late. */
export async function undo(store: Store, id: string): Promise<boolean> {
  return change(store, async () => {
    const command = await store.outbox.get({ id });
    if (command?.state !== "waiting" || command.attempts > 0) return false;
    await store.outbox.delete(command.seq);
    await rebase(store);
    return true;
  });
}

/** A person has read why the command was refused. */
export async function acknowledge(store: Store, id: string): Promise<void> {
  await store.outbox
    .where({ id })
    .filter((command) => command.state === "refused")
    .delete();
}

/** Send a refused command once more: for one whose permission was given meanwhile. */
export async function sendAgain(store: Store, id: string): Promise<void> {
  await change(store, async () => {
    await store.outbox.where({ id }).modify((command) => {
      command.state = "waiting";
      command.send_after = Date.now();
      delete command.problem;
    });
    await rebase(store);
  });
}

/** The commands that are due, at most `limit`, marked as sent: urgent ones first, then the oldest up to one not due. */
export async function take(store: Store, limit: number, now: number = Date.now()): Promise<Command[]> {
  return store.transaction("rw", store.outbox, async () => {
    const { urgent, others } = await lanes(store);
    const later = others.findIndex((command) => command.send_after > now);
    const due = [...urgent, ...others.slice(0, later < 0 ? limit : later)].slice(0, limit);
    for (const command of due) {
      command.attempts += 1;
      await store.outbox.update(command.seq, { attempts: command.attempts });
    }
    return due;
  });
}

/** When the next command is due, milliseconds, or undefined when none waits. */
export async function nextDue(store: Store): Promise<number | undefined> {
  const { urgent, others } = await lanes(store);
  return (urgent[0] ?? others[0])?.send_after;
}

/** What waits, in order: what is urgent, which nothing holds up, and the rest, of which none overtakes another. */
async function lanes(store: Store): Promise<{ urgent: Command[]; others: Command[] }> {
  const waiting = await store.outbox.where({ state: "waiting" }).sortBy("seq");
  const isUrgent = (command: Command) => Boolean(definition(command.name).isUrgent);
  return { urgent: waiting.filter(isUrgent), others: waiting.filter((command) => !isUrgent(command)) };
}

/** Keep the server's answers. A refusal takes its effect back; 401 and 5xx are no answers to the command. */
export async function settle(store: Store, answers: Answer[]): Promise<void> {
  await change(store, async () => {
    let refused = false;
    for (const { id, status, reply } of answers) {
      if (status >= 200 && status < 300) {
        await store.outbox.where({ id }).modify({ state: "applied", reply });
      } else if (status >= 400 && status < 500 && status !== 401 && status !== 429) {
        await store.outbox.where({ id }).modify({ state: "refused", problem: reply as Problem });
        refused = true;
      }
    }
    if (refused) await rebase(store);
  });
}

/**
 * Bring in what the server says. `confirmed` are the applied commands that it certainly knows of (answered before the
 * pull began): their effects are replaced by the truth.
 */
export async function bringIn(
  store: Store,
  pulled: { reset: boolean; documents: { [K in Kind]?: Kinds[K][] }; gone: { [K in Kind]?: string[] } },
  confirmed: string[],
): Promise<void> {
  await change(store, async () => {
    await restore(store);
    for (const kind of KINDS) {
      const table = store.of(kind);
      if (pulled.reset) await table.clear();
      const documents = pulled.documents[kind];
      if (documents?.length) await table.bulkPut(documents as never);
      const gone = pulled.gone[kind];
      if (gone?.length) await table.bulkDelete(gone);
    }
    if (confirmed.length) await store.outbox.where("id").anyOf(confirmed).delete();
    await reapply(store);
  });
}

/** Run a change of documents and outbox, all or nothing. */
function change<T>(store: Store, work: () => Promise<T>): Promise<T> {
  return store.transaction("rw", store.tables, work);
}

/** The documents as the bases and the waiting commands make them. */
async function rebase(store: Store): Promise<void> {
  await restore(store);
  await reapply(store);
}

async function restore(store: Store): Promise<void> {
  for (const { kind, id, document } of await store.bases.toArray()) {
    if (document === null) await store.of(kind).delete(id);
    else await store.of(kind).put(document as never);
  }
  await store.bases.clear();
}

async function reapply(store: Store): Promise<void> {
  for (const command of await store.outbox.where("state").anyOf("waiting", "applied").sortBy("seq")) {
    await apply(store, command);
  }
}

async function apply(store: Store, command: Command): Promise<void> {
  const { touches, effect } = definition(command.name);
  const made: Made = { id: command.id, at: command.made_at, by: (await store.me())?.user_id ?? null };
  const found: Kinds[Kind][][] = [];
  for (const reference of touches(command.body, command.hints)) found.push(await find(store, reference));
  for (const written of effect(found, command.body, made)) await write(store, written, command.id);
}

async function find(store: Store, { kind, where }: Reference): Promise<Kinds[Kind][]> {
  return (await store.of(kind).where(where).toArray()) as Kinds[Kind][];
}

async function write(store: Store, { kind, id, document }: Written, command: string): Promise<void> {
  const known = await store.bases.get([kind, id]);
  if (!known) await store.bases.put({ kind, id, document: (await store.of(kind).get(id)) ?? null });
  if (document === null) await store.of(kind).delete(id);
  else await store.of(kind).put({ ...document, pending: command } as never);
}
