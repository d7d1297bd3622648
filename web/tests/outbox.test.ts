import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { issue, UNDO_SECONDS } from "../src/commands";
import { acknowledge, bringIn, nextDue, sendAgain, settle, take, undo } from "../src/outbox";
import type { Store } from "../src/store/database";
import { pull, push } from "../src/sync";
import { documents, newStore, order, problem, result, SmallServer, specimen } from "./laboratory";

const AT = "2026-11-24T10:00:00+05:30";
let store: Store;

beforeEach(async () => {
  store = newStore();
  await bringIn(
    store,
    {
      reset: true,
      documents: {
        specimens: [specimen(1), specimen(2), specimen(3)],
        orders: [order()],
        results: [result(1), result(2)],
      },
      gone: {},
    },
    [],
  );
});

afterEach(() => {
  vi.useRealTimers();
  store.close();
});

const receive = (number: number) =>
  issue(store, "specimens.receive", { accession_number: `26-${number}`, received_at: AT });
const reject = (number: number) =>
  issue(store, "specimens.reject", { accession_number: `26-${number}`, reason: "clotted", rejected_at: AT });

describe("a command", () => {
  test("is kept and seen at once, and marked as not confirmed", async () => {
    const command = await receive(1);

    const shown = await store.of("specimens").get("s1");
    expect(shown).toMatchObject({ status: "received", received_at: AT, pending: command.id });
    expect(await store.outbox.toArray()).toMatchObject([{ id: command.id, state: "waiting", attempts: 0 }]);
  });

  test("that cannot be kept changes nothing", async () => {
    const before = await documents(store);
    vi.spyOn(store.outbox, "add").mockRejectedValueOnce(new Error("the disk is full"));

    await expect(receive(1)).rejects.toThrow();

    expect(await documents(store)).toEqual(before);
  });

  test("is not sent before it can no longer be undone", async () => {
    const command = await reject(1);

    expect(await take(store, 10)).toEqual([]);
    expect(await take(store, 10, command.send_after)).toHaveLength(1);
    expect(command.send_after - Date.parse(command.made_at)).toBe(UNDO_SECONDS * 1000);
  });

  test("does not overtake one that waits to be undone", async () => {
    await reject(1);
    await receive(2);

    expect(await take(store, 10)).toEqual([]);
  });

  test("that stops automatic release overtakes what waits, and is sent at once", async () => {
    const waits = await reject(1);
    const off = await issue(store, "release.switch", { scope: "test", target: "K", off: true, reason: "other" });

    expect(await nextDue(store)).toBe(off.send_after);
    expect(off.send_after).toBe(Date.parse(off.made_at));
    expect(await take(store, 10)).toMatchObject([{ id: off.id }]);
    await settle(store, [{ id: off.id, status: 200, reply: {} }]);
    expect(await nextDue(store)).toBe(waits.send_after);
  });

  test("of the switch never overtakes another of the switch", async () => {
    await reject(1);
    const turned = { scope: "test", target: "K", reason: "other" } as const;
    const made = [];
    for (const off of [true, false, true]) made.push(await issue(store, "release.switch", { ...turned, off }));

    expect((await take(store, 2)).map(({ id }) => id)).toEqual(made.slice(0, 2).map(({ id }) => id));
  });
});

describe("undo", () => {
  test("restores exactly the documents", async () => {
    const before = await documents(store);
    const command = await issue(store, "results.authorise", { result_ids: ["r1", "r2"] });
    expect(await documents(store)).not.toEqual(before);

    expect(await undo(store, command.id)).toBe(true);

    expect(await documents(store)).toEqual(before);
    expect(await store.outbox.count()).toBe(0);
    expect(await store.bases.count()).toBe(0);
  });

  test("keeps what other commands did to the same document", async () => {
    const first = await receive(1);
    await reject(1);
    await undo(store, first.id);

    expect(await store.of("specimens").get("s1")).toMatchObject({ status: "rejected", received_at: null });
  });

  test("comes too late once the command was sent", async () => {
    const command = await receive(1);
    await take(store, 10);

    expect(await undo(store, command.id)).toBe(false);
    expect(await store.of("specimens").get("s1")).toMatchObject({ status: "received" });
  });
});

describe("a refusal", () => {
  test("takes the effect back and stays with its reason until it is read", async () => {
    const before = await documents(store);
    const command = await receive(1);
    await settle(store, [{ id: command.id, status: 409, reply: problem("specimen-not-receivable") }]);

    expect(await documents(store)).toEqual(before);
    expect(await store.outbox.get({ id: command.id })).toMatchObject({
      state: "refused",
      problem: { title: "specimen-not-receivable" },
    });
    await acknowledge(store, command.id);
    expect(await store.outbox.count()).toBe(0);
  });

  test("for want of a permission can be sent again", async () => {
    const command = await receive(1);
    await take(store, 10);
    await settle(store, [{ id: command.id, status: 403, reply: problem("forbidden", 403) }]);

    await sendAgain(store, command.id);

    expect(await store.of("specimens").get("s1")).toMatchObject({ status: "received" });
    expect(await take(store, 10)).toMatchObject([{ id: command.id }]);
  });

  test.each([401, 429, 500, 503])("is not what %i says: the command goes on waiting", async (status) => {
    const command = await receive(1);
    await settle(store, [{ id: command.id, status, reply: problem("later", status) }]);

    expect(await store.outbox.get({ id: command.id })).toMatchObject({ state: "waiting" });
  });
});

