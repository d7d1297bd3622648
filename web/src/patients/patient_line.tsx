import { t, tCode } from "../i18n";
import type { Patient } from "../store/documents";
import { age, dayOf } from "./age";
import "./patients.css";

/** `42 y, Female`: what is said of a person beside the name. */
export function ageAndSex(patient: Patient): string {
  return [age(patient, dayOf(Date.now())), tCode("sex", patient.sex)].filter(Boolean).join(", ");
}

/** A person in one line: enough to tell them from another. */
export function PatientLine({ patient }: { patient: Patient }) {
  return (
    <span class={patient.pending ? "person pending" : "person"}>
      <strong>{patient.name}</strong> <span>{ageAndSex(patient)}</span>{" "}
      <span class="code">{patient.uhid ?? t("patient.no_uhid")}</span>{" "}
      {patient.phone && <span class="code">{patient.phone}</span>}
    </span>
  );
}
