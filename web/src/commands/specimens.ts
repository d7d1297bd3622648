import type { Order, Specimen, Test } from "../store/documents";
import { type Definition, UNDO_SECONDS, type Written, written } from "./definition";

export interface CollectSpecimens {
  order_id: string;
  collected_at: string;
  /** Accession numbers that stand on containers already; the others get the laboratory's next. */
  labels: { container: string; accession_number: string }[];
}
export interface ReceiveSpecimen {
  accession_number: string;
  received_at: string;
}
export interface RejectSpecimen {
  accession_number: string;
  reason: string;
  rejected_at: string;
}

/**
 * One specimen a container and type; without a label it has no accession number until the server gives it.
 * `test_codes`: of the order.
 */
export const specimensCollect: Definition<CollectSpecimens, { test_codes: string[] }> = {
  permission: "specimen:collect",
  undoSeconds: 0,
  touches: (body, hints) => [
    { kind: "orders", where: { id: body.order_id } },
    ...hints.test_codes.map((code) => ({ kind: "tests" as const, where: { id: code } })),
  ],
  effect: (found, body, made) => {
    const [order] = (found[0] ?? []) as Order[];
    if (!order) return [];
    const tests = new Map((found.slice(1).flat() as Test[]).map((test) => [test.code, test]));
    const drawn = new Map<string, Specimen>();
    const labelled = new Map(body.labels.map((label) => [label.container, label.accession_number]));
    const lines = order.tests.map((line) => {
      const test = tests.get(line.test_code);
      if (!test || line.specimen_id || line.status === "cancelled") return line;
      const id = `${made.id}:${test.specimen_type}:${test.container}`;
      drawn.set(id, {
        id,
        accession_number: labelled.get(test.container) ?? null,
        order_id: order.id,
        patient_id: order.patient_id,
        site_id: order.site_id,
        specimen_type: test.specimen_type,
        container: test.container,
        status: "collected",
        collected_at: body.collected_at,
        received_at: null,
        rejected_at: null,
        rejection_reason: null,
      });
      return { ...line, specimen_id: id };
    });
    return [
      written("orders", { ...order, tests: lines }),
      ...Array.from(drawn.values(), (specimen) => written("specimens", specimen)),
    ];
  },
};

export const specimensReceive: Definition<ReceiveSpecimen> = {
  permission: "specimen:receive",
  undoSeconds: 0,
  touches: (body) => [{ kind: "specimens", where: { accession_number: body.accession_number } }],
  effect: (found, body) => changed(found, { status: "received", received_at: body.received_at }),
};

export const specimensReject: Definition<RejectSpecimen> = {
  permission: "specimen:reject",
  undoSeconds: UNDO_SECONDS,
  touches: (body) => [{ kind: "specimens", where: { accession_number: body.accession_number } }],
  effect: (found, body) =>
    changed(found, { status: "rejected", rejected_at: body.rejected_at, rejection_reason: body.reason }),
};

function changed(found: unknown[][], what: Partial<Specimen>): Written[] {
  return (found.flat() as Specimen[]).map((specimen) => written("specimens", { ...specimen, ...what }));
}