describe("what the server sends", () => {
  test("does not hide a waiting command, and is what undo goes back to", async () => {
    const command = await receive(1);
    await bringIn(store, { reset: false, documents: { specimens: [specimen(1, { site_id: "moved" })] }, gone: {} }, []);

    expect(await store.of("specimens").get("s1")).toMatchObject({ status: "received", site_id: "moved" });
    await undo(store, command.id);
    expect(await store.of("specimens").get("s1")).toEqual(specimen(1, { site_id: "moved" }));
  });

  test("takes the place of a confirmed effect", async () => {
    await issue(store, "specimens.collect", { order_id: "o1", collected_at: AT, labels: [] }, { test_codes: ["GLU"] });
    const [command] = await take(store, 10);
    await settle(store, [{ id: command?.id ?? "", status: 200, reply: {} }]);
    await bringIn(store, { reset: false, documents: { specimens: [specimen(4)] }, gone: {} }, [command?.id ?? ""]);

    expect((await store.of("specimens").toArray()).map(({ id }) => id)).toEqual(["s1", "s2", "s3", "s4"]);
    expect(await store.outbox.count()).toBe(0);
    expect(await store.of("orders").get("o1")).toEqual(order());
  });

  test("removes what is gone, also under a waiting command", async () => {
    await receive(1);
    await bringIn(store, { reset: false, documents: {}, gone: { specimens: ["s1"] } }, []);

    expect(await store.of("specimens").get("s1")).toBeUndefined();
  });

  test("takes the place of everything when it starts anew", async () => {
    await receive(1);
    await bringIn(store, { reset: true, documents: { specimens: [specimen(1)] }, gone: {} }, []);

    expect(Object.keys(await documents(store))).toEqual(["specimens"]);
    expect(await store.of("specimens").get("s1")).toMatchObject({ status: "received" });
  });
});

/** One thing that happens on a bad day. */
const step = fc.oneof(
  fc.record({ do: fc.constant("receive" as const), number: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ do: fc.constant("reject" as const), number: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ do: fc.constant("undo" as const), number: fc.nat(5) }),
  fc.record({
    do: fc.constantFrom("push" as const, "cut" as const, "away" as const, "pull" as const, "wait" as const),
  }),
);

test("whatever is cut or undone: every command is done once, in order, and the screens end as the server", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 14 }), async (steps) => {
      vi.useFakeTimers({ toFake: ["Date"] });
      const server = new SmallServer([specimen(1), specimen(2), specimen(3)]);
      const own = newStore();
      const issued: string[] = [];
      const undone = new Set<string>();
      const quietly = (work: Promise<unknown>) => work.catch(() => undefined);
      await pull(own, server);

      for (const one of steps) {
        if (one.do === "receive" || one.do === "reject") {
          const body = { accession_number: `26-${one.number}` };
          const command =
            one.do === "receive"
              ? await issue(own, "specimens.receive", { ...body, received_at: AT })
              : await issue(own, "specimens.reject", { ...body, reason: "clotted", rejected_at: AT });
          issued.push(command.id);
        } else if (one.do === "undo") {
          const id = issued[one.number];
          if (id && (await undo(own, id))) undone.add(id);
        } else if (one.do === "wait") vi.setSystemTime(Date.now() + 10_000);
        else if (one.do === "pull") await quietly(pull(own, server));
        else {
          server.cut = one.do === "cut" ? 1 : 0;
          server.away = one.do === "away" ? 1 : 0;
          await quietly(push(own, server, "device"));
          server.cut = server.away = 0;
        }
      }
      vi.setSystemTime(Date.now() + 10_000);
      await push(own, server, "device");
      await pull(own, server);

      const kept = issued.filter((id) => !undone.has(id));
      expect([...server.answers.keys()]).toEqual(kept);
      expect(server.done).toEqual(kept.filter((id) => server.answers.get(id)?.status === 200));
      expect(new Set(server.done).size).toBe(server.done.length);
      expect(await own.of("specimens").toArray()).toEqual([...server.specimens.values()]);
      const refused = kept.filter((id) => server.answers.get(id)?.status === 409);
      expect((await own.outbox.orderBy("seq").toArray()).map(({ id, state }) => [id, state])).toEqual(
        refused.map((id) => [id, "refused"]),
      );
      own.close();
    }),
    { numRuns: 60 },
  );
});
