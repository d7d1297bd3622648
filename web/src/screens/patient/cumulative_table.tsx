import { Flag } from "../../components/flag";
import { t } from "../../i18n";
import { clinicalTime } from "../../i18n/format";
import type { Cell, Cumulative } from "./cumulative";

interface Props {
  table: Cumulative;
  /** The test whose course is shown. */
  chosen: string | undefined;
  onChoose(code: string): void;
}

export function CumulativeTable({ table: { columns, rows }, chosen, onChoose }: Props) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is scrolled by the keyboard too
    <section class="scrolls" aria-label={t("patient.results")} tabIndex={0}>
      <table class="cumulative">
        <thead>
          <tr>
            <th scope="col">{t("patient.test")}</th>
            <th scope="col">{t("patient.unit")}</th>
            {columns.map(({ order_id, order_number, at }) => (
              <th key={order_id} scope="col" class="code">
                {clinicalTime(at)}
                <br />
                <span class="hint">{order_number}</span>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ code, name, unit, cells }) => (
            <tr key={code}>
              <th scope="row">
                <button type="button" class="test" aria-pressed={code === chosen} onClick={() => onChoose(code)}>
                  <span class="code">{code}</span> {name}
                </button>
              </th>
              <td class="hint">{unit}</td>
              {columns.map(({ order_id }) => {
                const cell = cells.get(order_id);
                return <td key={order_id}>{cell && <Value cell={cell} />}</td>;
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Value({ cell: { result, delta, isBeyond } }: { cell: Cell }) {
  const isHeld = result.status === "held";
  return (
    <span class={result.pending || isHeld ? "value-of pending" : "value-of"}>
      <span class="code">{result.value_text}</span> <Flag flag={result.flag} />
      {delta !== null && delta !== 0 && (
        <span class={isBeyond ? "delta beyond" : "delta"}>
          <span class="hidden">{t("patient.delta")}</span> {delta > 0 ? "▲" : "▼"} {Math.abs(delta)} %
        </span>
      )}
      {isHeld && <span class="held">{t("patient.held")}</span>}
    </span>
  );
}
