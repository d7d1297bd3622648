import { Flag } from "../../components/flag";
import { t, tCode } from "../../i18n";
import { clinicalTime } from "../../i18n/format";
import { interval, risk } from "../results/detail";
import { Person, Previous, Reasons, Standing } from "../results/parts";
import type { Held, Waiting } from "./waiting";

interface Props {
  of: Waiting;
  /** The result that the keys are about. */
  at: string | undefined;
  ticked: ReadonlySet<string>;
  own(line: Held): boolean;
  onStand(id: string): void;
  onTick(line: Held): void;
  onOpen(line: Held): void;
  onReject(line: Held): void;
}

export function OrderOf({ of: { order, patient, held }, at, ticked, own, onStand, onTick, onOpen, onReject }: Props) {
  const late = order.due_at !== null && Date.parse(order.due_at) < Date.now();
  const name = order.order_number ?? t("order.no_number");
  return (
    <section class="card of-order" aria-label={name}>
      <header>
        <h2 class="code">{name}</h2>
        <span class={`flag ${order.priority}`}>{tCode("priority", order.priority)}</span>
        <span>
          <Person patient={patient} /> {patient && tCode("bench.sex", patient.sex)}
        </span>
        {order.due_at && (
          <span class={late ? "late" : "soft"}>
            {t("order.due_at")} <span class="code">{clinicalTime(order.due_at)}</span>
          </span>
        )}
      </header>
      <div class="scrolls">
        <table>
          <thead>
            <tr>
              <th scope="col" title={t("bench.ticked")}>
                ✓
              </th>
              <th scope="col">{t("bench.test")}</th>
              <th scope="col" class="numeric">
                {t("bench.value")}
              </th>
              <th scope="col">{t("bench.interval")}</th>
              <th scope="col">{t("bench.previous")}</th>
              <th scope="col">{t("bench.reasons")}</th>
              <th scope="col">{t("bench.standing")}</th>
              <th scope="col">{t("authorise.actions")}</th>
            </tr>
          </thead>
          <tbody>
            {held.map((line) => (
              <tr
                key={line.result.id}
                id={`held-${line.result.id}`}
                class={`${at === line.result.id ? "here" : ""}${ticked.has(line.result.id) ? " ticked" : ""}`}
                aria-current={at === line.result.id ? "true" : undefined}
                onClick={() => onStand(line.result.id)}
              >
                <td>
                  <input
                    type="checkbox"
                    aria-label={`${t("bench.ticked")}: ${line.result.test_code}`}
                    checked={ticked.has(line.result.id)}
                    disabled={own(line)}
                    onChange={() => onTick(line)}
                  />
                </td>
                <th scope="row">
                  <button type="button" class="quiet code" title={line.test?.name} onClick={() => onOpen(line)}>
                    {line.result.test_code}
                  </button>
                </th>
                <td class="numeric code">
                  <Flag flag={line.result.flag} /> <strong>{line.result.value_text}</strong> {line.result.unit}
                </td>
                <td class="code">{interval(line.result)}</td>
                <td>
                  <Previous result={line.result} before={line.before} test={line.test} />
                </td>
                <td>
                  <Reasons of={line.result} />
                  {line.result.risk !== null && (
                    <span class="soft">
                      {t("bench.risk")} <span class="code">{risk(line.result)}</span>
                    </span>
                  )}
                </td>
                <td>
                  {own(line) ? (
                    <span class="flag high">{t("authorise.own")}</span>
                  ) : (
                    <Standing result={line.result} refused={line.refused} />
                  )}
                </td>
                <td>
                  <button type="button" class="quiet" onClick={() => onReject(line)}>
                    {t("authorise.reject")}
                  </button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
