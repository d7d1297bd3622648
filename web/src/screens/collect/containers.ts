/** Which containers an order still needs, and the colour of a container's cap. Pure. */
import type { Order, Specimen, Test } from "../../store/documents";

export interface Container {
  specimen_type: string;
  container: string;
  tests: string[];
  /** The order needs two that are called the same: no label can say which of them it is on. */
  isAmbiguous: boolean;
}

/** In the order in which they are drawn; as the server groups them: by specimen type and container. */
export function containers(order: Order, tests: Map<string, Test>): Container[] {
  const found = new Map<string, Container>();
  for (const { test_code, specimen_id, status } of order.tests) {
    const test = tests.get(test_code);
    if (!test || specimen_id || status === "cancelled") continue;
    const key = `${test.specimen_type}|${test.container}`;
    const known = found.get(key) ?? { ...test, tests: [], isAmbiguous: false };
    known.tests.push(test_code);
    found.set(key, known);
  }
  const list = [...found.values()].map(({ specimen_type, container, tests: codes }) => ({
    specimen_type,
    container,
    tests: codes.sort(),
    isAmbiguous: [...found.values()].filter((one) => one.container === container).length > 1,
  }));
  return list.sort((a, b) => draw(a.container) - draw(b.container) || a.container.localeCompare(b.container));
}

/** Cap colours by what the container is called, in the order of draw (CLSI GP41). */
const CAPS: [RegExp, string][] = [
  [/blood culture/i, "culture"],
  [/citrate/i, "blue"],
  [/plain/i, "red"],
  [/sst|gel/i, "yellow"],
  [/heparin/i, "green"],
  [/edta/i, "lavender"],
  [/fluoride/i, "grey"],
];

/** `lavender`, or null where there is no cap of a colour. */
export function cap(container: string): string | null {
  return CAPS.find(([pattern]) => pattern.test(container))?.[1] ?? null;
}

function draw(container: string): number {
  const at = CAPS.findIndex(([pattern]) => pattern.test(container));
  return at < 0 ? CAPS.length : at;
}

const URGENCY = ["stat", "urgent", "routine"];

/** Orders with something to collect, the most urgent first, then those that wait longest. */
export function waiting(orders: Order[], site: string | null): Order[] {
  return orders
    .filter((order) => order.status === "placed" && (!site || order.site_id === site))
    .filter((order) => order.tests.some(({ specimen_id, status }) => !specimen_id && status === "ordered"))
    .sort(
      (a, b) =>
        URGENCY.indexOf(a.priority) - URGENCY.indexOf(b.priority) || Date.parse(a.placed_at) - Date.parse(b.placed_at),
    );
}

/** What was wrong with an earlier specimen of the order, or null. */
export function rejection(specimens: Specimen[]): string | null {
  return specimens.find(({ status }) => status === "rejected")?.rejection_reason ?? null;
}
