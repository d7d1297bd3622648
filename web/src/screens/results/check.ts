/** What can be said of a value while it is typed; pure. Flags and holds are the server's to say. */
import type { Test } from "../../store/documents";

export interface Check {
  /** What is sent for what was typed: a coded value is completed when only one begins so. */
  text: string;
  problem: "not_a_number" | "not_allowed" | null;
  /** Beyond what the method can report. */
  outside: "below" | "above" | null;
}

const NUMBER = /^(<=|>=|<|>)? ?([+-]?\d{1,12}(?:\.\d{1,12})?)$/;

export function check(test: Test | undefined, typed: string): Check {
  const text = typed.trim();
  if (test?.kind === "coded") return coded(test.allowed_values ?? [], text);
  const found = NUMBER.exec(text);
  if (!found) return { text, problem: "not_a_number", outside: null };
  const value = Number(found[2]);
  const { reportable_low: low, reportable_high: high } = test ?? {};
  const below = low !== null && low !== undefined && value < Number(low);
  const above = high !== null && high !== undefined && value > Number(high);
  return { text, problem: null, outside: below ? "below" : above ? "above" : null };
}

/** The number of what was typed, without its comparator; null: there is none. */
export function numberOf(typed: string): string | null {
  return NUMBER.exec(typed.trim())?.[2] ?? null;
}

function coded(allowed: string[], text: string): Check {
  const same = (one: string) => one.toLowerCase() === text.toLowerCase();
  const begins = allowed.filter((one) => one.toLowerCase().startsWith(text.toLowerCase()));
  const found = allowed.find(same) ?? (text && begins.length === 1 ? begins[0] : undefined);
  return { text: found ?? text, problem: found ? null : "not_allowed", outside: null };
}
