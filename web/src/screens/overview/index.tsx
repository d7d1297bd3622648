/** Where the day's work stands, from the local store alone. */
import { Link } from "wouter-preact";
import { Empty } from "../../components/empty";
import { Page } from "../../components/page";
import { type Key, t, tCode } from "../../i18n";
import { clinicalTime, duration, number } from "../../i18n/format";
import { useLive } from "../../store/live";
import { may } from "../../store/permissions";
import { SCREENS } from "..";
import { off } from "../switch/targets";
import { Analysers } from "./analysers";
import { type Late, overdue, type Stage, stages } from "./stages";
import { today } from "./today";

/** `seen`: who has the documents that are counted; `permission`: who may go where the work is done. */
const LEADS: Record<Stage, { text: Key; href: string; permission: string; seen: string }> = {
  to_collect: { text: "overview.to_collect", href: "/collect", permission: "specimen:collect", seen: "order:read" },
  to_receive: { text: "overview.to_receive", href: "/receive", permission: "specimen:receive", seen: "specimen:read" },
  to_measure: { text: "overview.to_measure", href: "/results", permission: "result:read", seen: "specimen:read" },
  to_verify: { text: "overview.to_verify", href: "/results", permission: "result:read", seen: "result:read" },
  to_authorise: {
    text: "overview.to_authorise",
    href: "/authorise",
    permission: "result:authorise",
    seen: "result:read",
  },
  to_resolve: { text: "overview.to_resolve", href: "/parked", permission: "message:read", seen: "message:read" },
};

export default function Overview() {
  const counts = useLive(stages);
  const late = useLive((store) => overdue(store, Date.now()));
  const day = useLive(today);
  const seen = (Object.keys(LEADS) as Stage[]).filter((stage) => may(LEADS[stage].seen));
  return (
    <Page title={t("nav.overview")}>
      {counts && day && (
        <ul class="figures">
          {seen.map((stage) => (
            <li key={stage}>
              <Figure shown={number(counts[stage])} {...LEADS[stage]} />
            </li>
          ))}
          {may("result:read") && (
            <li>
              <Figure
                shown={number(day.calls)}
                text="overview.calls"
                href="/calls"
                permission="critical:call"
                alarming={day.calls > 0}
              />
            </li>
          )}
          {may("specimen:read") && day.oldest && (
            <li>
              <Figure
                shown={duration(Date.now() - Date.parse(day.oldest.since))}
                text="overview.oldest"
                beside={day.oldest.accession}
                href="/results"
                permission="result:read"
              />
            </li>
          )}
          {may("result:read") && day.released > 0 && (
            <li>
              <Figure
                shown={number(day.automatic / day.released, { style: "percent" })}
                text="overview.automatic"
                beside={`${number(day.automatic)} / ${number(day.released)}`}
              />
            </li>
          )}
        </ul>
      )}
      {may("site:read") && <Release />}
      {may("order:read") && <Overdue late={late} />}
      {may("analyser:read") && <Analysers />}
    </Page>
  );
}

interface FigureProps {
  shown: string;
  text: Key;
  beside?: string | null;
  href?: string;
  permission?: string;
  alarming?: boolean;
}

/** One number of the day, and the way to the work behind it for who may do it. */
function Figure({ shown, text, beside, href, permission, alarming }: FigureProps) {
  const content = (
    <>
      <strong>{shown}</strong>
      <span>{t(text)}</span>
      {beside && <span class="code">{beside}</span>}
    </>
  );
  const looks = alarming ? "figure alarming" : "figure";
  const there = href && SCREENS.some(({ path }) => path === href) && may(permission ?? "");
  return there ? (
    <Link href={href} class={looks}>
      {content}
    </Link>
  ) : (
    <div class={looks}>{content}</div>
  );
}

function Release() {
  const every = t("release.every");
  const names = useLive((store) => off(store, every), [every]);
  if (!names) return null;
  return (
    <p class={names.length ? "banner wrong" : "hint"}>
      {names.length ? t("release.off_for", { names: names.join(", ") }) : t("release.on_everywhere")}
    </p>
  );
}

function Overdue({ late }: { late: Late[] | undefined }) {
  return (
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
  );
}
