/** Who among the known patients may be the person that is being typed. Pure. */
import type { Patient } from "../store/documents";
import { normal, words } from "./spelling";

/** What was typed so far; a field may be empty. */
export interface Typed {
  name: string;
  phone: string;
  uhid: string;
}

/**
 * - uhid: the number is theirs
 * - both: name and phone agree
 * - name: the name agrees
 * - phone: only the phone does: families share one, so this says nothing of the person
 */
export type Likeness = "uhid" | "both" | "name" | "phone";
export interface Candidate {
  patient: Patient;
  by: Likeness;
}

const ORDER: Likeness[] = ["uhid", "both", "name", "phone"];
const SHORTEST = 3;

/** One line that was typed into the search: digits are a phone, letters with digits a UHID, anything else a name. */
export function reading(line: string): Typed {
  const text = line.trim();
  const nothing = { name: "", phone: "", uhid: "" };
  if (/^\+?[\d\s()-]{4,}$/.test(text)) return { ...nothing, phone: text };
  if (/\d/.test(text) && /^[A-Za-z0-9./_-]+$/.test(text)) return { ...nothing, uhid: text };
  return { ...nothing, name: text };
}

/** The last ten digits, which is the number without the country's prefix. */
export function digits(phone: string | null): string {
  return (phone ?? "").replace(/\D/g, "").slice(-10);
}

/** Whether every word that was typed begins a word of the name, in one of its spellings. */
export function nameFits(typed: string, name: string | null): boolean {
  const wanted = words(typed);
  if (!name || !wanted.some((word) => word.length >= SHORTEST)) return false;
  const parts = forms(name);
  return wanted.every((word) => {
    const folded = word.length >= SHORTEST ? normal(word) : null;
    return parts.some(([part, form]) => part.startsWith(word) || (folded !== null && form.startsWith(folded)));
  });
}

const known = new Map<string, [string, string][]>();

/** Each word of a name with its normal form; a store's names are folded once, not with every key. */
function forms(name: string): [string, string][] {
  let found = known.get(name);
  if (!found) {
    found = words(name).map((word) => [word, normal(word)]);
    if (known.size > 20_000) known.clear();
    known.set(name, found);
  }
  return found;
}

/** Whoever fits, the likeliest first, at most `limit`. */
export function candidates(typed: Typed, patients: Patient[], limit = 8): Candidate[] {
  const found: Candidate[] = [];
  for (const patient of patients) {
    const by = patient.status === "active" ? likeness(typed, patient) : null;
    if (by) found.push({ patient, by });
  }
  const rank = ({ by }: Candidate) => ORDER.indexOf(by);
  return found
    .sort((a, b) => rank(a) - rank(b) || (a.patient.name ?? "").localeCompare(b.patient.name ?? ""))
    .slice(0, limit);
}

function likeness(typed: Typed, patient: Patient): Likeness | null {
  if (typed.uhid && patient.uhid?.toLowerCase().startsWith(typed.uhid.toLowerCase())) return "uhid";
  const number = digits(typed.phone);
  const phone = number.length >= 6 && digits(patient.phone).includes(number);
  const name = nameFits(typed.name, patient.name);
  if (name) return phone ? "both" : "name";
  return phone ? "phone" : null;
}
