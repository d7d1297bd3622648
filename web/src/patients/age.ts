/** Ages as they are said at a counter, and the birth dates they stand for. Pure; `today` is a day, `2026-11-24`. */
import type { Day, Patient } from "../store/documents";

export type AgeUnit = "years" | "months" | "days";
export interface Birth {
  birth_on: Day;
  birth_precision: "day" | "month" | "year";
}

const ZONE = new Intl.DateTimeFormat("en-CA", { timeZone: "Asia/Kolkata" });

/** The laboratory's day at this instant. */
export function dayOf(instant: number | string): Day {
  return ZONE.format(new Date(instant));
}

/** When somebody of this age was born, as far as the age tells it. */
export function birthOf(age: number, unit: AgeUnit, today: Day): Birth {
  const at = new Date(`${today}T00:00:00Z`);
  if (unit === "days") {
    at.setUTCDate(at.getUTCDate() - age);
    return { birth_on: at.toISOString().slice(0, 10), birth_precision: "day" };
  }
  if (unit === "months") {
    at.setUTCDate(1);
    at.setUTCMonth(at.getUTCMonth() - age);
    return { birth_on: at.toISOString().slice(0, 10), birth_precision: "month" };
  }
  return { birth_on: `${at.getUTCFullYear() - age}-01-01`, birth_precision: "year" };
}

/** A birth date as it is typed: `1984`, `03-1984`, `09-03-1984` (day first), or undefined. */
export function birthTyped(text: string): Birth | undefined {
  const parts = text
    .trim()
    .split(/[-./\s]+/)
    .map(Number);
  const [year, month = 1, day = 1] = parts.reverse();
  if (!year || year < 1850 || parts.length > 3) return undefined;
  const at = new Date(Date.UTC(year, month - 1, day));
  if (at.getUTCMonth() !== month - 1 || at.getUTCDate() !== day) return undefined;
  const birth_precision = (["year", "month", "day"] as const)[parts.length - 1] ?? "year";
  return { birth_on: at.toISOString().slice(0, 10), birth_precision };
}

/** `42 y`, `7 mo`, `12 d`; `~42 y` when only the year is known; empty when nothing is. */
export function age({ birth_on, birth_precision }: Pick<Patient, "birth_on" | "birth_precision">, today: Day): string {
  if (!birth_on) return "";
  const [born, now] = [birth_on, today].map((day) => day.split("-").map(Number));
  const [year = 0, month = 0, day = 0] = born ?? [];
  const [thisYear = 0, thisMonth = 0, thisDay = 0] = now ?? [];
  if (birth_precision === "year") return `~${thisYear - year} y`;
  const months = (thisYear - year) * 12 + thisMonth - month - (birth_precision === "day" && thisDay < day ? 1 : 0);
  if (months >= 24) return `${Math.floor(months / 12)} y`;
  if (months >= 2 || birth_precision === "month") return `${months} mo`;
  return `${Math.round((Date.parse(today) - Date.parse(birth_on)) / 86_400_000)} d`;
}
