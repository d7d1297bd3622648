/** What is to be collected, order by order; the labels of what was. */
import { useMemo, useState } from "preact/hooks";
import { Empty } from "../../components/empty";
import { SelectField } from "../../components/fields";
import { Page } from "../../components/page";
import { t, tCode } from "../../i18n";
import { clinicalTime, clock } from "../../i18n/format";
import { acknowledge } from "../../outbox";
import { dayOf } from "../../patients/age";
import { ageAndSex } from "../../patients/patient_line";
import type { Order, Patient, Specimen } from "../../store/documents";
import { useLive, useStore } from "../../store/live";
import { session } from "../../store/session";
import { Cap } from "./cap";
import { CollectedToday, JustCollected } from "./collected";
import { containers, rejection, waiting } from "./containers";
import { Draw } from "./draw";
import "./collect.css";

/** How many orders are shown; the others come up as these are done. */
const SHOWN = 60;

export default function Collect() {
  const own = session.value?.me.site_id ?? null;
  const [asked, setSite] = useState("");
  const [openId, setOpen] = useState<string>();
  const [last, setLast] = useState<{ order: Order; at: number }>();
  const sites = useLive((store) => store.of("sites").orderBy("code").toArray());
  const orders = useLive((store) => store.of("orders").where({ status: "placed" }).toArray());
  const specimens = useLive((store) => store.of("specimens").toArray());
  const tests = useLive(async (store) => new Map((await store.of("tests").toArray()).map((one) => [one.code, one])));
  const patients = useLive(
    async (store) => new Map((await store.of("patients").toArray()).map((one) => [one.id, one])),
  );
  const site = own ?? (asked || null);
  const list = useMemo(() => waiting(orders ?? [], site), [orders, site]);
  if (!orders || !specimens || !tests || !patients) return null;

  const today = dayOf(Date.now());
  const done = specimens
    .filter((one) => one.collected_at && dayOf(one.collected_at) === today && (!site || one.site_id === site))
    .sort((a, b) => Date.parse(b.collected_at ?? "") - Date.parse(a.collected_at ?? ""));
  const open = list.find((one) => one.id === openId);
  const drawn = last && specimens.filter((one) => isOf(one, last));

  return (
    <Page
      title={t("nav.collect")}
      actions={
        !own &&
        sites &&
        sites.length > 1 && (
          <SelectField
            label={t("register.site")}
            value={asked}
            options={[["", t("collect.all_sites")], ...sites.map((one): [string, string] => [one.id, one.name])]}
            onChange={(event) => setSite(event.currentTarget.value)}
          />
        )
      }
    >
      <div class="collect">
        <section>
          <h2>{t("collect.waiting", { count: list.length })}</h2>
          {list.length === 0 && <Empty title={t("collect.none")}>{t("collect.none_hint")}</Empty>}
          <ul class="orders" onKeyDown={arrows}>
            {list.slice(0, SHOWN).map((order) => (
              <li key={order.id}>
                <button
                  type="button"
                  class={order.pending ? "order pending" : "order"}
                  aria-pressed={order.id === openId}
                  onClick={() => setOpen(order.id)}
                >
                  <Who patient={patients.get(order.patient_id)} />
                  {order.priority !== "routine" && (
                    <span class={`flag ${order.priority}`}>{tCode("priority", order.priority)}</span>
                  )}
                  <Again specimens={specimens.filter(({ order_id }) => order_id === order.id)} />
                  <span class="caps">
                    {containers(order, tests).map((one) => (
                      <Cap key={`${one.specimen_type}|${one.container}`} container={one.container} />
                    ))}
                  </span>
                  <span class="code hint">
                    {order.order_number ?? t("order.no_number")}{" "}
                    {dayOf(order.placed_at) === today ? clock(order.placed_at) : clinicalTime(order.placed_at)}
                  </span>
                </button>
                <Refusal order={order} />
              </li>
            ))}
          </ul>
        </section>
        <div class="side">
          {open && (
            <Draw
              key={open.id}
              order={open}
              patient={patients.get(open.patient_id)}
              tests={tests}
              onCollected={(at) => {
                setLast({ order: open, at: Date.parse(at) });
                setOpen(undefined);
              }}
            />
          )}
          {!open && !drawn?.length && list.length > 0 && <Empty title={t("collect.choose")} />}
          {!open && last && drawn && drawn.length > 0 && (
            <JustCollected specimens={drawn} patient={patients.get(last.order.patient_id)} />
          )}
        </div>
      </div>
      {done.length > 0 && <CollectedToday specimens={done} patients={patients} />}
    </Page>
  );
}

/** Drawn in this collection, not in an earlier one. */
function isOf(specimen: Specimen, { order, at }: { order: Order; at: number }): boolean {
  return specimen.order_id === order.id && Date.parse(specimen.collected_at ?? "") === at;
}

function Who({ patient }: { patient: Patient | undefined }) {
  return (
    <span class="who-is">
      <strong>{patient?.name}</strong> {patient && ageAndSex(patient)}
    </span>
  );
}

function Again({ specimens }: { specimens: Specimen[] }) {
  const reason = rejection(specimens);
  return reason ? (
    <span class="flag rejected">{t("collect.again", { reason: tCode("rejection", reason) })}</span>
  ) : null;
}

/** The server said no to an earlier collection of this order: why. */
function Refusal({ order }: { order: Order }) {
  const store = useStore();
  const refused = useLive(
    (one) =>
      one.outbox
        .where({ state: "refused" })
        .filter(
          ({ name, body }) => name === "specimens.collect" && (body as { order_id: string }).order_id === order.id,
        )
        .toArray(),
    [order.id],
  );
  return (
    <>
      {refused?.map(({ id, problem }) => (
        <p key={id} class="banner wrong" role="alert">
          <strong>{problem?.title}.</strong> {problem?.detail}{" "}
          <button type="button" onClick={() => acknowledge(store, id)}>
            {t("outbox.acknowledge")}
          </button>
        </p>
      ))}
    </>
  );
}

/** Up and down in the list. */
function arrows(event: KeyboardEvent): void {
  const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
  if (!step) return;
  const all = Array.from((event.currentTarget as Element).querySelectorAll<HTMLElement>(".order"));
  all[all.indexOf(document.activeElement as HTMLElement) + step]?.focus();
  event.preventDefault();
}
