/** What can be said of the value while it is typed. It alone is drawn with a keystroke, never the grid. */
import type { Signal } from "@preact/signals";
import { t } from "../../i18n";
import { check, numberOf } from "./check";
import { change } from "./history";
import type { Line } from "./worklist";

export interface Typing {
  line: Line;
  text: string;
}

export function TypingCheck({ of }: { of: Signal<Typing | null> }) {
  const now = of.value;
  if (!now) return <p class="check">{t("bench.enter_keys")}</p>;
  const { line, text } = now;
  const { problem, outside, text: sent } = check(line.test, text);
  const previous = line.earlier.at(-1);
  const moved = problem ? null : change(numberOf(text), previous, line.test, Date.now());
  const { reportable_low: low, reportable_high: high, allowed_values, kind, unit } = line.test ?? {};
  const wrong = text.trim() !== "" && problem !== null;
  return (
    <p class={`check${wrong ? " wrong" : outside || moved?.exceeded ? " notable" : ""}`} role="status">
      <strong class="code">
        {line.specimen.accession_number} {line.code}
      </strong>
      {kind === "coded" ? (
        <span>{t("bench.allowed", { values: (allowed_values ?? []).join(", ") })}</span>
      ) : (
        <span>
          {t("bench.reportable")} <span class="code">{`${low ?? "…"} – ${high ?? "…"} ${unit ?? ""}`}</span>
        </span>
      )}
      {wrong && problem && <strong>{t(`bench.${problem}`)}</strong>}
      {outside && <strong>{t(`bench.outside_${outside}`)}</strong>}
      {kind === "coded" && !problem && sent !== text.trim() && <strong>→ {sent}</strong>}
      {previous && (
        <span>
          {t("bench.previous")} <span class="code">{previous.value_text}</span>{" "}
          {moved && <strong class="code">{moved.percent}</strong>}{" "}
          {moved?.exceeded && t("bench.delta_exceeded", { limit: line.test?.delta_limit_percent ?? "" })}
        </span>
      )}
    </p>
  );
}
