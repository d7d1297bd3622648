/** Receipt by scanner: each label is received, or it is said why not. */
import { useEffect, useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { issue } from "../../commands";
import { Empty } from "../../components/empty";
import { Page } from "../../components/page";
import { Scanner, type Verdict } from "../../components/scanner";
import { t, tCode } from "../../i18n";
import { clinicalTime, clock } from "../../i18n/format";
import type { Patient, Specimen } from "../../store/documents";
import { useLive, useStore } from "../../store/live";
import { may } from "../../store/permissions";
import { wake } from "../../store/session";
import { lookUp } from "./booking";
import { Reject } from "./reject";
import { type Scan, sitting, standing } from "./sitting";
import "./receive.css";

const EXPECTED = 30;

export default function Receive() {
  const store = useStore();
  const scans = sitting(store).value;
  const [rejecting, setRejecting] = useState<string>();
  const expected = useLive((one) => one.of("specimens").where({ status: "collected" }).toArray());
  const patients = useLive(async (one) => new Map((await one.of("patients").toArray()).map((each) => [each.id, each])));

  async function scanned(code: string): Promise<Verdict> {
    const specimen = await lookUp(store, code, wake);
    const number = specimen?.accession_number ?? code;
    const refusal = await why(specimen, number);
    if (refusal || !specimen) return noted({ code: number, refusal: refusal ?? "" });
    const received_at = new Date().toISOString();
    const command = await issue(store, "specimens.receive", { accession_number: number, received_at });
    const name = (await store.of("patients").get(specimen.patient_id))?.name ?? "";
    noted({ code: number, command: command.id, received_at });
    return { accepted: true, text: t("receive.received", { number, name, container: specimen.container }) };
  }

  async function why(specimen: Specimen | undefined, number: string): Promise<string | null> {
    if (!specimen) {
      const synced = (await store.read("sync"))?.synced_at;
      return t("receive.unknown", { number, time: synced ? clock(synced) : "–" });
    }
    if (specimen.status === "received") {
      return t("receive.already", { number, time: clinicalTime(specimen.received_at ?? "") });
    }
    if (specimen.status === "rejected") {
      return t("receive.was_rejected", { number, reason: tCode("rejection", specimen.rejection_reason ?? "") });
    }
    return null;
  }

  function noted(scan: Omit<Scan, "at" | "key">): Verdict {
    const before = sitting(store).value;
    sitting(store).value = [{ ...scan, at: Date.now(), key: before.length }, ...before];
    return { accepted: !scan.refusal, text: scan.refusal ?? "" };
  }

  useEffect(() => {
    /** What is typed at nothing in particular is meant for the scanner's field. */
    const pressed = (event: KeyboardEvent) => {
      const elsewhere = (event.target as Element).closest("input, select, textarea, dialog");
      if (elsewhere || event.key.length !== 1 || event.ctrlKey || event.metaKey || event.altKey) return;
      if (/[A-Za-z0-9]/.test(event.key)) toScanner();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);

  const waiting = (expected ?? []).sort((a, b) => Date.parse(a.collected_at ?? "") - Date.parse(b.collected_at ?? ""));
  return (
    <Page title={t("nav.receive")}>
      <Scanner label={t("receive.scan")} onScan={scanned} />
      <section>
        <h2>{t("receive.sitting", { count: scans.length })}</h2>
        {scans.length === 0 && <Empty title={t("receive.none")} />}
        {scans.length > 0 && (
          <div class="scrolls">
            <table class="scans lines">
              <tbody>
                {scans.map((scan) => (
                  <Line key={scan.key} scan={scan} patients={patients} onReject={setRejecting} />
                ))}
              </tbody>
            </table>
          </div>
        )}
      </section>
      <section>
        <h2>{t("receive.expected", { count: waiting.length })}</h2>
        {expected && waiting.length === 0 && <p class="hint">{t("receive.none_expected")}</p>}
        {waiting.length > 0 && (
          <div class="scrolls">
            <table class="lines">
              <tbody>
                {waiting.slice(0, EXPECTED).map((one) => (
                  <tr key={one.id} class={one.pending ? "pending" : ""}>
                    <td class="code">{one.collected_at && clinicalTime(one.collected_at)}</td>
                    <th scope="row" class="code">
                      {one.accession_number ?? t("collect.no_number")}
                    </th>
                    <td>
                      <Name patient={patients?.get(one.patient_id)} />
                    </td>
                    <td>{one.container}</td>
                    <td class="numeric">
                      <RejectButton specimen={one} onReject={setRejecting} />
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </section>
      {rejecting && (
        <Reject
          accession={rejecting}
          onClose={() => {
            setRejecting(undefined);
            setTimeout(toScanner);
          }}
        />
      )}
    </Page>
  );
}

function toScanner(): void {
  document.querySelector<HTMLInputElement>("[name=scan]")?.focus();
}

interface LineProps {
  scan: Scan;
  patients: Map<string, Patient> | undefined;
  onReject(accession: string): void;
}

/** One scan, as it stands now: the server may have said no since. */
function Line({ scan, patients, onReject }: LineProps) {
  const found = useLive(
    async (store) => ({
      command: scan.command ? await store.outbox.get({ id: scan.command }) : undefined,
      specimen: await store.of("specimens").where({ accession_number: scan.code }).first(),
    }),
    [scan],
  );
  const specimen = found?.specimen;
  const problem = found?.command?.problem;
  const state = found ? standing(scan, found.command, specimen) : null;
  const said = scan.refusal ?? (problem && `${problem.title}. ${problem.detail}`);
  const refusal = state === "refused" && (said ?? t("receive.refused_read"));
  return (
    <tr class={state === "refused" ? "refused" : ""}>
      <td class="code">{clock(scan.at)}</td>
      <th scope="row" class="code">
        {scan.code}
      </th>
      <td>
        <Name patient={specimen && patients?.get(specimen.patient_id)} />
      </td>
      <td>{specimen?.container}</td>
      <td>
        {state && <span class={`state-of ${state}`}>{tCode("receive.state", state)}</span>} {refusal}
      </td>
      <td class="numeric">
        {state !== "refused" && specimen && <RejectButton specimen={specimen} onReject={onReject} />}
      </td>
    </tr>
  );
}

function Name({ patient }: { patient: Patient | undefined }) {
  return patient ? <Link href={`/patients/${patient.id}`}>{patient.name}</Link> : null;
}

function RejectButton({ specimen, onReject }: { specimen: Specimen; onReject(accession: string): void }) {
  const number = specimen.accession_number;
  if (!number || specimen.status === "rejected" || !may("specimen:reject")) return null;
  return (
    <button type="button" aria-label={`${t("receive.reject")} ${number}`} onClick={() => onReject(number)}>
      {t("receive.reject")}
    </button>
  );
}
