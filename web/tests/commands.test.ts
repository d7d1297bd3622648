import { expect, test } from "vitest";
import { COMMANDS, issue } from "../src/commands";
import { bringIn } from "../src/outbox";
import type { Test } from "../src/store/documents";
import { newStore, order, result } from "./laboratory";

const AT = "2026-11-24T10:00:00+05:30";
const glucose = { id: "GLU", code: "GLU", unit: "mg/dL", specimen_type: "serum", container: "yellow", loinc: "2345-7" };

async function filled() {
  const store = newStore();
  const documents = {
    orders: [order()],
    results: [result(1), result(2, { status: "authorised" })],
    tests: [glucose as unknown as Test],
  };
  await bringIn(store, { reset: true, documents, gone: {} }, []);
  return store;
}

test("every command has a permission and waits only where it can be undone", () => {
  const waiting = Object.entries(COMMANDS).filter(([, { undoSeconds }]) => undoSeconds > 0);
  expect(waiting.map(([name]) => name).sort()).toEqual([
    "parked.set_aside",
    "results.authorise",
    "results.correct",
    "results.reject",
    "specimens.reject",
  ]);
  for (const { permission } of Object.values(COMMANDS)) expect(permission).toMatch(/^[a-z]+:[a-z]+$/);
});

test("an order for panels has their tests, once each", async () => {
  const store = await filled();
  const panel = { id: "LFT", code: "LFT", name: "", translations: {}, tests: ["ALT", "AST"], list_price: null };
  await bringIn(store, { reset: false, documents: { panels: [{ ...panel, is_example: true }] }, gone: {} }, []);

  await issue(store, "orders.place", {
    id: "o2",
    patient_id: "p1",
    site_id: "site",
    priority: "stat",
    tests: ["GLU", "ALT"],
    panel_codes: ["LFT"],
  });

  const placed = await store.of("orders").get("o2");
  expect(placed?.tests.map(({ test_code }) => test_code)).toEqual(["GLU", "ALT", "AST"]);
  expect(placed).toMatchObject({ order_number: null, status: "placed", priority: "stat" });
});

test("drawing makes one specimen a container and names it on the order", async () => {
  const store = await filled();

  await issue(store, "specimens.collect", { order_id: "o1", collected_at: AT, labels: [] }, { test_codes: ["GLU"] });

  const [drawn, ...more] = await store.of("specimens").toArray();
  expect(more).toEqual([]);
  expect(drawn).toMatchObject({ accession_number: null, container: "yellow", status: "collected" });
  expect((await store.of("orders").get("o1"))?.tests[0]?.specimen_id).toBe(drawn?.id);
});

test("an entered value is held, without a flag of ours", async () => {
  const store = await filled();

  await issue(
    store,
    "results.enter",
    { values: [{ order_test_id: "t1", value_text: "5.40" }], measured_at: AT },
    { order_ids: ["o1"], test_codes: ["GLU"] },
  );

  const entered = await store
    .of("results")
    .filter(({ entry }) => entry === "manual")
    .first();
  expect(entered).toMatchObject({ status: "held", value: "5.40", unit: "mg/dL", flag: null, order_test_id: "t1" });
});

test("authorising leaves alone what is not held", async () => {
  const store = await filled();

  const command = await issue(store, "results.authorise", { result_ids: ["r1", "r2"] });

  expect(await store.of("results").get("r1")).toMatchObject({ status: "authorised", pending: command.id });
  expect(await store.of("results").get("r2")).toEqual(result(2, { status: "authorised" }));
});

test("a correction is a new version that points to the old one", async () => {
  const store = await filled();

  await issue(store, "results.correct", { result_id: "r2", value_text: "88", reason: "transcription", comment: null });

  const corrected = await store
    .of("results")
    .filter(({ corrects_id }) => corrects_id === "r2")
    .first();
  expect(corrected).toMatchObject({ version: 2, value_text: "88", status: "held" });
  expect(await store.of("results").get("r2")).toMatchObject({ status: "superseded", value_text: "92" });
});
