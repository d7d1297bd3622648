/** How much waits at each stage of the work, and what is late. */
import type { Store } from "../../store/database";
import type { Order } from "../../store/documents";

export interface Stages {
  /** Orders with a test for which nothing was drawn. */
  to_collect: number;
  /** Specimens that were drawn and have not arrived. */
  to_receive: number;
  /** Specimens that are here, with a test that has no result. */
  to_measure: number;
  /** Held results that no second pair of eyes has seen. */
  to_verify: number;
  /** Held results, verified or not: what the pathologist's screen lists. */
  to_authorise: number;
  /** Parked values. */
  to_resolve: number;
}
export type Stage = keyof Stages;

export async function stages(store: Store): Promise<Stages> {
  const [orders, collected, received, held, parked] = await Promise.all([
    store.of("orders").where({ status: "placed" }).toArray(),
    store.of("specimens").where({ status: "collected" }).count(),
    store.of("specimens").where({ status: "received" }).primaryKeys(),
    store.of("results").where({ status: "held" }).toArray(),
    store
      .of("parked")
      .filter((one) => one.resolved_at === null)
      .count(),
  ]);
  const unmeasured = new Set(
    orders
      .flatMap(({ tests }) => tests)
      .filter(isOpen)
      .map((line) => line.specimen_id),
  );
  return {
    to_collect: orders.filter(({ tests }) => tests.some((line) => isOpen(line) && !line.specimen_id)).length,
    to_receive: collected,
    to_measure: received.filter((id) => unmeasured.has(id)).length,
    to_verify: held.filter((one) => one.verified_at === null).length,
    to_authorise: held.length,
    to_resolve: parked,
  };
}

export interface Late {
  order: Order;
  /** The codes of the tests that are missing. */
  open: string[];
  /** Milliseconds. */
  by: number;
}

/** Orders that should have been completed before now, the latest first, at most fifty. */
export async function overdue(store: Store, now: number): Promise<Late[]> {
  const orders = await store.of("orders").where({ status: "placed" }).toArray();
  return orders
    .filter((order) => order.due_at !== null && Date.parse(order.due_at) < now)
    .map((order) => ({
      order,
      open: order.tests
        .filter((line) => line.status !== "authorised" && line.status !== "cancelled")
        .map((line) => line.test_code),
      by: now - Date.parse(order.due_at ?? ""),
    }))
    .sort((one, other) => other.by - one.by)
    .slice(0, 50);
}

function isOpen({ status }: Order["tests"][number]): boolean {
  return status === "ordered";
}
