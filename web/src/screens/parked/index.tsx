/** What analysers sent that belongs nowhere: why, and what to do. Nothing of it is ever dropped. */
import { useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { issue } from "../../commands";
import { Dialog } from "../../components/dialog";
import { Empty } from "../../components/empty";
import { ChoiceField } from "../../components/fields";
import { Page } from "../../components/page";
import { toastWithUndo } from "../../components/toasts";
import { t, tCode } from "../../i18n";
import { clinicalTime } from "../../i18n/format";
import { useLive, useStore } from "../../store/live";
import { may } from "../../store/permissions";
import { type Group, groups } from "./groups";
import "./parked.css";

/** Where the work goes on for a reason, and who may go there. */
const LEADS: Record<string, { href: string; text: "nav.receive" | "nav.qc" | "nav.register"; permission: string }> = {
  specimen_not_received: { href: "/receive", text: "nav.receive", permission: "specimen:receive" },
  no_control_target: { href: "/qc", text: "nav.qc", permission: "control:read" },
  not_ordered: { href: "/register", text: "nav.register", permission: "order:place" },
};
const RESOLUTIONS = ["recorded_otherwise", "wrong_barcode", "duplicate", "calibration_run", "not_ours"] as const;
type Resolution = (typeof RESOLUTIONS)[number];

export default function ParkedValues() {
  const [tab, setTab] = useState<"waiting" | "done">("waiting");
  const [asked, setAsked] = useState<Group | null>(null);
  const parked = useLive((store) => store.of("parked").toArray());
  if (!parked) return null;
  const waiting = groups(parked.filter(({ resolved_at }) => resolved_at === null));
  const done = groups(parked.filter(({ resolved_at }) => resolved_at !== null));
  const shown = tab === "waiting" ? waiting : done;
  return (
    <Page title={t("nav.parked")}>
      <ChoiceField
        legend={t("parked.show")}
        name="tab"
        value={tab}
        options={[
          ["waiting", `${t("parked.waiting")} (${waiting.length})`],
          ["done", `${t("parked.done")} (${done.length})`],
        ]}
        onChange={(chosen) => setTab(chosen as "waiting" | "done")}
      />
      {shown.length === 0 && (
        <Empty title={t(tab === "waiting" ? "parked.none" : "parked.none_done")}>
          {tab === "waiting" && <p>{t("parked.none_hint")}</p>}
        </Empty>
      )}
      {shown.length > 0 && (
        <div class="scrolls">
          <table class="parked">
            <thead>
              <tr>
                <th scope="col">{t("parked.at")}</th>
                <th scope="col">{t("parked.channel")}</th>
                <th scope="col">{t("parked.codes")}</th>
                <th scope="col">{t("parked.why")}</th>
                <th scope="col">{t(tab === "waiting" ? "parked.next" : "parked.done")}</th>
              </tr>
            </thead>
            <tbody>
              {shown.map((group) => (
                <tr key={group.key} class={group.items.some(({ pending }) => pending) ? "pending" : undefined}>
                  <td class="code">{clinicalTime(group.recorded_at)}</td>
                  <td class="code">{group.channel}</td>
                  <td class="code codes">{codes(group)}</td>
                  <td>{tCode("parked.why", group.reason)}</td>
                  {tab === "waiting" ? (
                    <td>
                      <Next group={group} onAside={() => setAsked(group)} />
                    </td>
                  ) : (
                    <td>
                      {tCode("parked.resolution", group.resolution ?? "")}
                      <br />
                      <span class="code hint">{group.resolved_at && clinicalTime(group.resolved_at)}</span>
                    </td>
                  )}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {asked && <Aside group={asked} onClose={() => setAsked(null)} />}
    </Page>
  );
}

function Next({ group, onAside }: { group: Group; onAside(): void }) {
  const lead = LEADS[group.reason];
  return (
    <>
      <p>{tCode("parked.next", group.reason)}</p>
      <div class="actions">
        {lead && may(lead.permission) && <Link href={lead.href}>{t(lead.text)}</Link>}
        {may("parked:resolve") && (
          <button type="button" onClick={onAside}>
            {t("parked.set_aside")}
          </button>
        )}
      </div>
    </>
  );
}

function Aside({ group, onClose }: { group: Group; onClose(): void }) {
  const store = useStore();
  const [reason, setReason] = useState<Resolution | "">("");
  async function setAside(event: Event): Promise<void> {
    event.preventDefault();
    if (!reason) return;
    const commands = [];
    for (const { id } of group.items) commands.push(await issue(store, "parked.set_aside", { id, reason }));
    toastWithUndo(store, commands, t("command.parked.set_aside"));
    onClose();
  }
  return (
    <Dialog title={t("parked.set_aside")} onClose={onClose}>
      <form class="form" onSubmit={setAside}>
        <p>
          <span class="code">{codes(group)}</span> · {tCode("parked.why", group.reason)}
        </p>
        <p class="hint">{t("parked.set_aside_hint")}</p>
        <ChoiceField
          legend={t("parked.reason")}
          name="resolution"
          value={reason}
          options={RESOLUTIONS.map((one) => [one, tCode("parked.resolution", one)])}
          onChange={(chosen) => setReason(chosen as Resolution)}
        />
        <button type="submit" class="primary" disabled={!reason}>
          {t("parked.set_aside")}
        </button>
      </form>
    </Dialog>
  );
}

function codes({ items }: Group): string {
  return items.map(({ code }) => code ?? "—").join(", ");
}
