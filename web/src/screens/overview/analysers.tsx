import { Link } from "wouter-preact";
import { Empty } from "../../components/empty";
import { t } from "../../i18n";
import { clinicalTime } from "../../i18n/format";
import { useLive } from "../../store/live";
import { may } from "../../store/permissions";
import { StateFlag } from "../qc/verdict";
import { analysers } from "./today";

/** Every analyser, what its controls say, and when it last sent something. */
export function Analysers() {
  const lines = useLive(analysers);
  if (!lines) return null;
  return (
    <section>
      <h2>{t("overview.analysers")}</h2>
      {lines.length === 0 && <Empty title={t("overview.no_analyser")} />}
      {lines.length > 0 && (
        <div class="scrolls">
          <table>
            <thead>
              <tr>
                <th scope="col">{t("qc.analyser")}</th>
                {may("control:read") && <th scope="col">{t("nav.qc")}</th>}
                {may("control:read") && <th scope="col">{t("qc.last")}</th>}
                {may("result:read") && <th scope="col">{t("overview.last_result")}</th>}
              </tr>
            </thead>
            <tbody>
              {lines.map(({ analyser, states, last_result, last_control }) => (
                <tr key={analyser.id}>
                  <th scope="row">{may("control:read") ? <Link href="/qc">{analyser.name}</Link> : analyser.name}</th>
                  {may("control:read") && (
                    <td>
                      <div class="actions">
                        {[...states].map(([state, tests]) => (
                          <span key={state}>
                            <StateFlag state={state} /> {tests}
                          </span>
                        ))}
                      </div>
                    </td>
                  )}
                  {may("control:read") && <td class="code">{last_control ? clinicalTime(last_control) : "—"}</td>}
                  {may("result:read") && <td class="code">{last_result ? clinicalTime(last_result) : "—"}</td>}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
