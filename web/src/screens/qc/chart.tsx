/** The controls of one test and lot: a chart a level, and every one of them in a table beside it. */
import { LeveyJennings } from "../../components/charts";
import { Empty } from "../../components/empty";
import { t } from "../../i18n";
import { clinicalTime } from "../../i18n/format";
import type { Control, ControlTarget } from "../../store/documents";
import { limit, plain, rule, stateOfOne } from "./state";
import { StateFlag } from "./verdict";

const SHOWN = 30;

interface Props {
  target: ControlTarget;
  unit: string;
  /** Of this level, lot, test and analyser, oldest first. */
  controls: Control[];
}

export function LevelChart({ target, unit, controls }: Props) {
  const points = controls.slice(-60).map((one) => ({
    id: one.id,
    z: Number(one.z),
    rejected: one.status === "rejected",
    mark: one.status === "rejected" ? rules(one) : undefined,
    title: `${clinicalTime(one.occurred_at)}: ${plain(one.value)} ${one.unit} ${rules(one)}`,
  }));
  const rejected = points.filter((one) => one.rejected).length;
  const facts = { test: target.test_code, level: target.level, number: points.length, rejected };
  return (
    <section class="qc-level">
      <h3>
        {t("qc.level")} {target.level}
      </h3>
      <p class="code hint">
        x̄ {plain(target.mean)} {unit} · SD {plain(target.sd)} · 2 SD {limit(target, -2)} – {limit(target, 2)} · 3 SD{" "}
        {limit(target, -3)} – {limit(target, 3)}
      </p>
      {points.length === 0 && <Empty title={t("qc.no_controls")} />}
      {points.length > 0 && (
        <div class="qc-pair">
          <LeveyJennings points={points} label={t("qc.chart", facts)} />
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard */}
          <section class="scrolls" tabIndex={0} aria-label={t("qc.chart", facts)}>
            <table>
              <thead>
                <tr>
                  <th scope="col">{t("qc.when")}</th>
                  <th scope="col" class="numeric">
                    {t("qc.value")}
                  </th>
                  <th scope="col" class="numeric">
                    z
                  </th>
                  <th scope="col">{t("qc.state")}</th>
                </tr>
              </thead>
              <tbody>
                {[...controls]
                  .reverse()
                  .slice(0, SHOWN)
                  .map((one) => (
                    <tr key={one.id} class={one.pending ? "pending" : undefined}>
                      <td class="code">{clinicalTime(one.occurred_at)}</td>
                      <td class="code numeric">{plain(one.value)}</td>
                      <td class="code numeric">{Number(one.z).toFixed(2)}</td>
                      <td>
                        <StateFlag state={stateOfOne(one)} /> <span class="code">{rules(one)}</span>
                      </td>
                    </tr>
                  ))}
              </tbody>
            </table>
          </section>
        </div>
      )}
    </section>
  );
}

function rules({ violated }: Control): string {
  return [...new Set(violated.map(rule))].join(" ");
}
