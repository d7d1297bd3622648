import type { components } from "../generated/api";
import type { Panel } from "../store/documents";
import { type Definition, written } from "./definition";

export type PlaceOrder = components["schemas"]["OrderIn"] & { id: string };

/** The order has no number until the server gives it one; its tests are those named and those of the panels, once each. */
export const ordersPlace: Definition<PlaceOrder> = {
  permission: "order:place",
  undoSeconds: 0,
  touches: (body) => (body.panel_codes ?? []).map((code) => ({ kind: "panels", where: { id: code } })),
  effect: (found, body, made) => {
    const panels = found.flat() as Panel[];
    const codes = new Set([...(body.tests ?? []), ...panels.flatMap((panel) => panel.tests)]);
    return [
      written("orders", {
        id: body.id,
        order_number: null,
        patient_id: body.patient_id,
        site_id: body.site_id,
        priority: body.priority ?? "routine",
        status: "placed",
        placed_at: body.placed_at ?? made.at,
        due_at: null,
        completed_at: null,
        report_language: body.language ?? null,
        tests: Array.from(codes, (code) => ({
          id: `${body.id}:${code}`,
          test_code: code,
          status: "ordered",
          specimen_id: null,
          due_at: null,
        })),
      }),
    ];
  },
};
