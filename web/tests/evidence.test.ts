import { expect, test } from "vitest";
import { lines } from "../src/screens/results/evidence";

test("the model's word is a sentence with its numbers", () => {
  const model = [
    { code: "own_history", test: "GLU", z: 4.21, expected: 92.4 },
    { code: "not_in_model", test: "ESR", z: null, expected: null },
  ];

  expect(lines("model", model)).toEqual([
    "GLU: the patient's earlier results predict 92.4 (z 4.21).",
    "ESR: the model does not know this test.",
  ]);
});

test("a clock that is right is not worth a line, and nothing is hidden for want of words", () => {
  expect(lines("clock_offset_ms", 0)).toEqual([]);
  expect(lines("clock_offset_ms", 1200)).toEqual(["The gateway's clock differs by 1200 ms."]);
  expect(lines("later", { of: 1 })).toEqual(['later: {"of":1}']);
  expect(lines("model", [{ code: "later", test: "K", z: 1, expected: 2 }])[0]).toContain('"later"');
});
