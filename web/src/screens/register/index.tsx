/** A person at the counter: known or new, what is ordered, and one submit for both. */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { issue } from "../../commands";
import type { PlaceOrder } from "../../commands/orders";
import { ChoiceField, SelectField } from "../../components/fields";
import { Page } from "../../components/page";
import { LANGUAGES, t, tCode } from "../../i18n";
import { dayOf } from "../../patients/age";
import { reading } from "../../patients/matching";
import { PatientLine } from "../../patients/patient_line";
import { PatientSearch } from "../../patients/patient_search";
import type { Patient } from "../../store/documents";
import { useLive, useStore } from "../../store/live";
import { may } from "../../store/permissions";
import { session } from "../../store/session";
import { uuid7 } from "../../uuid7";
import type { Item } from "./choice";
import { newPerson, type Person, registration, type Wrong, wrong } from "./person";
import { PersonForm } from "./person_form";
import { Placed } from "./placed";
import { TestPicker } from "./test_picker";
import "./register.css";

const PRIORITIES = ["routine", "urgent", "stat"] as const;
/** Reports are written in fewer languages than the app. */
const REPORTED_IN: readonly NonNullable<PlaceOrder["language"]>[] = ["en", "hi"];

export default function Register() {
  const store = useStore();
  const [patient, setPatient] = useState<Patient>();
  const [person, setPerson] = useState<Person>();
  const [shown, setShown] = useState<Wrong>({});
  const [chosen, setChosen] = useState<Item[]>([]);
  const [priority, setPriority] = useState<(typeof PRIORITIES)[number]>("routine");
  const [language, setLanguage] = useState("");
  const [placed, setPlaced] = useState<{ patient: string; order: string | null }>();
  const sites = useLive((one) => one.of("sites").orderBy("code").toArray());
  const own = session.value?.me.site_id ?? null;
  const [asked, setSite] = useState<string>();
  const site = asked ?? own ?? sites?.find(({ kind }) => kind !== "collection_centre")?.id ?? sites?.[0]?.id;
  const mayOrder = may("order:place");
  const frame = useRef<HTMLFormElement>(null);
  const isReady = Boolean(person) || (patient !== undefined && chosen.length > 0);

  function again(): void {
    setPatient(undefined);
    setPerson(undefined);
    setShown({});
    setChosen([]);
    setPriority("routine");
    setLanguage("");
  }

  async function submit(event?: Event): Promise<void> {
    event?.preventDefault();
    if (!isReady) return;
    const today = dayOf(Date.now());
    const found = person ? wrong(person, today) : {};
    setShown(found);
    if (Object.keys(found).length) return;
    const id = patient?.id ?? uuid7();
    if (person) await issue(store, "patients.register", registration(person, id, today));
    const order = chosen.length && site ? await place(id, site) : null;
    setPlaced({ patient: id, order });
    again();
  }

  async function place(patient_id: string, site_id: string): Promise<string> {
    const body: PlaceOrder = {
      id: uuid7(),
      patient_id,
      site_id,
      priority,
      tests: chosen.flatMap(({ test }) => test?.code ?? []),
      panel_codes: chosen.flatMap(({ panel }) => panel?.code ?? []),
      placed_at: new Date().toISOString(),
      language: (language || null) as PlaceOrder["language"],
    };
    await issue(store, "orders.place", body);
    return body.id;
  }

  /** What is wrong has the focus as soon as it is said: the next key is meant for it. */
  useLayoutEffect(() => {
    if (Object.keys(shown).length === 0) return;
    frame.current?.querySelector<HTMLElement>("[aria-invalid], [name=sex]")?.focus();
  }, [shown]);

  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      frame.current?.requestSubmit();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);

  return (
    <Page title={t("nav.register")}>
      {placed && <Placed patient={placed.patient} order={placed.order} />}
      <form ref={frame} class="register" noValidate onSubmit={submit}>
        <section class="step">
          <h2>{t("register.patient")}</h2>
          {patient && (
            <p class="chosen-patient">
              <PatientLine patient={patient} />
              <Link href={`/patients/${patient.id}`}>{t("register.open")}</Link>
              <button type="button" onClick={again}>
                {t("register.another")}
              </button>
            </p>
          )}
          {person && (
            <>
              <PersonForm
                person={person}
                wrong={shown}
                onChange={setPerson}
                onChoose={(known) => {
                  setPerson(undefined);
                  setPatient(known);
                }}
              />
              <button type="button" class="back" onClick={again}>
                {t("register.another")}
              </button>
            </>
          )}
          {!patient && !person && (
            <PatientSearch onChoose={setPatient} onNew={(line) => setPerson(newPerson(reading(line)))} />
          )}
        </section>
        {mayOrder && (
          <section class="step">
            <h2>{t("register.order")}</h2>
            {(patient || person) && (
              <TestPicker
                key={patient ? "known" : "new"}
                chosen={chosen}
                isNext={patient !== undefined}
                onChange={setChosen}
              />
            )}
            {!patient && !person && <p class="hint">{t("register.patient_first")}</p>}
            <div class="form conditions">
              <ChoiceField
                legend={t("order.priority")}
                name="priority"
                value={priority}
                options={PRIORITIES.map((one) => [one, tCode("priority", one)])}
                onChange={(one) => setPriority(one as typeof priority)}
              />
              <SelectField
                label={t("register.language")}
                name="language"
                value={language}
                options={[
                  ["", t("register.language_usual")],
                  ...REPORTED_IN.map((one): [string, string] => [one, LANGUAGES[one]]),
                ]}
                onChange={(event) => setLanguage(event.currentTarget.value)}
              />
              <SelectField
                label={t("register.site")}
                name="site"
                value={site ?? ""}
                options={(sites ?? []).filter(({ id }) => !own || id === own).map((one) => [one.id, one.name])}
                onChange={(event) => setSite(event.currentTarget.value)}
              />
            </div>
          </section>
        )}
        <p class="submit">
          <button type="submit" class="primary" disabled={!isReady}>
            {t(
              !mayOrder || !chosen.length
                ? "register.submit_patient"
                : person
                  ? "register.submit_both"
                  : "register.submit",
            )}{" "}
            <kbd>Ctrl Enter</kbd>
          </button>
        </p>
      </form>
    </Page>
  );
}
