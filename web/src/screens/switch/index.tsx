/** The red switch: automatic release off at once, on again only after a second look. */
import { useState } from "preact/hooks";
import { issue } from "../../commands";
import { Dialog } from "../../components/dialog";
import { ChoiceField, SelectField, TextField } from "../../components/fields";
import { Page } from "../../components/page";
import { t, tCode } from "../../i18n";
import { clinicalTime } from "../../i18n/format";
import { useSyncState } from "../../shell/status";
import type { User } from "../../store/documents";
import { useLive, useStore } from "../../store/live";
import "./switch.css";
import { EVERY, type Target, targets } from "./targets";

const OFF_REASONS = ["fault_suspected", "control_rejected", "reagent_changed", "maintenance", "other"];
const ON_REASONS = ["cause_mended", "controls_accepted", "maintenance_done"];

export default function ReleaseSwitch() {
  const every = t("release.every");
  const all = useLive((store) => targets(store, every), [every]);
  const users = useLive((store) => store.of("users").toArray());
  const store = useStore();
  const isUnheard = useSyncState() !== "online";
  const [reason, setReason] = useState(OFF_REASONS[0] ?? "");
  const [sought, setSought] = useState("");
  const [asked, setAsked] = useState<Target | null>(null);
  if (!all || !users) return null;
  const isOff = (one: Target) => Boolean(one.last?.is_off);
  const everyIsOff = all.some((one) => one.target === EVERY && isOff(one));
  const shown = all
    .filter(({ name }) => name.toLowerCase().includes(sought.trim().toLowerCase()))
    .sort((one, other) => Number(isOff(other)) - Number(isOff(one)));

  async function turn({ scope, target }: Target, off: boolean, why: string): Promise<void> {
    await issue(store, "release.switch", { scope, target, off, reason: why });
  }

  return (
    <Page title={t("nav.switch")}>
      <p class={all.some(isOff) ? "banner wrong" : "banner good"}>
        {all.some(isOff)
          ? t("release.off_for", {
              names: all
                .filter(isOff)
                .map(({ name }) => name)
                .join(", "),
            })
          : t("release.on_everywhere")}
      </p>
      {isUnheard && all.some((one) => isOff(one) && one.last?.pending) && (
        <p class="banner wrong">{t("switch.not_sent")}</p>
      )}
      <div class="form switch-form">
        <TextField
          label={t("switch.search")}
          name="search"
          value={sought}
          onInput={(event) => setSought(event.currentTarget.value)}
        />
        <SelectField
          label={t("switch.reason_off")}
          name="reason"
          value={reason}
          options={OFF_REASONS.map((one) => [one, tCode("switch.reason", one)])}
          onChange={(event) => setReason(event.currentTarget.value)}
        />
      </div>
      <div class="scrolls">
        <table class="switches">
          <thead>
            <tr>
              <th scope="col">{t("switch.kind")}</th>
              <th scope="col">{t("switch.what")}</th>
              <th scope="col">{t("nav.switch")}</th>
              <th scope="col">{t("switch.last")}</th>
              <th scope="col">
                <span class="unseen">{t("switch.action")}</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {shown.map((one) => (
              <tr key={`${one.scope}:${one.target}`} class={one.last?.pending ? "pending" : undefined}>
                <td>{tCode("switch.scope", one.scope)}</td>
                <th scope="row">{one.name}</th>
                <td>
                  <span class={isOff(one) ? "flag rejected" : "flag accepted"}>
                    {t(isOff(one) ? "switch.off" : "switch.on")}
                  </span>
                  {one.last?.pending && <span class="hint"> {t("bench.pending")}</span>}
                  {everyIsOff && !isOff(one) && <span class="hint"> {t("switch.off_above")}</span>}
                </td>
                <td class="hint">{one.last ? history(one.last, users) : "—"}</td>
                <td>
                  {isOff(one) ? (
                    <button type="button" onClick={() => setAsked(one)}>
                      {t("switch.turn_on")}
                    </button>
                  ) : (
                    <button type="button" class="stop" onClick={() => turn(one, true, reason)}>
                      {t("switch.turn_off")}
                    </button>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {asked && (
        <Confirm
          target={asked}
          onClose={() => setAsked(null)}
          onConfirm={async (why) => {
            await turn(asked, false, why);
            setAsked(null);
          }}
        />
      )}
    </Page>
  );
}

interface ConfirmProps {
  target: Target;
  onClose(): void;
  onConfirm(reason: string): void;
}

/** The second step of switching on: what it means, and why it may be. */
function Confirm({ target, onClose, onConfirm }: ConfirmProps) {
  const [reason, setReason] = useState("");
  return (
    <Dialog title={t("switch.confirm_title", { target: target.name })} onClose={onClose}>
      <p>{t("switch.confirm")}</p>
      <ChoiceField
        legend={t("switch.reason_on")}
        name="reason_on"
        value={reason}
        options={ON_REASONS.map((one) => [one, tCode("switch.reason", one)])}
        onChange={setReason}
      />
      <div class="actions">
        <button type="button" class="primary" disabled={!reason} onClick={() => onConfirm(reason)}>
          {t("switch.confirm_on")}
        </button>
      </div>
    </Dialog>
  );
}

/** `24-Nov-2026 14:05, Example Quality Officer: analyser fault suspected`. */
function history(last: NonNullable<Target["last"]>, users: User[]): string {
  const who = users.find(({ id }) => id === last.set_by_id)?.full_name;
  return `${[clinicalTime(last.set_at), who].filter(Boolean).join(", ")}: ${tCode("switch.reason", last.reason ?? "")}`;
}
