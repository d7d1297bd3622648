/** What is shown of a result on more than one screen. */
import { Sparkline } from "../../components/charts";
import { t, tCode } from "../../i18n";
import { clinicalTime } from "../../i18n/format";
import type { Patient, Result, Test } from "../../store/documents";
import { change } from "./history";
import "./results.css";

export function Person({ patient }: { patient: Patient | undefined }) {
  return (
    <span class="whose">
      <span>{patient?.name ?? "—"}</span> <span class="code soft">{patient?.uhid}</span>
    </span>
  );
}

/** The reasons of a hold as words, the server's codes as they are where we have no words. */
export function Reasons({ of }: { of: Result }) {
  return (
    <ul class="reasons">
      {of.reasons.map((reason) => (
        <li key={reason}>{tCode("hold", reason)}</li>
      ))}
    </ul>
  );
}

/** The previous value, the change against it, and how the values went. */
export function Previous({ result, before, test }: { result: Result; before: Result[]; test: Test | undefined }) {
  const last = before.at(-1);
  if (!last) return <span class="soft">{t("bench.no_previous")}</span>;
  const moved = change(result.value, last, test, Date.parse(result.available_at));
  const values = [...before.slice(-7), result].flatMap(({ value }) => (value === null ? [] : [Number(value)]));
  const [low, high] = [result.reference_low, result.reference_high].map((one) => (one === null ? null : Number(one)));
  return (
    <span class="previous" title={clinicalTime(last.available_at)}>
      <span class="code">{last.value_text}</span>
      {moved && <span class={moved.exceeded ? "code flag high" : "code"}>{moved.percent}</span>}
      <Sparkline
        values={values}
        low={low ?? null}
        high={high ?? null}
        label={`${t("bench.trend")}: ${values.join(", ")}`}
      />
    </span>
  );
}

/** Held, waiting for the server, or refused by it: in words. */
export function Standing({ result, refused }: { result: Result | undefined; refused: { title: string } | undefined }) {
  if (refused) return <span class="flag rejected">{t("bench.refused", { why: refused.title })}</span>;
  if (!result) return null;
  if (result.pending) return <span class="pending">{t("bench.pending")}</span>;
  return <span>{t(result.verified_at ? "bench.verified" : "bench.held")}</span>;
}
