/** What is ordered: found by code or name, priced, and due. Pure. */
import type { Panel, Test } from "../../store/documents";

/** A test or a panel that can be chosen. Their codes can be the same, so the id says which it is. */
export interface Item {
  id: string;
  code: string;
  name: string;
  panel?: Panel;
  test?: Test;
  /** In every language, lower case. */
  words: string[];
}

/** A chosen item: `price` in paise; null: the laboratory has not set one; 0 with `within`: a panel contains it. */
export interface Line {
  item: Item;
  price: number | null;
  within?: string;
  minutes: number;
}

export interface Sum {
  lines: Line[];
  /** Paise of everything that has a price. */
  total: number;
  unpriced: number;
  /** The longest turnaround. */
  minutes: number;
  /** Every test once. */
  codes: string[];
}

/** What can be chosen, by its name in the language. */
export function items(tests: Test[], panels: Panel[], language: string): Item[] {
  return [
    ...panels.map((panel) => item(`panel:${panel.code}`, panel, language, { panel })),
    ...tests.map((test) => item(`test:${test.code}`, test, language, { test })),
  ];
}

function item(id: string, of: Test | Panel, language: string, what: Pick<Item, "test" | "panel">): Item {
  const names = translations(of);
  const text = [of.code, of.name, ...Object.values(names)].join(" ").toLowerCase();
  const words = text.split(/[\s,()/-]+/).filter(Boolean);
  return { id, code: of.code, name: names[language] ?? of.name, words, ...what };
}

function translations({ translations: all }: Test | Panel): Record<string, string> {
  const named = Object.entries(all).map(([language, one]) => [language, typeof one === "string" ? one : one?.name]);
  return Object.fromEntries(named.filter(([, name]) => name));
}

/** The items of which every typed word begins a word; the code itself first, then codes that begin so, then names. */
export function fitting(all: Item[], typed: string, chosen: ReadonlySet<string>, limit = 8): Item[] {
  const wanted = typed.toLowerCase().split(/\s+/).filter(Boolean);
  if (!wanted.length) return [];
  const rank = ({ code }: Item) => {
    const [own, said] = [code.toLowerCase(), wanted.join(" ")];
    return own === said ? 0 : own.startsWith(said) ? 1 : 2;
  };
  return all
    .filter(({ id, words }) => !chosen.has(id) && wanted.every((one) => words.some((word) => word.startsWith(one))))
    .sort((a, b) => rank(a) - rank(b) || Number(b.panel !== undefined) - Number(a.panel !== undefined))
    .slice(0, limit);
}

/** Prices and the time: a panel's price once, and what it contains is free. */
export function sum(chosen: Item[], tests: Map<string, Test>): Sum {
  const panels = chosen.flatMap(({ panel }) => panel ?? []);
  const lines = chosen.map((one): Line => {
    const within = one.test && panels.find((panel) => panel.tests.includes(one.code))?.code;
    const codes = one.panel?.tests ?? [one.code];
    const minutes = Math.max(0, ...codes.map((code) => tests.get(code)?.turnaround_minutes ?? 0));
    if (within) return { item: one, price: 0, within, minutes };
    return { item: one, price: paise((one.panel ?? one.test)?.list_price ?? null), minutes };
  });
  return {
    lines,
    total: lines.reduce((all, { price }) => all + (price ?? 0), 0),
    unpriced: lines.filter(({ price }) => price === null).length,
    minutes: Math.max(0, ...lines.map(({ minutes }) => minutes)),
    codes: [...new Set(chosen.flatMap(({ panel, code }) => panel?.tests ?? [code]))],
  };
}

function paise(price: string | null): number | null {
  return price === null ? null : Math.round(Number(price) * 100);
}
