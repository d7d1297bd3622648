/** What was drawn here: its numbers as soon as the server gave them, and its labels, again if need be. */
import { useLayoutEffect, useRef } from "preact/hooks";
import { t } from "../../i18n";
import { clock } from "../../i18n/format";
import { PatientLine } from "../../patients/patient_line";
import type { Patient, Specimen } from "../../store/documents";
import { Cap } from "./cap";
import { isNumbered, print } from "./label";

interface DrawnProps {
  specimens: Specimen[];
  patient: Patient | undefined;
}

/** The latest collection: Enter prints its labels. */
export function JustCollected({ specimens, patient }: DrawnProps) {
  const button = useRef<HTMLButtonElement>(null);
  const isComplete = specimens.length > 0 && specimens.every((one) => isNumbered(one) && !one.pending);
  useLayoutEffect(() => {
    if (isComplete) button.current?.focus();
  }, [isComplete]);
  return (
    <section class="just" aria-live="polite">
      <h2>{t("collect.done")}</h2>
      {patient && <PatientLine patient={patient} />}
      <ul>
        {specimens.map((one) => (
          <li key={one.id}>
            <Cap container={one.container} />
            <span class={one.pending ? "code pending" : "code"}>{one.accession_number ?? t("collect.no_number")}</span>
          </li>
        ))}
      </ul>
      <button ref={button} type="button" disabled={!isComplete} onClick={() => print(specimens, patient)}>
        {t("collect.print")} <kbd>Enter</kbd>
      </button>
      {!isComplete && <p class="hint">{t("collect.print_later")}</p>}
    </section>
  );
}

/** Everything that was collected today. */
export function CollectedToday({ specimens, patients }: { specimens: Specimen[]; patients: Map<string, Patient> }) {
  return (
    <section>
      <h2>{t("collect.today")}</h2>
      <div class="scrolls">
        <table class="lines">
          <thead>
            <tr>
              <th scope="col">{t("collect.at")}</th>
              <th scope="col">{t("specimen.number")}</th>
              <th scope="col">{t("register.patient")}</th>
              <th scope="col">{t("collect.container")}</th>
              <th scope="col">
                <span class="hidden">{t("collect.reprint")}</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {specimens.map((one) => (
              <tr key={one.id} class={one.pending ? "pending" : ""}>
                <td class="code">{one.collected_at && clock(one.collected_at)}</td>
                <th scope="row" class="code">
                  {one.accession_number ?? t("collect.no_number")}
                </th>
                <td>{patients.get(one.patient_id)?.name}</td>
                <td>
                  <Cap container={one.container} /> {one.container}
                </td>
                <td class="numeric">
                  {isNumbered(one) && !one.pending && (
                    <button
                      type="button"
                      aria-label={`${t("collect.reprint")} ${one.accession_number}`}
                      onClick={() => print([one], patients.get(one.patient_id))}
                    >
                      {t("collect.reprint")}
                    </button>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
