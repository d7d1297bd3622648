/** Critical values: whom to tell, since when they wait, and who was told. */
import { useEffect, useState } from "preact/hooks";
import { Empty } from "../../components/empty";
import { Flag } from "../../components/flag";
import { Page } from "../../components/page";
import { t, tCode } from "../../i18n";
import { clock, duration } from "../../i18n/format";
import { useLive } from "../../store/live";
import { today } from "../authorise/released";
import { Person } from "../results/parts";
import { CallForm } from "./call_form";
import { callsSince, type ToCall, toCall } from "./waiting";

/** EXAMPLE: within how long somebody is to be told. */
const WITHIN = 30 * 60_000;

export default function Calls() {
  const wait = useLive(toCall);
  const made = useLive((store) => callsSince(store, today(Date.now())));
  const [calling, setCalling] = useState<ToCall | null>(null);
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 10_000);
    return () => clearInterval(timer);
  }, []);
  return (
    <Page title={t("nav.calls")}>
      <section>
        <h2>{t("calls.waiting")}</h2>
        <p class="soft">{t("calls.within", { minutes: WITHIN / 60_000 })}</p>
        {wait?.length === 0 && <Empty title={t("calls.none_waiting")} />}
        <ul class="cards">
          {wait?.map((one) => (
            <li key={one.result.id} class={now - Date.parse(one.result.available_at) > WITHIN ? "card wrong" : "card"}>
              <Waits of={one} now={now} onCall={() => setCalling(one)} />
            </li>
          ))}
        </ul>
      </section>
      <section>
        <h2>{t("calls.today")}</h2>
        {made?.length === 0 && <Empty title={t("calls.none_today")} />}
        {made && made.length > 0 && (
          <div class="scrolls">
            <table>
              <thead>
                <tr>
                  <th scope="col">{t("calls.at")}</th>
                  <th scope="col">{t("bench.test")}</th>
                  <th scope="col" class="numeric">
                    {t("bench.value")}
                  </th>
                  <th scope="col">{t("calls.outcome")}</th>
                  <th scope="col">{t("calls.told")}</th>
                  <th scope="col">{t("calls.read_back")}</th>
                  <th scope="col">{t("calls.by")}</th>
                </tr>
              </thead>
              <tbody>
                {made.map(({ call, result, by }) => (
                  <tr key={call.id} class={call.pending ? "pending" : undefined}>
                    <td class="code">{clock(call.called_at)}</td>
                    <td class="code">{result?.test_code}</td>
                    <td class="code numeric">
                      {result?.value_text} {result?.unit}
                    </td>
                    <td>
                      {tCode("calls.was", call.outcome)} {call.pending && t("bench.pending")}
                    </td>
                    <td>{call.informed ?? "—"}</td>
                    <td>{call.read_back ? "✓" : "—"}</td>
                    <td>{by ?? "—"}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </section>
      {calling && <CallForm of={calling} onClose={() => setCalling(null)} />}
    </Page>
  );
}

function Waits({
  of: { result, order, patient, site, test, tries },
  now,
  onCall,
}: {
  of: ToCall;
  now: number;
  onCall(): void;
}) {
  const since = now - Date.parse(result.available_at);
  return (
    <>
      <h3>
        <span class="code">
          {result.test_code} {result.value_text} {result.unit}
        </span>{" "}
        <Flag flag={result.flag} /> <span class="soft">{test?.name}</span>
      </h3>
      <p class={since > WITHIN ? "late" : undefined} role="timer">
        {t(since > WITHIN ? "calls.overdue" : "calls.since", { time: duration(since) })}
      </p>
      <p>
        <Person patient={patient} /> ·{" "}
        {patient?.phone ? <a href={`tel:${patient.phone}`}>{patient.phone}</a> : t("calls.no_phone")}
        {site && ` · ${site.name}`} · <span class="code">{order?.order_number}</span>
      </p>
      {tries.length > 0 && <p class="soft">{t("calls.tries", { count: tries.length })}</p>}
      <button type="button" class="primary" onClick={onCall}>
        {t("calls.record")}
      </button>
    </>
  );
}
