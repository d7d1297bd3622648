import { useState } from "preact/hooks";
import { issue } from "../../commands";
import { Dialog } from "../../components/dialog";
import { ChoiceField, TextField } from "../../components/fields";
import { toast } from "../../components/toasts";
import { t, tCode } from "../../i18n";
import { useStore } from "../../store/live";
import { uuid7 } from "../../uuid7";
import type { ToCall } from "./waiting";

const OUTCOMES = ["informed", "not_reached"] as const;

/** Who was told, and that the value was read back; or that nobody was reached. */
export function CallForm({ of: { result }, onClose }: { of: ToCall; onClose(): void }) {
  const store = useStore();
  const [outcome, setOutcome] = useState<(typeof OUTCOMES)[number]>("informed");
  const [who, setWho] = useState("");
  const [readBack, setReadBack] = useState(false);
  const [missing, setMissing] = useState(false);
  const informed = outcome === "informed";

  async function record(event: Event): Promise<void> {
    event.preventDefault();
    if (informed && !(who.trim() && readBack)) return setMissing(true);
    await issue(store, "critical_calls.record", {
      id: uuid7(),
      result_id: result.id,
      called_at: new Date().toISOString(),
      outcome,
      informed: informed ? who.trim() : null,
      read_back: informed && readBack,
    });
    toast(t("command.critical_calls.record"));
    onClose();
  }

  return (
    <Dialog title={`${t("calls.record")} · ${result.test_code} ${result.value_text} ${result.unit}`} onClose={onClose}>
      <form class="cards" onSubmit={record}>
        <ChoiceField
          legend={t("calls.outcome")}
          name="outcome"
          value={outcome}
          options={OUTCOMES.map((one) => [one, tCode("calls.was", one)])}
          onChange={(to) => setOutcome(to as (typeof OUTCOMES)[number])}
        />
        {informed && (
          <>
            <TextField
              label={t("calls.told")}
              name="informed"
              value={who}
              maxLength={200}
              autocomplete="off"
              onInput={(event) => setWho(event.currentTarget.value)}
            />
            <label class="tick">
              <input
                type="checkbox"
                name="read_back"
                checked={readBack}
                onChange={(event) => setReadBack(event.currentTarget.checked)}
              />{" "}
              {t("calls.was_read_back")}
            </label>
          </>
        )}
        {informed && missing && (
          <p role="alert" class="banner wrong">
            {t("calls.missing")}
          </p>
        )}
        <button type="submit" class="primary">
          {t("calls.keep")}
        </button>
      </form>
    </Dialog>
  );
}
