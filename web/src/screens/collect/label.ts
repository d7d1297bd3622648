import type { Label } from "../../components/labels";
import { age, dayOf } from "../../patients/age";
import type { Patient, Specimen } from "../../store/documents";

const SEX: Record<string, string> = { male: "M", female: "F", other: "O", unknown: "U" };

/** What stands on a container: number, name, age and sex, container. In English: the whole laboratory reads it. */
export function label(specimen: Specimen & { accession_number: string }, patient: Patient | undefined): Label {
  const who = patient ? [age(patient, dayOf(Date.now())), SEX[patient.sex] ?? ""].filter(Boolean).join(" ") : "";
  return {
    code: specimen.accession_number,
    lines: [(patient?.name ?? "").slice(0, 28), [who, specimen.container].filter(Boolean).join(" · ")],
  };
}

/** Print what has a number. */
export async function print(specimens: Specimen[], patient: Patient | undefined): Promise<void> {
  const { printLabels } = await import("../../components/labels");
  printLabels(specimens.flatMap((one) => (isNumbered(one) ? [label(one, patient)] : [])));
}

export function isNumbered(specimen: Specimen): specimen is Specimen & { accession_number: string } {
  return specimen.accession_number !== null;
}
