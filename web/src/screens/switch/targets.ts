/** What automatic release can be switched for, and whether it is. */
import type { Store } from "../../store/database";
import type { Switch } from "../../store/documents";

export type Scope = "test" | "analyser" | "lab";
export interface Target {
  scope: Scope;
  target: string;
  name: string;
  /** Its newest switch; undefined: never switched. */
  last: Switch | undefined;
}

/** Every laboratory at once. */
export const EVERY = "*";

/** Laboratories, analysers and tests that are there, in this order; `every` names all laboratories together. */
export async function targets(store: Store, every: string): Promise<Target[]> {
  const [switches, sites, analysers, tests] = await Promise.all([
    store.of("switches").toArray(),
    store.of("sites").toArray(),
    store.of("analysers").toArray(),
    store.of("tests").toArray(),
  ]);
  const last = new Map(switches.map((one) => [one.id, one]));
  const made = (scope: Scope, target: string, name: string): Target => {
    return { scope, target, name, last: last.get(`${scope}:${target}`) };
  };
  const byName = (one: Target, other: Target) => one.name.localeCompare(other.name);
  return [
    made("lab", EVERY, every),
    ...sites
      .filter(({ kind }) => kind !== "collection_centre")
      .map(({ id, name }) => made("lab", id, name))
      .sort(byName),
    ...analysers.map(({ id, name }) => made("analyser", id, name)).sort(byName),
    ...tests
      .filter(({ kind, is_restricted }) => kind === "numeric" && !is_restricted) // others are never released so
      .map(({ code, name }) => made("test", code, `${code} ${name}`))
      .sort(byName),
  ];
}

/** What is off now, by the names that people know. */
export async function off(store: Store, every: string): Promise<string[]> {
  const switched = await store
    .of("switches")
    .filter(({ is_off }) => is_off)
    .toArray();
  const names = switched.map(async ({ scope, target }) => {
    if (scope === "test" || target === EVERY) return target === EVERY ? every : target;
    const found = await store.of(scope === "lab" ? "sites" : "analysers").get(target);
    return found?.name ?? target;
  });
  return Promise.all(names);
}
