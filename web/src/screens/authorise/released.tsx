import { Empty } from "../../components/empty";
import { Flag } from "../../components/flag";
import { t } from "../../i18n";
import { clock } from "../../i18n/format";
import { useLive } from "../../store/live";
import { interval, risk } from "../results/detail";
import { released } from "./waiting";

/** The last midnight in India, milliseconds. */
export function today(now: number): number {
  const [day, offset] = [86_400_000, 5.5 * 3_600_000];
  return Math.floor((now + offset) / day) * day - offset;
}

/** Read only. */
export function Released() {
  const found = useLive(async (store) => {
    const results = await released(store, today(Date.now()));
    const orders = await store.of("orders").bulkGet(results.map(({ order_id }) => order_id));
    return results.map((result, number) => ({ result, order_number: orders[number]?.order_number }));
  });
  if (found?.length === 0) return <Empty title={t("authorise.none_released")} />;
  return (
    <div class="scrolls">
      <table>
        <thead>
          <tr>
            <th scope="col">{t("calls.at")}</th>
            <th scope="col">{t("order.number")}</th>
            <th scope="col">{t("bench.test")}</th>
            <th scope="col" class="numeric">
              {t("bench.value")}
            </th>
            <th scope="col">{t("bench.unit")}</th>
            <th scope="col">{t("bench.interval")}</th>
            <th scope="col">{t("bench.risk")}</th>
          </tr>
        </thead>
        <tbody>
          {found?.map(({ result, order_number }) => (
            <tr key={result.id}>
              <td class="code">{clock(result.available_at)}</td>
              <td class="code">{order_number}</td>
              <td class="code">{result.test_code}</td>
              <td class="numeric code">
                <Flag flag={result.flag} /> {result.value_text}
              </td>
              <td>{result.unit}</td>
              <td class="code">{interval(result)}</td>
              <td class="code">{risk(result)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
