/** What waits for the pathologist, an order at a time, from the local store alone. */
import type { Problem } from "../../api";
import type { Store } from "../../store/database";
import type { Order, Patient, Result, Test } from "../../store/documents";
import { earlier, isCritical } from "../results/history";
import { historyOf, refusals } from "../results/worklist";

export interface Held {
  result: Result;
  test: Test | undefined;
  /** Oldest first. */
  before: Result[];
  refused: Problem | undefined;
}

export interface Waiting {
  order: Order;
  patient: Patient | undefined;
  held: Held[];
}

const RANK: Record<string, number> = { stat: 0, urgent: 1, routine: 2 };

/** Orders with held results: critical ones first, then by priority, then by when they are due. */
export async function waiting(store: Store): Promise<Waiting[]> {
  const [results, tests, refused] = await Promise.all([
    store.of("results").where({ status: "held" }).toArray(),
    store.of("tests").toArray(),
    refusals(store),
  ]);
  const patient_ids = [...new Set(results.map(({ patient_id }) => patient_id))];
  const [orders, patients, history] = await Promise.all([
    store.of("orders").bulkGet([...new Set(results.map(({ order_id }) => order_id))]),
    store.of("patients").bulkGet(patient_ids),
    historyOf(store, patient_ids),
  ]);
  const known = new Map(tests.map((one) => [one.code, one]));
  const people = new Map(patients.flatMap((one) => (one ? [[one.id, one] as const] : [])));
  const found = orders.flatMap((order): Waiting[] => {
    if (!order) return [];
    const held = results
      .filter(({ order_id }) => order_id === order.id)
      .sort((one, other) => one.test_code.localeCompare(other.test_code) || one.version - other.version)
      .map((result) => ({
        result,
        test: known.get(result.test_code),
        before: earlier(history.get(order.patient_id) ?? [], result, Date.parse(result.available_at)),
        refused: refused.get(result.id),
      }));
    return [{ order, patient: people.get(order.patient_id), held }];
  });
  return found.sort((one, other) => urgency(one) - urgency(other) || due(one) - due(other));
}

function urgency({ order, held }: Waiting): number {
  return (held.some(({ result }) => isCritical(result)) ? 0 : 10) + (RANK[order.priority] ?? 3);
}

function due({ order }: Waiting): number {
  return Date.parse(order.due_at ?? order.placed_at);
}

/** Released automatically since the day began, newest first. */
export async function released(store: Store, since: number): Promise<Result[]> {
  const found = await store
    .of("results")
    .where({ status: "authorised" })
    .filter((one) => one.is_automatic && Date.parse(one.available_at) >= since)
    .toArray();
  return found.sort((one, other) => Date.parse(other.available_at) - Date.parse(one.available_at)).slice(0, 200);
}
