/** The field in which a patient is found: by name in any spelling, phone or UHID. */
import { useState } from "preact/hooks";
import { Combobox, type Option } from "../components/combobox";
import { t, tCode } from "../i18n";
import type { Patient } from "../store/documents";
import { type Candidate, reading } from "./matching";
import { PatientLine } from "./patient_line";
import { useCandidates } from "./use_candidates";

interface Props {
  onChoose(patient: Patient): void;
  /** Nobody of them: what was typed. Absent: nobody new can be registered here. */
  onNew?(line: string): void;
}

const NEW = "new";

export function PatientSearch({ onChoose, onNew }: Props) {
  const [line, setLine] = useState("");
  const { found, alone } = useCandidates(reading(line));
  const options: Option[] = found.map(({ patient, by }) => ({
    id: patient.id,
    isDoubtful: by === "phone",
    shown: <Found candidate={{ patient, by }} />,
  }));
  if (onNew && line.trim()) {
    const isDoubtful = found.length > 0;
    options.push({ id: NEW, isDoubtful, shown: <strong>{t("register.new", { typed: line.trim() })}</strong> });
  }
  function take(id: string): void {
    const chosen = found.find(({ patient }) => patient.id === id);
    if (chosen) onChoose(chosen.patient);
    else if (id === NEW) onNew?.(line.trim());
  }
  return (
    <Combobox
      label={t("register.search")}
      hint={t("register.search_hint")}
      name="patient"
      value={line}
      options={options}
      onInput={setLine}
      onTake={take}
      autoFocus
    >
      {alone && <p class="hint">{t("register.search_alone")}</p>}
      {!onNew && line.trim().length > 2 && found.length === 0 && <p class="hint">{t("register.nobody")}</p>}
    </Combobox>
  );
}

export function Found({ candidate: { patient, by } }: { candidate: Candidate }) {
  return (
    <>
      <PatientLine patient={patient} />
      <span class="hint">{tCode("register.by", by)}</span>
    </>
  );
}
