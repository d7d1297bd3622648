import { expect, test } from "vitest";
import { language } from "../src/i18n";
import { clinicalDay, clinicalTime, clock, duration, money, number } from "../src/i18n/format";

test("a clinical time is the laboratory's and the same in every language", () => {
  for (const one of ["en", "hi", "ta", "bn"] as const) {
    language.value = one;
    expect(clinicalTime("2026-11-24T08:35:00Z")).toBe("24-Nov-2026 14:05");
    expect(clinicalTime("2026-11-24T23:59:00+05:30")).toBe("24-Nov-2026 23:59");
    expect(clock("2026-11-24T18:30:00Z")).toBe("00:00");
  }
  language.value = "en";
});

test("a day has no time zone", () => {
  expect(clinicalDay("1984-03-09")).toBe("09-Mar-1984");
});

test.each(["en", "hi", "ta", "te", "mr", "bn", "kn"] as const)("%s: Latin digits, grouped as in India", (one) => {
  language.value = one;
  expect(number(1234567)).toBe("12,34,567");
  expect(money("1234567.5")).toContain("12,34,567.50");
  language.value = "en";
});

test("how long, coarsely", () => {
  expect([duration(90_000), duration(3 * 3_600_000), duration(50 * 3_600_000)]).toEqual(["2 min", "3 h", "2 d"]);
});
