/** A patient: who they are, what was ordered, and every result beside the ones before it. */
import { useMemo, useState } from "preact/hooks";
import { Empty } from "../../components/empty";
import { Page } from "../../components/page";
import { language, t, tCode } from "../../i18n";
import { clinicalDay } from "../../i18n/format";
import { age, dayOf } from "../../patients/age";
import type { Patient as PatientDocument } from "../../store/documents";
import { useLive } from "../../store/live";
import { may } from "../../store/permissions";
import type { ScreenProps } from "..";
import { cumulative } from "./cumulative";
import { CumulativeTable } from "./cumulative_table";
import { Orders } from "./orders";
import { Trend } from "./trend";
import "./patient.css";

export default function Patient({ params }: ScreenProps) {
  const id = params.id ?? "";
  const patient = useLive(async (store) => (await store.of("patients").get(id)) ?? null, [id]);
  const orders = useLive((store) => store.of("orders").where({ patient_id: id }).toArray(), [id]);
  const results = useLive((store) => store.of("results").where({ patient_id: id }).toArray(), [id]);
  const reports = useLive((store) => store.of("reports").where({ patient_id: id }).toArray(), [id]);
  const tests = useLive(async (store) => new Map((await store.of("tests").toArray()).map((one) => [one.code, one])));
  const [asked, setAsked] = useState<string>();
  const table = useMemo(
    () => (results && orders && tests ? cumulative(results, orders, tests, language.value) : undefined),
    [results, orders, tests, language.value],
  );
  if (patient === undefined || !orders || !table) return null;
  if (patient === null) {
    return (
      <Page title={t("register.patient")}>
        <Empty title={t("patient.unknown")}>{t("patient.unknown_hint")}</Empty>
      </Page>
    );
  }

  const chosen = table.rows.find(({ code }) => code === asked) ?? table.rows.find(({ cells }) => cells.size > 1);
  const course = chosen && Array.from(chosen.cells.values(), ({ result }) => result);
  const newestFirst = [...orders].sort((a, b) => Date.parse(b.placed_at) - Date.parse(a.placed_at));
  return (
    <Page
      title={patient.name ?? t("patient.erased")}
      actions={
        table.rows.length > 0 && (
          <button type="button" onClick={() => window.print()}>
            {t("patient.print")}
          </button>
        )
      }
    >
      <div class="patient">
        <Card patient={patient} />
        {may("result:read") && (
          <section class="results">
            <h2>{t("patient.results")}</h2>
            {table.rows.length === 0 && <Empty title={t("patient.no_results")} />}
            {table.rows.length > 0 && <CumulativeTable table={table} chosen={chosen?.code} onChoose={setAsked} />}
            {chosen && course && (
              <figure class="course">
                <figcaption>
                  <span class="code">{chosen.code}</span> {chosen.name} <span class="hint">{chosen.unit}</span>
                </figcaption>
                <Trend results={course} label={t("patient.course", { test: chosen.name, count: course.length })} />
              </figure>
            )}
          </section>
        )}
        <section class="orders-of">
          <h2>{t("patient.orders")}</h2>
          {orders.length === 0 && <Empty title={t("patient.no_orders")} />}
          <Orders orders={newestFirst} reports={reports ?? []} />
        </section>
      </div>
    </Page>
  );
}

function Card({ patient }: { patient: PatientDocument }) {
  const born = patient.birth_on;
  const parts = born ? { day: 0, month: 3, year: 7 }[patient.birth_precision ?? "day"] : undefined;
  return (
    <dl class="card-of">
      <div>
        <dt>{t("register.uhid")}</dt>
        <dd class={patient.uhid ? "code" : "code pending"}>{patient.uhid ?? t("patient.no_uhid")}</dd>
      </div>
      <div>
        <dt>{t("register.age")}</dt>
        <dd>
          {age(patient, dayOf(Date.now())) || "–"}
          {born && <span class="hint code"> {clinicalDay(born).slice(parts ?? 0)}</span>}
        </dd>
      </div>
      <div>
        <dt>{t("register.sex")}</dt>
        <dd>{tCode("sex", patient.sex)}</dd>
      </div>
      <div>
        <dt>{t("register.phone")}</dt>
        <dd class="code">{patient.phone ?? "–"}</dd>
      </div>
    </dl>
  );
}
