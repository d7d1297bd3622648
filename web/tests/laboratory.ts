/** A local store and a server in small: it does each command once, keeps its answers, and sends whole documents. */
import { type Answer, type Pulled, type Pushed, type Sent, type Server, Unreachable } from "../src/api";
import { Store } from "../src/store/database";
import type { Kind, Kinds, Order, Result, Specimen } from "../src/store/documents";
import { KINDS } from "../src/store/documents";

let made = 0;

export function newStore(): Store {
  made += 1;
  return new Store(`test:${made}`);
}

export type Documents = { [K in Kind]?: Kinds[K][] };

/** Every document of the store, as it is shown, by kind. */
export async function documents(store: Store): Promise<Record<string, unknown[]>> {
  const found = await Promise.all(KINDS.map(async (kind) => [kind, await store.of(kind).toArray()] as const));
  return Object.fromEntries(found.filter(([, list]) => list.length > 0));
}

export function specimen(number: number, what: Partial<Specimen> = {}): Specimen {
  return {
    id: `s${number}`,
    accession_number: `26-${number}`,
    order_id: "o1",
    patient_id: "p1",
    site_id: "site",
    specimen_type: "serum",
    container: "yellow",
    status: "collected",
    collected_at: "2026-11-24T08:00:00+05:30",
    received_at: null,
    rejected_at: null,
    rejection_reason: null,
    ...what,
  };
}

export function order(what: Partial<Order> = {}): Order {
  return {
    id: "o1",
    order_number: "26-O-1",
    patient_id: "p1",
    site_id: "site",
    priority: "routine",
    status: "placed",
    placed_at: "2026-11-24T08:00:00+05:30",
    due_at: "2026-11-24T12:00:00+05:30",
    completed_at: null,
    report_language: "en",
    tests: [{ id: "t1", test_code: "GLU", status: "ordered", specimen_id: null, due_at: null }],
    ...what,
  };
}

export function result(number: number, what: Partial<Result> = {}): Result {
  return {
    id: `r${number}`,
    order_id: "o1",
    order_test_id: `t${number}`,
    patient_id: "p1",
    specimen_id: "s1",
    test_code: "GLU",
    value: "92",
    value_text: "92",
    comparator: null,
    unit: "mg/dL",
    flag: "normal",
    reference_low: "70",
    reference_high: "99",
    critical_low: "40",
    critical_high: "450",
    status: "held",
    version: 1,
    corrects_id: null,
    reasons: [],
    evidence: {},
    risk: null,
    is_automatic: false,
    entry: "instrument",
    analyser_id: null,
    entered_by_id: null,
    verified_by_id: null,
    verified_at: null,
    authorised_by_id: null,
    authorised_at: null,
    occurred_at: "2026-11-24T09:00:00+05:30",
    available_at: "2026-11-24T09:00:01+05:30",
    ...what,
  };
}

const NOW = "2026-11-24T14:00:00+05:30";

/** The server. It knows specimens, and two commands of theirs. */
export class SmallServer implements Server {
  readonly specimens = new Map<string, Specimen>();
  readonly answers = new Map<string, Answer>();
  /** The ids of the commands in the order in which they were done. */
  readonly done: string[] = [];
  /** Lose the answer of the next pushes after they were done. */
  cut = 0;
  /** Do not be there for the next calls. */
  away = 0;

  constructor(list: Specimen[]) {
    for (const one of list) this.specimens.set(one.id, one);
  }

  async push(commands: Sent[]): Promise<Pushed> {
    if (this.away-- > 0) throw new Unreachable("away");
    const answers = commands.map((command) => this.#answer(command));
    if (this.cut-- > 0) throw new Unreachable("cut");
    return { answers, server_time: NOW };
  }

  async pull(cursor: string | undefined): Promise<Pulled> {
    if (this.away-- > 0) throw new Unreachable("away");
    const all = structuredClone([...this.specimens.values()]);
    return {
      cursor: "now",
      reset: cursor === undefined,
      documents: { specimens: all },
      gone: {},
      more: false,
      server_time: NOW,
    };
  }

  #answer(command: Sent): Answer {
    const known = this.answers.get(command.id);
    if (known) return known;
    const answer = this.#do(command);
    this.answers.set(command.id, answer);
    return answer;
  }

  #do({ id, name, body }: Sent): Answer {
    const { accession_number, received_at, rejected_at, reason } = body as Record<string, string>;
    const found = [...this.specimens.values()].find((one) => one.accession_number === accession_number);
    const receiving = name === "specimens.receive";
    const may = receiving ? found?.status === "collected" : found && found.status !== "rejected";
    if (!found || !may) return { id, status: 409, reply: problem("specimen-not-receivable") };
    const what: Partial<Specimen> = receiving
      ? { status: "received", received_at: received_at ?? null }
      : { status: "rejected", rejected_at: rejected_at ?? null, rejection_reason: reason ?? null };
    this.specimens.set(found.id, { ...found, ...what });
    this.done.push(id);
    return { id, status: 200, reply: { id: found.id } };
  }
}

export function problem(slug: string, status = 409) {
  return { type: `https://docs.lims.example/errors/${slug}`, title: slug, status, detail: "Look and try again." };
}
