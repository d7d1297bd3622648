/** What today's work looks like besides the stages: who waits longest, whom to call, how much went by itself. */
import { businessDay } from "../../i18n/format";
import type { Store } from "../../store/database";
import type { Analyser } from "../../store/documents";
import { toCall } from "../calls/waiting";
import { type State, stateOf } from "../qc/state";

export interface Today {
  /** The received specimen that has waited longest for its results. */
  oldest: { accession: string | null; since: string } | null;
  /** Critical values in force of which nobody has been informed. */
  calls: number;
  released: number;
  automatic: number;
}

export async function today(store: Store): Promise<Today> {
  const [orders, specimens, calls, authorised] = await Promise.all([
    store.of("orders").where({ status: "placed" }).toArray(),
    store.of("specimens").where({ status: "received" }).toArray(),
    toCall(store),
    store.of("results").where("authorised_at").above(dayBefore()).toArray(),
  ]);
  const open = new Set(
    orders.flatMap(({ tests }) => tests.filter(({ status }) => status === "ordered").map((line) => line.specimen_id)),
  );
  const [oldest] = specimens
    .filter(({ id, received_at }) => open.has(id) && received_at !== null)
    .sort((one, other) => Date.parse(one.received_at ?? "") - Date.parse(other.received_at ?? ""));
  const day = businessDay();
  const released = authorised.filter((one) => one.authorised_at && businessDay(one.authorised_at) === day);
  return {
    oldest: oldest ? { accession: oldest.accession_number, since: oldest.received_at ?? "" } : null,
    calls: calls.length,
    released: released.length,
    automatic: released.filter((one) => one.is_automatic).length,
  };
}

export interface Line {
  analyser: Analyser;
  /** How many of its tests are in each state. */
  states: Map<State, number>;
  last_result: string | null;
  last_control: string | null;
}

/** Every analyser: its controls' states, and when it last measured a patient's specimen and a control. */
export async function analysers(store: Store): Promise<Line[]> {
  const [all, targets, controls, recent] = await Promise.all([
    store.of("analysers").toArray(),
    store.of("control_targets").toArray(),
    store.of("controls").toArray(),
    store.of("results").orderBy("available_at").reverse().limit(500).toArray(),
  ]);
  return all.map((analyser) => {
    const mine = controls.filter((one) => one.analyser_id === analyser.id);
    const tests = new Set(targets.filter((one) => one.analyser_id === analyser.id).map((one) => one.test_code));
    const states = new Map<State, number>();
    for (const test of tests) {
      const state = stateOf(
        mine.filter((one) => one.test_code === test),
        Date.now(),
      );
      states.set(state, (states.get(state) ?? 0) + 1);
    }
    return {
      analyser,
      states,
      last_result: recent.find((one) => one.analyser_id === analyser.id)?.available_at ?? null,
      last_control: latest(mine.map((one) => one.occurred_at)),
    };
  });
}

function latest(instants: string[]): string | null {
  return instants.reduce<string | null>(
    (last, one) => (last === null || Date.parse(one) > Date.parse(last) ? one : last),
    null,
  );
}

function dayBefore(): string {
  return new Date(Date.now() - 2 * 86_400_000).toISOString();
}
