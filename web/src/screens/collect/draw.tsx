/** One order at the chair: container by container, Enter for each; a label that is on it already is scanned. */
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { issue } from "../../commands";
import { TextField } from "../../components/fields";
import { t, tCode } from "../../i18n";
import { PatientLine } from "../../patients/patient_line";
import type { Order, Patient, Test } from "../../store/documents";
import { useStore } from "../../store/live";
import { Cap } from "./cap";
import { containers } from "./containers";

interface Props {
  order: Order;
  patient: Patient | undefined;
  tests: Map<string, Test>;
  onCollected(collected_at: string): void;
}

export function Draw({ order, patient, tests, onCollected }: Props) {
  const store = useStore();
  const frame = useRef<HTMLFormElement>(null);
  const [labels, setLabels] = useState<Record<string, string>>({});
  const [wrong, setWrong] = useState<Record<string, string>>({});
  const needed = containers(order, tests);
  const fields = () => Array.from(frame.current?.querySelectorAll<HTMLInputElement>("input") ?? []);

  // before the next key can come: a label whose beginning went elsewhere is another label
  useLayoutEffect(() => (fields()[0] ?? frame.current?.querySelector("button"))?.focus(), [order.id]);

  /** What is on the container already, or why it cannot be. */
  async function check(container: string): Promise<boolean> {
    const code = labels[container]?.trim() ?? "";
    const twice = code && needed.some((one) => one.container !== container && labels[one.container]?.trim() === code);
    const taken = code ? await store.of("specimens").where({ accession_number: code }).count() : 0;
    const shape = !code || /^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$/.test(code);
    const said = !shape ? t("collect.label_wrong") : twice || taken ? t("collect.label_taken", { code }) : "";
    setWrong((before) => ({ ...before, [container]: said }));
    return !said;
  }

  async function next(event: KeyboardEvent, container: string): Promise<void> {
    if (event.key !== "Enter") return;
    event.preventDefault();
    const [field, all] = [event.target as HTMLInputElement, fields()];
    if (!(await check(container))) return field.select();
    const following = all[all.indexOf(field) + 1];
    if (following) following.focus();
    else await collect();
  }

  async function collect(event?: Event): Promise<void> {
    event?.preventDefault();
    for (const { container } of needed) if (!(await check(container))) return;
    const collected_at = new Date().toISOString();
    const given = Object.entries(labels).flatMap(([container, code]) =>
      code.trim() ? [{ container, accession_number: code.trim() }] : [],
    );
    const test_codes = order.tests.map(({ test_code }) => test_code);
    await issue(store, "specimens.collect", { order_id: order.id, collected_at, labels: given }, { test_codes });
    onCollected(collected_at);
  }

  return (
    <form ref={frame} class="draw" onSubmit={collect}>
      <h2>
        {patient && <PatientLine patient={patient} />}
        <span class="code">{order.order_number ?? t("order.no_number")}</span>
        {order.priority !== "routine" && (
          <span class={`flag ${order.priority}`}>{tCode("priority", order.priority)}</span>
        )}
      </h2>
      <ol class="containers">
        {needed.map(({ specimen_type, container, tests: codes, isAmbiguous }) => (
          <li key={`${specimen_type}|${container}`}>
            <Cap container={container} />
            <div>
              <strong>{container}</strong> <span class="hint">{specimen_type}</span>
              <p class="code">{codes.join(", ")}</p>
            </div>
            {!isAmbiguous && (
              <TextField
                label={t("collect.label", { container })}
                name="label"
                autocomplete="off"
                autocapitalize="characters"
                spellcheck={false}
                placeholder={t("collect.label_hint")}
                value={labels[container] ?? ""}
                error={wrong[container]}
                onInput={(event) => setLabels({ ...labels, [container]: event.currentTarget.value })}
                onKeyDown={(event) => next(event, container)}
              />
            )}
          </li>
        ))}
      </ol>
      <button type="submit" class="primary">
        {t("collect.confirm")} <kbd>Enter</kbd>
      </button>
    </form>
  );
}
