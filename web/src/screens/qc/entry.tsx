/** One value a level of the chosen lot and test, recorded together; below it what the server said of each. */
import { useEffect, useRef, useState } from "preact/hooks";
import { issue } from "../../commands";
import { TextField } from "../../components/fields";
import { t } from "../../i18n";
import type { Store } from "../../store/database";
import type { ControlTarget } from "../../store/documents";
import { useLive, useStore } from "../../store/live";
import { limit, plain } from "./state";
import { StateFlag, Verdict } from "./verdict";

interface Issued {
  command: string;
  level: number;
  at: number;
}

export function Entry({ targets, unit }: { targets: ControlTarget[]; unit: string }) {
  const store = useStore();
  const form = useRef<HTMLFormElement>(null);
  const [values, setValues] = useState<Record<number, string>>({});
  const [wrong, setWrong] = useState<number[]>([]);
  const [issued, setIssued] = useState<Issued[]>([]);
  const chosen = targets.map(({ id }) => id).join();
  useEffect(() => {
    setValues({});
    setWrong([]);
    setIssued([]);
  }, [chosen]);

  async function record(event: Event): Promise<void> {
    event.preventDefault();
    const given = targets.filter(({ level }) => values[level]?.trim());
    const bad = given.filter(({ level }) => !/^-?\d+(\.\d+)?$/.test(values[level]?.trim() ?? ""));
    const missing = given.length ? [] : targets.slice(0, 1);
    setWrong([...bad, ...missing].map(({ level }) => level));
    if (bad.length || missing.length) return;
    const at = Date.now();
    const made: Issued[] = [];
    for (const { analyser_id, material, lot_number, level, test_code } of given) {
      const value = values[level]?.trim() ?? "";
      const occurred_at = new Date(at).toISOString();
      const body = { analyser_id, material, lot_number, level, test_code, value, unit, occurred_at };
      made.push({ command: (await issue(store, "controls.record", body)).id, level, at });
    }
    setIssued(made);
    setValues({});
    form.current?.querySelector("input")?.focus();
  }

  return (
    <>
      <form class="form qc-entry" ref={form} onSubmit={record}>
        {targets.map((target) => (
          <TextField
            key={target.id}
            label={`${t("qc.level")} ${target.level}`}
            hint={`${plain(target.mean)} ± ${plain(target.sd)} ${unit} (2 SD: ${limit(target, -2)} – ${limit(target, 2)})`}
            error={wrong.includes(target.level) ? t("qc.not_number") : undefined}
            name={`level-${target.level}`}
            inputMode="decimal"
            autocomplete="off"
            value={values[target.level] ?? ""}
            onInput={(event) => setValues({ ...values, [target.level]: event.currentTarget.value })}
          />
        ))}
        <button type="submit" class="primary">
          {t("qc.record")}
        </button>
      </form>
      <ul class="cards qc-answers" aria-live="polite">
        {issued.map((one) => (
          <AnswerOf key={one.command} issued={one} target={targets.find(({ level }) => level === one.level)} />
        ))}
      </ul>
    </>
  );
}

function AnswerOf({ issued, target }: { issued: Issued; target: ControlTarget | undefined }) {
  const found = useLive((store) => answer(store, issued, target), [issued, target]);
  if (!found?.control && !found?.problem) return null;
  const { control, problem } = found;
  return (
    <li class={problem || control?.status === "rejected" ? "card wrong" : "card"} data-level={issued.level}>
      <h3>
        {t("qc.level")} {issued.level}
      </h3>
      {problem && (
        <>
          <p>
            <strong>{problem.title}</strong>
          </p>
          <p>{problem.detail}</p>
        </>
      )}
      {!problem && control?.pending && <StateFlag state="pending" />}
      {!problem && control && !control.pending && <Verdict control={control} />}
    </li>
  );
}

/** The refusal of the command, or the control that it made: pending, or as the server judged it. */
async function answer(store: Store, { command, level, at }: Issued, target: ControlTarget | undefined) {
  if (!target) return null;
  const known = await store.outbox.get({ id: command });
  if (known?.problem) return { problem: known.problem, control: undefined };
  const { analyser_id, test_code } = target;
  const controls = await store.of("controls").where({ analyser_id, test_code, level }).toArray();
  return { problem: undefined, control: controls.find(({ occurred_at }) => Date.parse(occurred_at) === at) };
}
