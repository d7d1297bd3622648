/** What an order costs and when it is due, what is drawn for it, and results beside each other. */
import { expect, test } from "vitest";
import { cap, containers, waiting } from "../src/screens/collect/containers";
import { cumulative } from "../src/screens/patient/cumulative";
import { standing } from "../src/screens/receive/sitting";
import { fitting, items, sum } from "../src/screens/register/choice";
import type { Panel, Test } from "../src/store/documents";
import { order, result } from "./laboratory";

function definition(code: string, name: string, what: Partial<Test> = {}): Test {
  return {
    id: code,
    code,
    name,
    translations: {},
    kind: "numeric",
    allowed_values: null,
    loinc: null,
    unit: "mg/dL",
    decimals: 0,
    specimen_type: "Serum",
    container: "SST 5 mL",
    discipline: "Chemistry",
    method: null,
    turnaround_minutes: 240,
    list_price: "80",
    reportable_low: null,
    reportable_high: null,
    delta_limit_percent: "30",
    delta_window_days: 30,
    is_restricted: false,
    is_example: true,
    ...what,
  };
}

const blood = { specimen_type: "Whole blood", container: "EDTA 3 mL", turnaround_minutes: 60 };
const tests = [
  definition("GLU", "Glucose", { translations: { hi: "ग्लूकोज़" } }),
  definition("HGB", "Haemoglobin", { ...blood, list_price: "90.50" }),
  definition("WBC", "Leukocytes", blood),
  definition("CULT", "Blood culture", {
    container: "Blood culture bottle",
    list_price: null,
    turnaround_minutes: 7200,
  }),
];
const byCode = new Map(tests.map((one) => [one.code, one]));
const panel: Panel = {
  id: "CBC",
  code: "CBC",
  name: "Complete blood count",
  translations: { hi: { name: "रक्त गणना" } },
  tests: ["HGB", "WBC"],
  list_price: "150",
  is_example: true,
};
const all = items(tests, [panel], "hi");
const choose = (...codes: string[]) => codes.flatMap((code) => all.find((item) => item.code === code) ?? []);

test.each([
  ["glu", ["GLU"]],
  ["ग्लू", ["GLU"]],
  ["cbc", ["CBC"]],
  ["blood", ["CBC", "CULT"]],
  ["blood cul", ["CULT"]],
  ["sugar", []],
])("%s finds %s", (typed, codes) => {
  expect(fitting(all, typed, new Set()).map(({ code }) => code)).toEqual(codes);
});

test("a panel is paid once, and what it contains is free", () => {
  const { lines, total, codes, minutes, unpriced } = sum(choose("HGB", "CBC", "GLU"), byCode);

  expect(lines.map(({ item, price, within }) => [item.code, price, within])).toEqual([
    ["HGB", 0, "CBC"],
    ["CBC", 15000, undefined],
    ["GLU", 8000, undefined],
  ]);
  expect([total, codes, minutes, unpriced]).toEqual([23000, ["HGB", "WBC", "GLU"], 240, 0]);
});

test("what has no price is said to have none, not to be free", () => {
  expect(sum(choose("CULT", "HGB"), byCode)).toMatchObject({ total: 9050, unpriced: 1, minutes: 7200 });
});

function placed(codes: string[], what = {}) {
  const lines = codes.map((test_code) => ({
    id: test_code,
    test_code,
    status: "ordered",
    specimen_id: null,
    due_at: null,
  }));
  return order({ tests: lines, ...what });
}

test("one container a type, in the order of draw, with the colour of its cap", () => {
  const needed = containers(placed(["WBC", "GLU", "HGB", "CULT"]), byCode);

  expect(needed.map(({ container, tests: codes }) => [cap(container), codes])).toEqual([
    ["culture", ["CULT"]],
    ["yellow", ["GLU"]],
    ["lavender", ["HGB", "WBC"]],
  ]);
});

test("the most urgent first, of the own site, while something is uncollected", () => {
  const orders = [
    placed(["GLU"], { id: "late" }),
    placed(["GLU"], { id: "stat", priority: "stat", placed_at: "2026-11-24T09:00:00+05:30" }),
    placed(["GLU"], { id: "elsewhere", site_id: "other" }),
    order({ id: "drawn", tests: [{ id: "t", test_code: "GLU", status: "ordered", specimen_id: "s1", due_at: null }] }),
  ];

  expect(waiting(orders, "site").map(({ id }) => id)).toEqual(["stat", "late"]);
});

test("results stand beside those before, newest version first, with the change", () => {
  const before = {
    order_id: "o1",
    order_test_id: "t1",
    status: "authorised",
    occurred_at: "2026-11-20T09:00:00+05:30",
  };
  const after = { order_id: "o2", order_test_id: "t2", status: "authorised" };
  const table = cumulative(
    [
      result(1, { ...before, value: "92", value_text: "92", status: "superseded" }),
      result(2, { ...before, value: "100", value_text: "100", version: 2 }),
      result(3, { ...after, value: "150", value_text: "150", flag: "H" }),
      result(4, { ...after, order_test_id: "t3", test_code: "HGB", value: null, value_text: "<5", comparator: "<" }),
    ],
    [order({ id: "o1" })],
    byCode,
    "hi",
  );

  expect(table.columns.map(({ order_id }) => order_id)).toEqual(["o2", "o1"]);
  const glucose = table.rows.find(({ code }) => code === "GLU");
  expect(glucose?.name).toBe("ग्लूकोज़");
  expect(glucose?.cells.get("o1")).toMatchObject({ delta: null, result: { value_text: "100" } });
  expect(glucose?.cells.get("o2")).toMatchObject({ delta: 50, isBeyond: true });
  expect(table.rows.find(({ code }) => code === "HGB")?.cells.get("o2")).toMatchObject({ delta: null });
});

test("a scan whose refusal was read elsewhere does not count as received", () => {
  const scan = { key: 0, code: "26-1", at: 0, command: "c", received_at: "2026-11-24T09:00:00.123Z" };
  const ours = { status: "received", received_at: "2026-11-24T14:30:00.123000+05:30" };
  expect(standing(scan, undefined, ours)).toBe("received");
  expect(standing(scan, undefined, { status: "received", received_at: "2026-11-24T08:00:00Z" })).toBe("refused");
  expect(standing(scan, undefined, { status: "collected", received_at: null })).toBe("refused");
  expect(standing(scan, undefined, { status: "rejected", received_at: null })).toBe("refused");
  expect(standing(scan, undefined, { ...ours, status: "rejected" })).toBe("rejected");
  expect(standing(scan, undefined, undefined)).toBeNull();
});
