/** The texts of the screens in seven languages. `t` in a component follows the language that is set. */
import { signal } from "@preact/signals";
import clinicalKeys from "../../locales/clinical.json";
import en from "../../locales/en.json";
import { loadFont } from "./fonts";

/** Each by its own name, and by its English one for a device that has no font of its script. */
export const LANGUAGES = {
  en: "English",
  hi: "हिन्दी · Hindi",
  ta: "தமிழ் · Tamil",
  te: "తెలుగు · Telugu",
  mr: "मराठी · Marathi",
  bn: "বাংলা · Bengali",
  kn: "ಕನ್ನಡ · Kannada",
} as const;
export type Language = keyof typeof LANGUAGES;

type Text = keyof typeof en;
type Plural = Text extends infer K ? (K extends `${infer Base}_other` ? Base : never) : never;
/** A key of the catalogues; a plural one is named without its ending. */
export type Key = Text | Plural;

/** A translation; a draft is one that no named person answers for yet. */
export interface Translated {
  text: string;
  status: "draft" | "reviewed";
  by: string | null;
  on: string | null;
}
export type Catalogue = Record<string, Translated>;

const English = en as Record<string, string>;
const CLINICAL = new Set<string>(clinicalKeys);
const CHOSEN = "nidan:language";
const catalogues = import.meta.glob<Catalogue>("../../locales/{hi,ta,te,mr,bn,kn}.json", {
  import: "default",
});

export const language = signal<Language>("en");
const catalogue = signal<Catalogue>({});

/** Show the texts in this language from now on; it is remembered on this device. */
export async function setLanguage(wanted: Language): Promise<void> {
  const load = catalogues[`../../locales/${wanted}.json`];
  const [loaded] = await Promise.all([load ? load() : {}, loadFont(wanted)]);
  catalogue.value = loaded;
  language.value = wanted;
  document.documentElement.lang = wanted;
  localStorage.setItem(CHOSEN, wanted);
}

/** The language that was chosen on this device, or the browser's if we have it, or English. */
export function preferred(): Language {
  const wanted = [localStorage.getItem(CHOSEN) ?? "", ...navigator.languages.map((tag) => tag.slice(0, 2))];
  return wanted.find((one): one is Language => one in LANGUAGES) ?? "en";
}

/** The text of a key, with `{name}` filled in. `count` chooses the plural. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  const chosen = values.count === undefined ? key : plural(key, Number(values.count));
  return fill(said(catalogue.value, chosen), values);
}

/** What a catalogue says for a key: a clinical draft has the English beside it, what is missing is in English. */
export function said(texts: Catalogue, key: string): string {
  const english = English[key] ?? key;
  const translated = texts[key];
  if (!translated) return english;
  const beside = CLINICAL.has(key) && translated.status === "draft" && translated.text !== english;
  return beside ? `${translated.text} (${english})` : translated.text;
}

/** Put the values in. */
export function fill(text: string, values: Record<string, string | number>): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

function plural(key: string, count: number): string {
  const form = `${key}_${new Intl.PluralRules(language.value).select(count)}`;
  return form in English ? form : `${key}_other`;
}

/** A text that data names (a status, a reason), or the code itself when there is none. */
export function tCode(prefix: string, code: string): string {
  const key = `${prefix}.${code}`;
  return key in English ? t(key as Key) : code;
}
