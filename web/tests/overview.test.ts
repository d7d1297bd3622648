import { expect, test } from "vitest";
import { bringIn } from "../src/outbox";
import { toCall } from "../src/screens/calls/waiting";
import { stages } from "../src/screens/overview/stages";
import { today } from "../src/screens/overview/today";
import type { CriticalCall } from "../src/store/documents";
import { newStore, order, result } from "./laboratory";

const told: CriticalCall = {
  id: "c1",
  result_id: "r3",
  order_id: "o1",
  patient_id: "p1",
  called_at: "2026-11-24T10:00:00+05:30",
  called_by_id: "u1",
  outcome: "informed",
  informed: "Dr Example",
  read_back: true,
};

test("the overview counts what the screens behind its figures list", async () => {
  const store = newStore();
  const results = [
    result(1, { flag: "HH" }),
    result(2, { flag: "LL", status: "authorised", authorised_at: new Date().toISOString() }),
    result(3, { flag: "HH" }),
    result(4, { flag: "HH", entry: "import" }),
    result(5, { flag: "H", verified_at: "2026-11-24T10:00:00+05:30" }),
  ];
  const documents = { orders: [order()], results, critical_calls: [told] };
  await bringIn(store, { reset: true, documents, gone: {} }, []);

  const [day, work] = [await today(store), await stages(store)];

  expect(day.calls).toBe(2);
  expect((await toCall(store)).map((one) => one.result.id).sort()).toEqual(["r1", "r2"]);
  expect([work.to_verify, work.to_authorise]).toEqual([3, 4]);
});
