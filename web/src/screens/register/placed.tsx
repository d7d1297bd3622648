/** What was just done, and where it stands at the server. */
import { Link } from "wouter-preact";
import { t } from "../../i18n";
import { PatientLine } from "../../patients/patient_line";
import { useLive } from "../../store/live";
import { may } from "../../store/permissions";

export function Placed({ patient, order }: { patient: string; order: string | null }) {
  const person = useLive((store) => store.of("patients").get(patient), [patient]);
  const document = useLive(async (store) => (order ? store.of("orders").get(order) : undefined), [order]);
  const refused = useLive(
    (store) =>
      store.outbox
        .where({ state: "refused" })
        .filter(({ body }) => [patient, order].includes((body as { id?: string }).id ?? ""))
        .toArray(),
    [patient, order],
  );
  const problem = refused?.[0]?.problem;
  if (problem) {
    return (
      <p class="banner wrong" role="alert">
        <strong>{problem.title}.</strong> {problem.detail} <Link href="/outbox">{t("nav.outbox")}</Link>
      </p>
    );
  }
  if (!person) return null;
  const number = document?.order_number;
  return (
    <div class="placed" role="status">
      <PatientLine patient={person} />
      {order && (
        <span class={number ? "number" : "number pending"}>
          {t("order.number")} <strong class="code">{number ?? t("order.no_number")}</strong>
        </span>
      )}
      {!order && <span class="hint">{t("register.registered")}</span>}
      {order && may("specimen:collect") && <Link href="/collect">{t("register.collect")}</Link>}
      <Link href={`/patients/${patient}`}>{t("register.open")}</Link>
    </div>
  );
}
