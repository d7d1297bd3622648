/** A person who is not known yet; whoever might be the same is shown while it is typed. */
import { useLayoutEffect, useRef } from "preact/hooks";
import { ChoiceField, SelectField, TextField } from "../../components/fields";
import { t, tCode } from "../../i18n";
import type { AgeUnit } from "../../patients/age";
import { Found } from "../../patients/patient_search";
import { useCandidates } from "../../patients/use_candidates";
import type { Patient } from "../../store/documents";
import type { Person, Wrong } from "./person";

interface Props {
  person: Person;
  wrong: Wrong;
  onChange(person: Person): void;
  /** It is one of the known after all. */
  onChoose(patient: Patient): void;
}

const SEXES = ["female", "male", "other", "unknown"] as const;
const UNITS: AgeUnit[] = ["years", "months", "days"];

export function PersonForm({ person, wrong, onChange, onChoose }: Props) {
  const frame = useRef<HTMLDivElement>(null);
  const { found, alone } = useCandidates(person);
  const likely = found.filter(({ by }) => by !== "phone");
  const shared = found.filter(({ by }) => by === "phone");
  useLayoutEffect(
    () => frame.current?.querySelector<HTMLInputElement>(person.name ? "[name=phone]" : "[name=name]")?.focus(),
    [],
  );
  const field = (name: "name" | "phone" | "uhid" | "age" | "birth") => ({
    name,
    value: person[name],
    autocomplete: "off",
    error: wrong[name] && t(wrong[name]),
    onInput: (event: { currentTarget: HTMLInputElement }) => onChange({ ...person, [name]: event.currentTarget.value }),
  });
  return (
    <div ref={frame} class="person-form">
      <div class="form">
        <TextField label={t("register.name")} required {...field("name")} />
        <TextField label={t("register.phone")} inputMode="tel" {...field("phone")} />
        <TextField label={t("register.uhid")} hint={t("register.uhid_hint")} {...field("uhid")} />
      </div>
      {found.length > 0 && (
        <div class="duplicates" role="status">
          {likely.length > 0 && <p>{t("register.known_already")}</p>}
          {likely.length === 0 && <p class="hint">{t("register.shared_phone")}</p>}
          <ul>
            {[...likely, ...shared].map((candidate) => (
              <li key={candidate.patient.id}>
                <button type="button" onClick={() => onChoose(candidate.patient)}>
                  <Found candidate={candidate} />
                </button>
              </li>
            ))}
          </ul>
        </div>
      )}
      {alone && <p class="hint">{t("register.search_alone")}</p>}
      <ChoiceField
        legend={`${t("register.sex")} *`}
        name="sex"
        value={person.sex}
        options={SEXES.map((one) => [one, tCode("sex", one)])}
        onChange={(sex) => onChange({ ...person, sex: sex as Person["sex"] })}
      />
      {wrong.sex && <p class="error">{t(wrong.sex)}</p>}
      <div class="form">
        <div class="age">
          <TextField label={t("register.age")} inputMode="numeric" {...field("age")} />
          <SelectField
            label={t("register.age_unit")}
            name="age_unit"
            value={person.ageUnit}
            options={UNITS.map((one) => [one, tCode("age", one)])}
            onChange={(event) => onChange({ ...person, ageUnit: event.currentTarget.value as AgeUnit })}
          />
        </div>
        <TextField label={t("register.birth")} hint={t("register.birth_hint")} {...field("birth")} />
      </div>
    </div>
  );
}
