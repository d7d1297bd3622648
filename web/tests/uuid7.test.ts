import fc from "fast-check";
import { expect, test } from "vitest";
import { uuid7 } from "../src/uuid7";

const instant = fc.integer({ min: 0, max: 2 ** 48 - 1 });

test("it is of version 7 and variant 1, and holds its instant", () => {
  fc.assert(
    fc.property(instant, (now) => {
      const made = uuid7(now);
      expect(made).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      expect(Number.parseInt(made.slice(0, 13).replace("-", ""), 16)).toBe(now);
    }),
  );
});

test("later ones sort later", () => {
  fc.assert(
    fc.property(instant, instant, (one, other) => {
      fc.pre(one !== other);
      expect(uuid7(one) < uuid7(other)).toBe(one < other);
    }),
  );
});

test("no two are the same", () => {
  expect(new Set(Array.from({ length: 10_000 }, () => uuid7(0))).size).toBe(10_000);
});
