/** Every test with a target on every analyser: may it be released now, and what was measured last. */
import { t } from "../../i18n";
import { clinicalTime } from "../../i18n/format";
import type { Analyser, Control, ControlTarget } from "../../store/documents";
import { newestByLevel, plain, stateOf } from "./state";
import { StateFlag } from "./verdict";

interface Props {
  targets: ControlTarget[];
  controls: Control[];
  analysers: Analyser[];
  onChoose(target: ControlTarget): void;
}

export function Today({ targets, controls, analysers, onChoose }: Props) {
  const name = new Map(analysers.map((one) => [one.id, one.name]));
  const pairs = new Map(targets.map((one) => [`${one.analyser_id} ${one.test_code}`, one]));
  const measured = new Map<string, Control[]>();
  for (const one of controls) {
    const key = `${one.analyser_id} ${one.test_code}`;
    measured.set(key, [...(measured.get(key) ?? []), one]);
  }
  const now = Date.now();
  const rows = [...pairs].map(([key, target]) => {
    const of = measured.get(key) ?? [];
    const last = [...newestByLevel(of).values()].sort((one, other) => one.level - other.level);
    return { key, target, state: stateOf(of, now), last };
  });
  rows.sort((one, other) => order(one.state) - order(other.state) || one.key.localeCompare(other.key));
  return (
    <div class="scrolls">
      <table class="qc-today">
        <thead>
          <tr>
            <th scope="col">{t("qc.analyser")}</th>
            <th scope="col">{t("qc.test")}</th>
            <th scope="col">{t("qc.state")}</th>
            <th scope="col">{t("qc.last")}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ key, target, state, last }) => (
            <tr key={key}>
              <td>{name.get(target.analyser_id) ?? "—"}</td>
              <th scope="row">
                <button type="button" class="quiet code" onClick={() => onChoose(target)}>
                  {target.test_code}
                </button>
              </th>
              <td>
                <StateFlag state={state} />
              </td>
              <td class="code">
                {last.map((one) => (
                  <span key={one.level} class="qc-last">
                    {one.level}: {plain(one.value)} ({Number(one.z).toFixed(1)} s) {clinicalTime(one.occurred_at)}
                  </span>
                ))}
                {last.length === 0 && "—"}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const ORDER = ["rejected", "warning", "not_run", "pending", "in_control"];
function order(state: string): number {
  return ORDER.indexOf(state);
}
