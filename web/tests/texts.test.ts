/** The catalogues: complete, nothing left over, the same placeholders, and clinical drafts with the English beside. */
import { describe, expect, test } from "vitest";
import clinical from "../locales/clinical.json";
import en from "../locales/en.json";
import { type Catalogue, fill, LANGUAGES, said } from "../src/i18n";

const english = en as Record<string, string>;
const catalogues = import.meta.glob<Catalogue>(["../locales/*.json", "!**/en.json", "!**/clinical.json"], {
  import: "default",
  eager: true,
});
const raw = import.meta.glob<string>("../locales/*.json", { query: "?raw", import: "default", eager: true });
const sources = import.meta.glob<string>(["../src/**/*.{ts,tsx}", "!../src/generated/**"], {
  query: "?raw",
  import: "default",
  eager: true,
});
const code = Object.values(sources).join("\n");
const named = new Set(Array.from(code.matchAll(/["'`]([a-z_]+(?:\.[a-z_]+)+)["'`]/g), ([, key]) => key ?? ""));
/** Prefixes whose keys are made from data: `tCode("priority", …)` and `t(`status.${…}`)`. */
const prefixes = Array.from(
  code.matchAll(/tCode\("([a-z_.]+)"|[`]([a-z_.]+)\.\$\{/g),
  ([, one, other]) => `${one ?? other}.`,
);
const placeholders = (text: string) => Array.from(text.matchAll(/\{(\w+)\}/g), ([, name]) => name).sort();
const base = (key: string) => key.replace(/_(zero|one|two|few|many|other)$/, "");
const languages = Object.keys(LANGUAGES).filter((one) => one !== "en");

test("every catalogue of a language is here", () => {
  expect(
    Object.keys(catalogues)
      .map((path) => path.slice(-7, -5))
      .sort(),
  ).toEqual([...languages].sort());
});

test("no text of the catalogue is unused", () => {
  const unused = Object.keys(english).filter(
    (key) => !named.has(key) && !named.has(base(key)) && !prefixes.some((prefix) => key.startsWith(prefix)),
  );
  expect(unused).toEqual([]);
});

test("clinical keys are keys", () => {
  expect(clinical.filter((key) => !(key in english))).toEqual([]);
  expect(clinical).toEqual([...clinical].sort());
});

describe.each(languages)("%s", (language) => {
  const catalogue = catalogues[`../locales/${language}.json`] ?? {};

  test("says everything that English says, and nothing else", () => {
    expect(Object.keys(catalogue).sort()).toEqual(Object.keys(english).sort());
  });

  test("has the same placeholders", () => {
    for (const [key, { text }] of Object.entries(catalogue)) {
      expect([key, placeholders(text)]).toEqual([key, placeholders(english[key] ?? "")]);
    }
  });

  test("says of each text whether somebody answers for it", () => {
    for (const [key, { text, status, by, on }] of Object.entries(catalogue)) {
      expect(text.trim(), key).not.toBe("");
      expect(["draft", "reviewed"], key).toContain(status);
      expect(Boolean(by && on), `${key}: a reviewed text names who and when`).toBe(status === "reviewed");
    }
  });

  test("a clinical draft has the English beside it", () => {
    for (const key of clinical) {
      const translated = catalogue[key];
      if (translated?.status !== "draft") continue;
      expect(said(catalogue, key)).toContain(english[key]);
    }
  });
});

test("the catalogues are in the order of their keys, so that two people's texts do not meet on one line", () => {
  for (const [path, text] of Object.entries(raw)) {
    const keys = Array.from(text.matchAll(/^ {2}"([^"]+)":/gm), ([, key]) => key);
    expect(keys, path).toEqual([...keys].sort());
  }
});

test("a form for one names its count: in some languages it is the form for none, too", () => {
  const zero = languages.filter((language) => new Intl.PluralRules(language).select(0) === "one");
  expect(zero).toEqual(expect.arrayContaining(["hi", "bn", "kn"]));
  const forms = Object.entries(english).filter(([key]) => key.endsWith("_one"));
  expect(forms.filter(([, text]) => !placeholders(text).includes("count"))).toEqual([]);
});

test("a reviewed clinical text stands alone, a missing one is in English", () => {
  const reviewed = { text: "अधिक", status: "reviewed" as const, by: "A. Example", on: "2026-11-24" };
  expect(said({ "flag.high": reviewed }, "flag.high")).toBe("अधिक");
  expect(said({ "flag.high": { ...reviewed, status: "draft" } }, "flag.high")).toBe("अधिक (High)");
  expect(said({}, "flag.high")).toBe("High");
});

test("values are put in, and a placeholder without one stays to be seen", () => {
  expect(fill("{count} of {all}", { count: 3 })).toBe("3 of {all}");
});
