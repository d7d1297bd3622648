/** A patient's results as a table: tests down, dates across, the newest first. Pure. */
import type { Instant, Order, Result, Test } from "../../store/documents";

/** The results of one order; `at`: when the first of them was measured. */
export interface Column {
  order_id: string;
  order_number: string | null;
  at: Instant;
}

export interface Cell {
  result: Result;
  /** Change against the value before it in percent; null without one to compare with. */
  delta: number | null;
  /** The change is beyond what the test allows. */
  isBeyond: boolean;
}

export interface Row {
  code: string;
  name: string;
  unit: string;
  discipline: string;
  /** By the order's id. */
  cells: Map<string, Cell>;
}

export interface Cumulative {
  columns: Column[];
  rows: Row[];
}

const SHOWN = new Set(["authorised", "held"]);

/** The newest version of each result that stands; names in the language. */
export function cumulative(results: Result[], orders: Order[], tests: Map<string, Test>, language: string): Cumulative {
  const standing = newest(results.filter(({ status }) => SHOWN.has(status)));
  const numbers = new Map(orders.map((order) => [order.id, order.order_number]));
  const columns = new Map<string, Column>();
  for (const { order_id, occurred_at } of standing) {
    const known = columns.get(order_id);
    const at = !known || occurred_at < known.at ? occurred_at : known.at;
    columns.set(order_id, { order_id, order_number: numbers.get(order_id) ?? null, at });
  }
  const byTest = new Map<string, Result[]>();
  for (const result of standing) byTest.set(result.test_code, [...(byTest.get(result.test_code) ?? []), result]);
  const rows = Array.from(byTest, ([code, list]) => row(code, list, tests.get(code), language));
  return {
    columns: [...columns.values()].sort((a, b) => Date.parse(b.at) - Date.parse(a.at)),
    rows: rows.sort((a, b) => a.discipline.localeCompare(b.discipline) || a.code.localeCompare(b.code)),
  };
}

/** One a test of an order: the highest version. */
function newest(results: Result[]): Result[] {
  const found = new Map<string, Result>();
  for (const result of results) {
    const known = found.get(result.order_test_id);
    if (!known || result.version > known.version) found.set(result.order_test_id, result);
  }
  return [...found.values()];
}

function row(code: string, results: Result[], test: Test | undefined, language: string): Row {
  const cells = new Map<string, Cell>();
  let before: Result | undefined;
  for (const result of oldestFirst(results)) {
    const delta = before ? change(before, result) : null;
    cells.set(result.order_id, { result, delta, isBeyond: delta !== null && beyond(delta, before, result, test) });
    if (isNumber(result)) before = result;
  }
  const said = test?.translations[language];
  const name = (typeof said === "string" ? said : said?.name) ?? test?.name ?? code;
  return { code, name, unit: results.at(-1)?.unit ?? "", discipline: test?.discipline ?? "", cells };
}

export function oldestFirst(results: Result[]): Result[] {
  return [...results].sort((a, b) => Date.parse(a.occurred_at) - Date.parse(b.occurred_at));
}

/** A plain number: no `<`, no word. */
export function isNumber({ value, comparator }: Result): boolean {
  return value !== null && !comparator;
}

function change(before: Result, after: Result): number | null {
  if (!isNumber(after) || before.unit !== after.unit || Number(before.value) === 0) return null;
  return Math.round(((Number(after.value) - Number(before.value)) / Math.abs(Number(before.value))) * 100);
}

function beyond(delta: number, before: Result | undefined, after: Result, test: Test | undefined): boolean {
  if (!before || !test?.delta_limit_percent || !test.delta_window_days) return false;
  const days = (Date.parse(after.occurred_at) - Date.parse(before.occurred_at)) / 86_400_000;
  return days <= test.delta_window_days && Math.abs(delta) > Number(test.delta_limit_percent);
}
