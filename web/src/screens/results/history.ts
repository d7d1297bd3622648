/** What a patient's earlier results say of a value; pure. It is shown, not judged: the server judges. */
import type { Result, Test } from "../../store/documents";

const DAY = 86_400_000;

export function isCritical({ flag }: Result): boolean {
  return flag === "LL" || flag === "HH";
}

/** Results of the same test on the patient's other specimens that stood when this one came, oldest first. */
export function earlier(
  all: Result[],
  of: { patient_id: string; test_code: string; specimen_id: string | null },
  before: number,
): Result[] {
  return all
    .filter(
      (one) =>
        one.patient_id === of.patient_id &&
        one.test_code === of.test_code &&
        one.specimen_id !== of.specimen_id &&
        one.status === "authorised" &&
        one.value !== null &&
        Date.parse(one.available_at) < before,
    )
    .sort((one, other) => Date.parse(one.available_at) - Date.parse(other.available_at));
}

export interface Change {
  /** `+12.5 %` of the previous value. */
  percent: string;
  /** More than the test's limit. */
  exceeded: boolean;
}

/** The change against the previous value; null when there is nothing to compare, or it is too long ago. */
export function change(
  value: string | null,
  previous: Result | undefined,
  test: Pick<Test, "delta_limit_percent" | "delta_window_days"> | undefined,
  at: number,
): Change | null {
  if (value === null || !previous || previous.value === null) return null;
  const [now, then] = [Number(value), Number(previous.value)];
  if (then === 0 || !Number.isFinite(now)) return null;
  const window = test?.delta_window_days;
  if (typeof window === "number" && at - Date.parse(previous.available_at) > window * DAY) return null;
  const percent = ((now - then) / Math.abs(then)) * 100;
  const limit = test?.delta_limit_percent;
  const sign = percent > 0 ? "+" : percent < 0 ? "−" : "";
  return {
    percent: `${sign}${Math.abs(percent).toFixed(1)} %`,
    exceeded: limit !== null && limit !== undefined && Math.abs(percent) > Number(limit),
  };
}
