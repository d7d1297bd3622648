/** The technician's lines: one a test of a received specimen, from the local store alone. */
import type { Problem } from "../../api";
import type { Store } from "../../store/database";
import type { Order, Patient, Result, Specimen, Test } from "../../store/documents";
import { earlier } from "./history";

export interface Line {
  /** Of the ordered test. */
  id: string;
  code: string;
  order: Order;
  specimen: Specimen;
  patient: Patient | undefined;
  test: Test | undefined;
  due_at: string | null;
  /** The newest result that waits for somebody. */
  result: Result | undefined;
  /** Oldest first. */
  earlier: Result[];
  /** Why the server did not take what was done here last. */
  refused: Problem | undefined;
}

const RANK: Record<string, number> = { stat: 0, urgent: 1, routine: 2 };

/** The most urgent first, then by when they are due, then by specimen. */
export async function worklist(store: Store): Promise<Line[]> {
  const [orders, received, held, tests, refused] = await Promise.all([
    store.of("orders").where({ status: "placed" }).toArray(),
    store.of("specimens").where({ status: "received" }).toArray(),
    store.of("results").where({ status: "held" }).toArray(),
    store.of("tests").toArray(),
    refusals(store),
  ]);
  const specimens = new Map(received.map((one) => [one.id, one]));
  const known = new Map(tests.map((one) => [one.code, one]));
  const results = new Map(
    held.sort((one, other) => one.version - other.version).map((one) => [one.order_test_id, one]),
  );
  const patient_ids = [...new Set(orders.map(({ patient_id }) => patient_id))];
  const [patients, history] = await Promise.all([
    store.of("patients").bulkGet(patient_ids),
    historyOf(store, patient_ids),
  ]);
  const people = new Map(patients.flatMap((one) => (one ? [[one.id, one] as const] : [])));
  const lines = orders.flatMap((order) =>
    order.tests.flatMap(({ id, test_code, status, specimen_id, due_at }): Line[] => {
      const specimen = specimens.get(specimen_id ?? "");
      const result = results.get(id);
      if (!specimen || status === "cancelled" || (status !== "ordered" && !result)) return [];
      const of = { patient_id: order.patient_id, test_code, specimen_id };
      return [
        {
          id,
          code: test_code,
          order,
          specimen,
          patient: people.get(order.patient_id),
          test: known.get(test_code),
          due_at: due_at ?? order.due_at,
          result,
          earlier: earlier(
            history.get(order.patient_id) ?? [],
            of,
            result ? Date.parse(result.available_at) : Infinity,
          ),
          refused: refused.get(result?.id ?? "") ?? refused.get(id),
        },
      ];
    }),
  );
  return lines.sort(
    (one, other) =>
      (RANK[one.order.priority] ?? 3) - (RANK[other.order.priority] ?? 3) ||
      Date.parse(one.order.due_at ?? one.order.placed_at) - Date.parse(other.order.due_at ?? other.order.placed_at) ||
      one.specimen.id.localeCompare(other.specimen.id),
  );
}

/** Every result of these patients, by patient. */
export async function historyOf(store: Store, patient_ids: string[]): Promise<Map<string, Result[]>> {
  const found = new Map<string, Result[]>();
  await store
    .of("results")
    .where("patient_id")
    .anyOf(patient_ids)
    .each((one) => {
      found.set(one.patient_id, [...(found.get(one.patient_id) ?? []), one]);
    });
  return found;
}

/** The refusals that nobody has acknowledged, by what they are about: a result, or an ordered test. */
export async function refusals(store: Store): Promise<Map<string, Problem>> {
  const found = new Map<string, Problem>();
  for (const { body, problem } of await store.outbox.where({ state: "refused" }).toArray()) {
    const { result_ids, result_id, values } = body as {
      result_ids?: string[];
      result_id?: string;
      values?: { order_test_id: string }[];
    };
    const ids = [
      ...(result_ids ?? []),
      ...(result_id ? [result_id] : []),
      ...(values ?? []).map((one) => one.order_test_id),
    ];
    if (problem) for (const id of ids) found.set(id, problem);
  }
  return found;
}
