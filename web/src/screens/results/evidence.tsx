/** The numbers behind the reasons, in words; what we have no words for is shown as the server sent it. */
import { type Key, t } from "../../i18n";

/** A word of the model: what it expected of a test, and how many standard deviations away the value is. */
interface Opinion {
  code: string;
  test: string;
  z: number | null;
  expected: number | null;
}

const OPINIONS: Record<string, Key> = {
  other_results: "evidence.other_results",
  own_history: "evidence.own_history",
  population: "evidence.population",
  not_in_model: "evidence.not_in_model",
};
const NUMBERS: Record<string, Key> = {
  clock_offset_ms: "evidence.clock_offset_ms",
  delta_percent: "evidence.delta_percent",
};

export function Evidence({ of }: { of: Record<string, unknown> }) {
  return (
    <ul>
      {Object.entries(of)
        .flatMap(([name, found]) => lines(name, found))
        .map((line) => (
          <li key={line}>{line}</li>
        ))}
    </ul>
  );
}

/** What one entry of the evidence says. */
export function lines(name: string, found: unknown): string[] {
  const text = NUMBERS[name];
  if (text && typeof found === "number") return found ? [t(text, { value: found })] : [];
  if (name === "model" && Array.isArray(found)) return found.map(opinion);
  return [`${name}: ${JSON.stringify(found)}`];
}

function opinion({ code, test, z, expected }: Opinion): string {
  const text = OPINIONS[code];
  return text ? t(text, { test, z: z ?? "–", expected: expected ?? "–" }) : JSON.stringify({ code, test, z, expected });
}
