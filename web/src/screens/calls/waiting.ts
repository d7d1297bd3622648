/** Critical values of which nobody has been told, and the calls that were made. */
import type { Store } from "../../store/database";
import type { CriticalCall, Order, Patient, Result, Site, Test } from "../../store/documents";

export interface ToCall {
  result: Result;
  order: Order | undefined;
  patient: Patient | undefined;
  site: Site | undefined;
  test: Test | undefined;
  /** Tries that reached nobody. */
  tries: CriticalCall[];
}

/** As the server lists them: current ones, not imported, the longest wait first. */
export async function toCall(store: Store): Promise<ToCall[]> {
  const [critical, calls] = await Promise.all([
    store.of("results").where("flag").anyOf("LL", "HH").toArray(),
    store.of("critical_calls").toArray(),
  ]);
  const told = new Set(calls.filter(({ outcome }) => outcome === "informed").map(({ result_id }) => result_id));
  const wait = critical
    .filter(
      ({ id, status, entry }) => (status === "held" || status === "authorised") && entry !== "import" && !told.has(id),
    )
    .sort((one, other) => Date.parse(one.available_at) - Date.parse(other.available_at));
  const orders = await store.of("orders").bulkGet(wait.map(({ order_id }) => order_id));
  const patients = await store.of("patients").bulkGet(wait.map(({ patient_id }) => patient_id));
  const tests = await store.of("tests").bulkGet(wait.map(({ test_code }) => test_code));
  const sites = new Map((await store.of("sites").toArray()).map((one) => [one.id, one]));
  return wait.map((result, number) => ({
    result,
    order: orders[number],
    patient: patients[number],
    site: sites.get(orders[number]?.site_id ?? ""),
    test: tests[number],
    tries: calls.filter(({ result_id }) => result_id === result.id),
  }));
}

export interface Called {
  call: CriticalCall;
  result: Result | undefined;
  by: string | undefined;
}

/** The calls since a moment, newest first. */
export async function callsSince(store: Store, since: number): Promise<Called[]> {
  const calls = (await store.of("critical_calls").toArray())
    .filter(({ called_at }) => Date.parse(called_at) >= since)
    .sort((one, other) => Date.parse(other.called_at) - Date.parse(one.called_at));
  const results = await store.of("results").bulkGet(calls.map(({ result_id }) => result_id));
  const users = await store.of("users").bulkGet(calls.map(({ called_by_id }) => called_by_id));
  return calls.map((call, number) => ({ call, result: results[number], by: users[number]?.full_name }));
}
