/** One result with everything that is known of it, and its correction. */
import { useEffect, useRef, useState } from "preact/hooks";
import { request } from "../../api";
import { issue } from "../../commands";
import { Dialog } from "../../components/dialog";
import { SelectField, TextField } from "../../components/fields";
import { Flag } from "../../components/flag";
import { toastWithUndo } from "../../components/toasts";
import type { components } from "../../generated/api";
import { t, tCode } from "../../i18n";
import { clinicalTime } from "../../i18n/format";
import type { Result, Test } from "../../store/documents";
import { useLive, useStore } from "../../store/live";
import { may } from "../../store/permissions";
import { check } from "./check";
import { Evidence } from "./evidence";
import { Previous, Reasons } from "./parts";

type Mismatch = components["schemas"]["Mismatch"];
const WHY = ["transcription_error", "dilution_error", "unit_error", "wrong_specimen", "instrument_error"];

interface Props {
  result: Result;
  before: Result[];
  test: Test | undefined;
  /** Begin with the correction. */
  correcting?: boolean;
  onClose(): void;
}

export function Detail({ result, before, test, correcting = false, onClose }: Props) {
  const names = useLive(
    async (store) => new Map((await store.of("users").toArray()).map((one) => [one.id, one.full_name])),
  );
  const who = (id: string | null) => (id ? (names?.get(id) ?? "…") : "—");
  const analyser = useLive(
    async (store) => (result.analyser_id ? store.of("analysers").get(result.analyser_id) : undefined),
    [result.analyser_id],
  );
  return (
    <Dialog title={`${result.test_code} · ${test?.name ?? ""}`} onClose={onClose}>
      <dl class="facts">
        <Fact text={t("bench.value")}>
          <strong class="code">{result.value_text}</strong> {result.unit} <Flag flag={result.flag} />
        </Fact>
        <Fact text={t("bench.interval")}>
          <span class="code">{interval(result)}</span>
        </Fact>
        <Fact text={t("bench.previous")}>
          <Previous result={result} before={before} test={test} />
        </Fact>
        {before.length > 1 && (
          <Fact text={t("bench.trend")}>
            {before
              .slice(-5)
              .reverse()
              .map((one) => (
                <div key={one.id} class="code">
                  {one.value_text} · {clinicalTime(one.available_at)}
                </div>
              ))}
          </Fact>
        )}
        <Fact text={t("bench.reasons")}>
          <Reasons of={result} />
        </Fact>
        {result.risk !== null && (
          <Fact text={t("bench.risk")}>
            <span class="code">{risk(result)}</span>
          </Fact>
        )}
        {Object.keys(result.evidence).length > 0 && (
          <Fact text={t("bench.evidence")}>
            <Evidence of={result.evidence} />
          </Fact>
        )}
        <Fact text={t("bench.entered_by")}>
          {result.entered_by_id ? who(result.entered_by_id) : (analyser?.name ?? tCode("bench.entry", result.entry))} ·{" "}
          {clinicalTime(result.available_at)}
        </Fact>
        <Fact text={t("bench.verified_by")}>
          {who(result.verified_by_id)} {result.verified_at && `· ${clinicalTime(result.verified_at)}`}
        </Fact>
      </dl>
      {result.reasons.includes("identity_mismatch") && <Identity id={result.id} />}
      {may("result:correct") && !result.pending && test?.kind !== "text" && (
        <Correction result={result} test={test} open={correcting} onDone={onClose} />
      )}
    </Dialog>
  );
}

function Fact({ text, children }: { text: string; children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{text}</dt>
      <dd>{children}</dd>
    </div>
  );
}

export function interval({ reference_low: low, reference_high: high }: Result): string {
  if (low === null && high === null) return "—";
  if (low === null) return `≤ ${high}`;
  return high === null ? `≥ ${low}` : `${low} – ${high}`;
}

/** The model's risk in hundredths, or nothing where it was not asked. */
export function risk({ risk: found }: Result): string {
  return found === null ? "" : Number(found).toFixed(2);
}

/** What the analyser stated beside what is registered: asked of the server when it is looked at, and kept nowhere. */
function Identity({ id }: { id: string }) {
  const store = useStore();
  const [found, setFound] = useState<Mismatch[] | null>();
  useEffect(() => {
    const ask = async () => request<{ identity: Mismatch[] }>("GET", `/v1/results/${id}`, await store.read("token"));
    ask().then(
      ({ identity }) => setFound(identity),
      () => setFound(null),
    );
  }, [id, store]);
  return (
    <section class="banner wrong">
      <h3>{tCode("hold", "identity_mismatch")}</h3>
      {found === null && <p>{t("bench.identity_offline")}</p>}
      {found && found.length > 0 && (
        <table>
          <thead>
            <tr>
              <th scope="col">{t("bench.identity_field")}</th>
              <th scope="col">{t("bench.identity_stated")}</th>
              <th scope="col">{t("bench.identity_registered")}</th>
            </tr>
          </thead>
          <tbody>
            {found.map(({ field, stated, registered }) => (
              <tr key={field}>
                <th scope="row">{tCode("bench.identity", field)}</th>
                <td>{field === "sex" && stated ? tCode("bench.sex", stated) : (stated ?? "—")}</td>
                <td>{field === "sex" && registered ? tCode("bench.sex", registered) : (registered ?? "—")}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

interface CorrectionProps {
  result: Result;
  test: Test | undefined;
  open: boolean;
  onDone(): void;
}

function Correction({ result, test, open, onDone }: CorrectionProps) {
  const store = useStore();
  const [value, setValue] = useState("");
  const [reason, setReason] = useState("");
  const [comment, setComment] = useState("");
  const said = check(test, value);
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    if (open) form.current?.querySelector("input")?.focus();
  }, [open]);
  async function correct(event: Event): Promise<void> {
    event.preventDefault();
    if (said.problem || !reason) return;
    const body = { result_id: result.id, value_text: said.text, reason, comment: comment.trim() || null };
    const command = await issue(store, "results.correct", body);
    toastWithUndo(store, command, t("bench.corrected", { test: result.test_code }));
    onDone();
  }
  return (
    <details open={open}>
      <summary>{t("bench.correct")}</summary>
      <form ref={form} class="form" onSubmit={correct}>
        <TextField
          label={t("bench.new_value")}
          name="value"
          value={value}
          required
          autocomplete="off"
          error={value && said.problem ? t(`bench.${said.problem}`) : undefined}
          onInput={(event) => setValue(event.currentTarget.value)}
        />
        <SelectField
          label={t("bench.reason")}
          name="reason"
          value={reason}
          required
          options={[["", "—"], ...WHY.map((one): [string, string] => [one, tCode("bench.correction", one)])]}
          onChange={(event) => setReason(event.currentTarget.value)}
        />
        <TextField
          label={t("bench.comment")}
          name="comment"
          value={comment}
          maxLength={1000}
          onInput={(event) => setComment(event.currentTarget.value)}
        />
        <button type="submit">{t("bench.correct")}</button>
      </form>
    </details>
  );
}
