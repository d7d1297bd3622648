/** Who is found by what was typed, and what an age says of a birth. */
import { expect, test } from "vitest";
import { age, birthOf, birthTyped } from "../src/patients/age";
import { candidates, nameFits, reading } from "../src/patients/matching";
import type { Patient } from "../src/store/documents";

function patient(name: string, phone: string | null = null, uhid = "P26-000001"): Patient {
  return {
    id: name,
    uhid,
    name,
    phone,
    sex: "female",
    birth_on: "1984-03-09",
    birth_precision: "day",
    status: "active",
  };
}

test.each([
  ["Laxmi Iyer", "Lakshmi Iyer"],
  ["लक्ष्मी", "Lakshmi Iyer"],
  ["Mohd Khan", "Mohammad Khan"],
  ["iyer lak", "Lakshmi Iyer"],
  ["D'Souza", "Dsouza, Maria"],
])("%s finds %s", (typed, name) => {
  expect(nameFits(typed, name)).toBe(true);
});

test.each([
  ["Anita", "Lakshmi Iyer"],
  ["Lakshmi Rao", "Lakshmi Iyer"],
  ["La", "Lakshmi Iyer"],
])("%s does not find %s", (typed, name) => {
  expect(nameFits(typed, name)).toBe(false);
});

test("a shared phone alone is said to be that, and stands behind whoever bears the name", () => {
  const known = [
    patient("Ravi Iyer", "+919840012345"),
    patient("Lakshmi Iyer", "+919840012345"),
    patient("Lakshmi Rao"),
  ];

  const found = candidates({ name: "Lakshmi", phone: "98400 12345", uhid: "" }, known);

  expect(found.map(({ patient: { name }, by }) => [name, by])).toEqual([
    ["Lakshmi Iyer", "both"],
    ["Lakshmi Rao", "name"],
    ["Ravi Iyer", "phone"],
  ]);
});

test("an erased patient is nobody", () => {
  expect(candidates(reading("Lakshmi"), [{ ...patient("Lakshmi"), status: "erased" }])).toEqual([]);
});

test("one line is read as a name, a phone or a UHID", () => {
  expect(reading(" 98400 12345 ").phone).toBe("98400 12345");
  expect(reading("P26-000123").uhid).toBe("P26-000123");
  expect(reading("Lakshmi").name).toBe("Lakshmi");
});

test("an age tells as much of the birth date as it does", () => {
  expect(birthOf(42, "years", "2026-11-24")).toEqual({ birth_on: "1984-01-01", birth_precision: "year" });
  expect(birthOf(13, "months", "2026-11-24")).toEqual({ birth_on: "2025-10-01", birth_precision: "month" });
  expect(birthOf(25, "days", "2026-11-24")).toEqual({ birth_on: "2026-10-30", birth_precision: "day" });
});

test("a birth date is typed day first, as far as it is known", () => {
  expect(birthTyped("09-03-1984")).toEqual({ birth_on: "1984-03-09", birth_precision: "day" });
  expect(birthTyped("3/1984")).toEqual({ birth_on: "1984-03-01", birth_precision: "month" });
  expect(birthTyped("1984")).toEqual({ birth_on: "1984-01-01", birth_precision: "year" });
  expect([birthTyped("31-02-1984"), birthTyped("84"), birthTyped("soon")]).toEqual([undefined, undefined, undefined]);
});

test("an age is shown in the unit that fits", () => {
  const at = (birth_on: string, birth_precision: string) => age({ birth_on, birth_precision }, "2026-11-24");
  expect([at("1984-11-25", "day"), at("1984-01-01", "year"), at("2026-03-24", "day"), at("2026-11-12", "day")]).toEqual(
    ["41 y", "~42 y", "8 mo", "12 d"],
  );
});
