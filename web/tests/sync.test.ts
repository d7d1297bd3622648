import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { Refused, Unreachable } from "../src/api";
import { issue } from "../src/commands";
import { pause, pull, push, Sync, stateAfter } from "../src/sync";
import { newStore, problem, SmallServer, specimen } from "./laboratory";

const body = { accession_number: "26-1", received_at: "2026-11-24T10:00:00+05:30" };

test("the pause grows, has chance in it, and ends somewhere", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1000 }), fc.float({ min: 0, max: 1, noNaN: true }), (failures, chance) => {
      const longest = Math.min(60_000, 1000 * 2 ** (failures - 1));
      expect(pause(failures, chance)).toBeGreaterThanOrEqual(longest / 2);
      expect(pause(failures, chance)).toBeLessThanOrEqual(longest);
    }),
  );
});

test("a failure is told as what it is", () => {
  expect(stateAfter(new Unreachable("x"))).toEqual({ state: "offline", detail: null });
  expect(stateAfter(new Refused(problem("unauthenticated", 401))).state).toBe("signed_out");
  expect(stateAfter(new Refused(problem("database-unavailable", 503)))).toEqual({
    state: "degraded",
    detail: "database-unavailable",
  });
});

test("a command that the server could not do stops those behind it, and all of them wait", async () => {
  const store = newStore();
  const server = new SmallServer([specimen(1)]);
  const first = await issue(store, "specimens.receive", body);
  await issue(store, "specimens.receive", body);
  server.push = async () => ({
    answers: [{ id: first.id, status: 503, reply: problem("database-unavailable", 503) }],
    server_time: "",
  });

  await expect(push(store, server, "d")).rejects.toThrow("database-unavailable");

  expect(await store.outbox.where({ state: "waiting" }).count()).toBe(2);
});

test("what the server does not answer for is not taken as done", async () => {
  const store = newStore();
  const server = new SmallServer([specimen(1)]);
  await issue(store, "specimens.receive", body);
  server.push = async () => ({ answers: [], server_time: "" });

  await expect(push(store, server, "d")).rejects.toThrow(Unreachable);

  expect(await store.outbox.where({ state: "waiting" }).count()).toBe(1);
});

test("pages are fetched until there are no more, each under the cursor before it", async () => {
  const store = newStore();
  const server = new SmallServer([]);
  const asked: (string | undefined)[] = [];
  server.pull = async (cursor) => {
    asked.push(cursor);
    const number = asked.length;
    const documents = { specimens: [specimen(number)] };
    return { cursor: `c${number}`, reset: number === 1, documents, gone: {}, more: number < 3, server_time: "" };
  };

  await pull(store, server);

  expect(asked).toEqual([undefined, "c1", "c2"]);
  expect(await store.of("specimens").count()).toBe(3);
});

test("an effect stays until a pull that began after the answer", async () => {
  const store = newStore();
  const server = new SmallServer([specimen(1)]);
  await pull(store, server);
  const stale = await server.pull("now");
  await issue(store, "specimens.receive", body);
  const honest = server.pull.bind(server);
  server.pull = async () => {
    server.pull = honest;
    await push(store, server, "d"); // answered while the page was on its way
    return stale;
  };

  await pull(store, server);
  expect(await store.of("specimens").get("s1")).toMatchObject({ status: "received" });
  await pull(store, server);

  expect(await store.of("specimens").get("s1")).toEqual(server.specimens.get("s1"));
  expect(await store.outbox.count()).toBe(0);
});

test("told to stop in the middle of an exchange, the loop ends even when its store is gone", async () => {
  const store = newStore();
  await store.open();
  const server = new SmallServer([]);
  const stop = new AbortController();
  server.pull = async () => {
    stop.abort();
    await store.delete();
    throw new Unreachable("no answer");
  };
  vi.stubGlobal("navigator", {
    locks: { request: async (_: string, __: object, work: () => Promise<void>) => work() },
  });

  await expect(new Sync(store, server, "d").lead(stop.signal)).resolves.toBeUndefined();
});
