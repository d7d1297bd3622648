/** What the controls say: the same reading as the server's before a release, and limits as they are drawn. */
import type { Control, ControlTarget } from "../../store/documents";

/** How long a control vouches for patients' results, milliseconds; the server's rule. */
export const VALID_FOR = 24 * 3_600_000;

export type State = "in_control" | "warning" | "rejected" | "not_run" | "pending";

/** The newest control of each level, by level. */
export function newestByLevel(controls: Control[]): Map<number, Control> {
  const newest = new Map<number, Control>();
  for (const one of controls) {
    const known = newest.get(one.level);
    if (!known || after(one, known)) newest.set(one.level, one);
  }
  return newest;
}

/**
 * The state of one test on one analyser. A rejected level stays so until it is measured again; what the server has not
 * judged yet vouches for nothing.
 */
export function stateOf(controls: Control[], now: number): State {
  const levels = [...newestByLevel(controls.filter((one) => !one.pending)).values()];
  if (levels.some(({ status }) => status === "rejected")) return "rejected";
  if (controls.some(({ pending }) => pending)) return "pending";
  const fresh = levels.filter(({ occurred_at }) => Date.parse(occurred_at) > now - VALID_FOR);
  if (!fresh.length) return "not_run";
  return fresh.some(({ status }) => status === "warning") ? "warning" : "in_control";
}

/** The state of one control in the words of a test's state. */
export function stateOfOne({ status, pending }: Control): State {
  if (pending) return "pending";
  return status === "accepted" ? "in_control" : (status as State);
}

/** `1-3s (run)` → `1-3s`. */
export function rule(violated: string): string {
  return violated.split(" ")[0] ?? violated;
}

/** Mean ± `times` SD with as many decimals as the target has. */
export function limit({ mean, sd }: Pick<ControlTarget, "mean" | "sd">, times: number): string {
  const decimals = Math.max(...[mean, sd].map((one) => plain(one).split(".")[1]?.length ?? 0));
  return (Number(mean) + times * Number(sd)).toFixed(decimals);
}

/** A decimal without zeros that say nothing: `100.000000` → `100`. */
export function plain(decimal: string): string {
  return decimal.includes(".") ? decimal.replace(/\.?0+$/, "") : decimal;
}

function after(one: Control, other: Control): boolean {
  return Date.parse(one.occurred_at) > Date.parse(other.occurred_at);
}
