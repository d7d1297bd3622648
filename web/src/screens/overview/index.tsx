/** Where the day's work stands, from the local store alone. */
import { Link } from "wouter-preact";
import { Empty } from "../../components/empty";
import { Page } from "../../components/page";
import { type Key, t, tCode } from "../../i18n";
import { clinicalTime, duration, number } from "../../i18n/format";
import { useLive } from "../../store/live";
import { may } from "../../store/permissions";
import { overdue, type Stage, stages } from "./stages";

const LEADS: Record<Stage, { text: Key; href: string; permission: string }> = {
  to_collect: { text: "overview.to_collect", href: "/collect", permission: "specimen:collect" },
  to_receive: { text: "overview.to_receive", href: "/receive", permission: "specimen:receive" },
  to_measure: { text: "overview.to_measure", href: "/results", permission: "result:read" },
  to_verify: { text: "overview.to_verify", href: "/results", permission: "result:read" },
  to_authorise: { text: "overview.to_authorise", href: "/authorise", permission: "result:authorise" },
  to_resolve: { text: "overview.to_resolve", href: "/parked", permission: "message:read" },
};

export default function Overview() {
  const counts = useLive(stages);
  const late = useLive((store) => overdue(store, Date.now()));
  return (
    <Page title={t("nav.overview")}>
      {counts && (
        <ul class="figures">
          {(Object.keys(LEADS) as Stage[]).map((stage) => (
            <li key={stage}>
              <Figure stage={stage} count={counts[stage]} />
            </li>
          ))}
        </ul>
      )}
      <section>
        <h2>{t("overview.overdue")}</h2>
        {late?.length === 0 && <Empty title={t("overview.none_overdue")} />}
        {late && late.length > 0 && (
          <div class="scrolls">
            <table>
              <thead>
                <tr>
                  <th scope="col">{t("order.number")}</th>
                  <th scope="col">{t("order.priority")}</th>
                  <th scope="col">{t("order.due_at")}</th>
                  <th scope="col">{t("order.late_by")}</th>
                  <th scope="col">{t("order.open_tests")}</th>
                </tr>
              </thead>
              <tbody>
                {late.map(({ order, open, by }) => (
                  <tr key={order.id}>
                    <th scope="row" class="code">
                      {order.order_number ?? t("order.no_number")}
                    </th>
                    <td>
                      <span class={`flag ${order.priority}`}>{tCode("priority", order.priority)}</span>
                    </td>
                    <td class="code">{order.due_at && clinicalTime(order.due_at)}</td>
                    <td>{duration(by)}</td>
                    <td class="code">{open.join(", ")}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </section>
    </Page>
  );
}

function Figure({ stage, count }: { stage: Stage; count: number }) {
  const { text, href, permission } = LEADS[stage];
  const shown = (
    <>
      <strong>{number(count)}</strong>
      <span>{t(text)}</span>
    </>
  );
  return may(permission) ? (
    <Link href={href} class="figure">
      {shown}
    </Link>
  ) : (
    <div class="figure">{shown}</div>
  );
}
