/** A person who is being registered: what was typed, what is wrong with it, and the command's body. Pure. */
import type { RegisterPatient } from "../../commands/patients";
import type { Key } from "../../i18n";
import { type AgeUnit, birthOf, birthTyped } from "../../patients/age";
import { digits, type Typed } from "../../patients/matching";
import { words } from "../../patients/spelling";
import type { Day } from "../../store/documents";

export interface Person {
  name: string;
  phone: string;
  uhid: string;
  sex: "" | "male" | "female" | "other" | "unknown";
  age: string;
  ageUnit: AgeUnit;
  /** As typed, day first; it stands before the age. */
  birth: string;
}
export type Wrong = Partial<Record<keyof Person, Key>>;

export function newPerson(typed: Typed): Person {
  return { ...typed, sex: "", age: "", ageUnit: "years", birth: "" };
}

/** What the server would refuse, said before it does. */
export function wrong(person: Person, today: Day): Wrong {
  const found: Wrong = {};
  if (!words(person.name).length) found.name = "register.name_wrong";
  if (person.phone && !isPhone(person.phone)) found.phone = "register.phone_wrong";
  if (person.uhid && !/^[A-Za-z0-9][A-Za-z0-9./_-]{0,39}$/.test(person.uhid.trim())) found.uhid = "register.uhid_wrong";
  if (!person.sex) found.sex = "register.sex_wrong";
  const birth = birthOfPerson(person, today);
  const isOld = birth && Number(today.slice(0, 4)) - Number(birth.birth_on.slice(0, 4)) > 130;
  if (person.birth && (!birth || birth.birth_on > today || isOld)) found.birth = "register.birth_wrong";
  else if (person.age && (!/^\d{1,3}$/.test(person.age) || isOld)) found.age = "register.age_wrong";
  return found;
}

function isPhone(typed: string): boolean {
  if (/[^\d\s+()-]/.test(typed)) return false;
  return typed.trim().startsWith("+") && !typed.trim().startsWith("+91")
    ? /^\+\d{7,15}$/.test(typed.replace(/[\s()-]/g, ""))
    : digits(typed).length === 10;
}

function birthOfPerson({ birth, age, ageUnit }: Person, today: Day) {
  if (birth) return birthTyped(birth);
  return /^\d{1,3}$/.test(age) ? birthOf(Number(age), ageUnit, today) : undefined;
}

/** The body of `patients.register`. */
export function registration(person: Person, id: string, today: Day): RegisterPatient {
  const body: RegisterPatient = { id, name: person.name.trim(), sex: person.sex || "unknown" };
  if (person.phone.trim()) body.phone = person.phone.trim();
  if (person.uhid.trim()) body.uhid = person.uhid.trim();
  const birth = birthOfPerson(person, today);
  return birth ? { ...body, ...birth } : body;
}
