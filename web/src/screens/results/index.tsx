/** The technician's worklist: values are typed down a column, held results are looked at and verified. */
import { signal } from "@preact/signals";
import { useMemo, useRef, useState } from "preact/hooks";
import { issue } from "../../commands";
import { Empty } from "../../components/empty";
import { ChoiceField, SelectField } from "../../components/fields";
import { Flag } from "../../components/flag";
import { type Column, Grid } from "../../components/grid";
import { Page } from "../../components/page";
import { toast } from "../../components/toasts";
import { t, tCode } from "../../i18n";
import { clinicalTime } from "../../i18n/format";
import { acknowledge } from "../../outbox";
import { useLive, useStore } from "../../store/live";
import { may } from "../../store/permissions";
import { session } from "../../store/session";
import { check } from "./check";
import { Detail } from "./detail";
import { Person, Previous, Reasons, Standing } from "./parts";
import { type Typing, TypingCheck } from "./typing_check";
import { type Line, worklist } from "./worklist";

const SHOWN = 200;
const typing = signal<Typing | null>(null);

export default function Results() {
  const store = useStore();
  const lines = useLive(worklist);
  const [stage, setStage] = useState("enter");
  const [discipline, setDiscipline] = useState("");
  const [priority, setPriority] = useState("");
  const [overdue, setOverdue] = useState(false);
  const [ticked, setTicked] = useState<ReadonlySet<string>>(new Set());
  const [wrong, setWrong] = useState<ReadonlyMap<string, string>>(new Map());
  const [opened, setOpened] = useState<string | null>(null);
  const mine = useRef(new Set<string>());

  const found = useMemo(() => {
    const now = Date.now();
    return (lines ?? []).filter(
      (line) =>
        (stage === "enter"
          ? (!line.result || mine.current.has(line.id)) && line.test?.kind !== "text"
          : line.result?.verified_at === null) &&
        (!discipline || line.test?.discipline === discipline) &&
        (!priority || line.order.priority === priority) &&
        (!overdue || (line.due_at !== null && Date.parse(line.due_at) < now)),
    );
  }, [lines, stage, discipline, priority, overdue]);
  const disciplines = useMemo(
    () => [...new Set((lines ?? []).flatMap(({ test }) => (test ? [test.discipline] : [])))].sort(),
    [lines],
  );
  const columns = useMemo(
    () => (stage === "enter" ? enterColumns(wrong) : verifyColumns(ticked)),
    [stage, wrong, ticked],
  );

  async function enter(line: Line, text: string): Promise<void> {
    const said = check(line.test, text);
    const drafts = new Map(wrong);
    if (text === "" || !said.problem) drafts.delete(line.id);
    else drafts.set(line.id, text);
    setWrong(drafts);
    if (text === "" || said.problem) return;
    mine.current.add(line.id);
    for (const old of await store.outbox.where({ state: "refused" }).toArray()) {
      const values = (old.body as { values?: { order_test_id: string }[] }).values;
      if (values?.length === 1 && values[0]?.order_test_id === line.id) await acknowledge(store, old.id);
    }
    await issue(
      store,
      "results.enter",
      { values: [{ order_test_id: line.id, value_text: said.text }], measured_at: new Date().toISOString() },
      { order_ids: [line.order.id], test_codes: [line.code] },
    );
  }

  async function verify(lines: Line[]): Promise<void> {
    const results = lines.flatMap(({ result }) => (result && !result.pending ? [result] : []));
    const me = session.value?.me.user_id;
    const others = results.filter((one) => one.entered_by_id !== me);
    if (others.length < results.length) toast(t("bench.own_verify"), "wrong");
    if (others.length === 0) return;
    await issue(store, "results.verify", { result_ids: others.map(({ id }) => id) });
    setTicked(new Set());
    toast(t("bench.verified_count", { count: others.length }));
  }

  function pressed(line: Line, key: string): boolean {
    if (stage !== "verify" || !may("result:verify")) return false;
    if (key === " ") setTicked(toggled(ticked, line.id));
    else if (key === "v") verify(ticked.size ? found.filter(({ id }) => ticked.has(id)) : [line]);
    else return false;
    return true;
  }

  const isFiltered = discipline !== "" || priority !== "" || overdue;
  function showAll(): void {
    setDiscipline("");
    setPriority("");
    setOverdue(false);
  }

  const chosen = found.filter(({ id }) => ticked.has(id));
  const detail = lines?.find(({ id }) => id === opened);
  return (
    <Page
      title={t("nav.results")}
      actions={
        stage === "verify" &&
        may("result:verify") && (
          <button type="button" class="primary" disabled={chosen.length === 0} onClick={() => verify(chosen)}>
            {t("bench.verify_ticked", { count: chosen.length })} <kbd>v</kbd>
          </button>
        )
      }
    >
      <div class="filters">
        <ChoiceField
          legend={t("bench.stage")}
          name="stage"
          value={stage}
          options={[
            ["enter", t("bench.to_enter")],
            ["verify", t("bench.to_verify")],
          ]}
          onChange={(to) => {
            mine.current.clear();
            setTicked(new Set());
            setStage(to);
          }}
        />
        <SelectField
          label={t("bench.discipline")}
          name="discipline"
          value={discipline}
          options={[["", t("bench.all")], ...disciplines.map((one): [string, string] => [one, named(one)])]}
          onChange={(event) => setDiscipline(event.currentTarget.value)}
        />
        <SelectField
          label={t("order.priority")}
          name="priority"
          value={priority}
          options={[
            ["", t("bench.all")],
            ...["stat", "urgent", "routine"].map((one): [string, string] => [one, tCode("priority", one)]),
          ]}
          onChange={(event) => setPriority(event.currentTarget.value)}
        />
        <label class="tick">
          <input type="checkbox" checked={overdue} onChange={(event) => setOverdue(event.currentTarget.checked)} />
          {t("bench.overdue")}
        </label>
      </div>
      {stage === "enter" ? <TypingCheck of={typing} /> : <p class="check">{t("bench.verify_keys")}</p>}
      {lines && found.length === 0 && !isFiltered && (
        <Empty title={t(stage === "enter" ? "bench.none_to_enter" : "bench.none_to_verify")} />
      )}
      {lines && found.length === 0 && isFiltered && (
        <Empty title={t("bench.none_filtered")}>
          <button type="button" onClick={showAll}>
            {t("bench.clear_filter")}
          </button>
        </Empty>
      )}
      {found.length > 0 && (
        <Grid
          label={t("nav.results")}
          columns={columns}
          rows={found.slice(0, SHOWN)}
          rowKey={(line) => line.id}
          onEdit={(line, _column, text) => enter(line, text)}
          onOpen={(line) => setOpened(line.id)}
          rowClass={(line) => `${stage}${ticked.has(line.id) ? " ticked" : ""}`}
          onType={(line, text) => {
            typing.value = text === null ? null : { line, text };
          }}
          onKey={pressed}
        />
      )}
      {found.length > SHOWN && <p>{t("bench.more", { shown: SHOWN, all: found.length })}</p>}
      {detail?.result && (
        <Detail result={detail.result} before={detail.earlier} test={detail.test} onClose={() => setOpened(null)} />
      )}
    </Page>
  );
}

function toggled(ticked: ReadonlySet<string>, id: string): Set<string> {
  const changed = new Set(ticked);
  if (!changed.delete(id)) changed.add(id);
  return changed;
}

/** A code of the catalogue as it is read: `clinical_chemistry` is Clinical chemistry. */
function named(code: string): string {
  return code.charAt(0).toUpperCase() + code.slice(1).replaceAll("_", " ");
}

function common(): Column<Line>[] {
  return [
    {
      key: "accession",
      title: t("bench.specimen"),
      cell: ({ specimen, order }) => (
        <>
          <span class="code">{specimen.accession_number ?? "—"}</span>{" "}
          {order.priority !== "routine" && (
            <span class={`flag ${order.priority}`}>{tCode("priority", order.priority)}</span>
          )}
        </>
      ),
    },
    { key: "patient", title: t("bench.patient"), cell: ({ patient }) => <Person patient={patient} /> },
    {
      key: "test",
      title: t("bench.test"),
      cell: ({ code, test }) => (
        <>
          <span class="code">{code}</span> <span class="soft cut">{test?.name}</span>
        </>
      ),
    },
  ];
}

function enterColumns(wrong: ReadonlyMap<string, string>): Column<Line>[] {
  const enters = may("result:enter");
  return [
    ...common(),
    {
      key: "value",
      title: t("bench.value"),
      numeric: true,
      cell: ({ id, result }) => <span class="code">{wrong.get(id) ?? result?.value_text ?? ""}</span>,
      edit: ({ id, result }) => (result || !enters ? null : (wrong.get(id) ?? "")),
    },
    { key: "unit", title: t("bench.unit"), cell: ({ test }) => test?.unit },
    {
      key: "standing",
      title: t("bench.standing"),
      cell: ({ id, result, refused, test }) =>
        wrong.has(id) ? (
          <span class="flag rejected">{t(`bench.${check(test, wrong.get(id) ?? "").problem ?? "not_allowed"}`)}</span>
        ) : (
          <Standing result={result} refused={result ? undefined : refused} />
        ),
    },
    {
      key: "previous",
      title: t("bench.previous"),
      numeric: true,
      cell: ({ result, earlier, test }) =>
        result ? (
          <Previous result={result} before={earlier} test={test} />
        ) : (
          <span class="code">{earlier.at(-1)?.value_text}</span>
        ),
    },
    { key: "due", title: t("order.due_at"), cell: ({ due_at }) => <Due at={due_at} /> },
  ];
}

function verifyColumns(ticked: ReadonlySet<string>): Column<Line>[] {
  return [
    { key: "tick", title: <span title={t("bench.ticked")}>✓</span>, cell: ({ id }) => (ticked.has(id) ? "✓" : "") },
    ...common().slice(0, 2),
    {
      key: "test",
      title: t("bench.test"),
      cell: ({ code, test }) => (
        <span class="code" title={test?.name}>
          {code}
        </span>
      ),
    },
    {
      key: "value",
      title: t("bench.value"),
      numeric: true,
      cell: ({ result }) => (
        <>
          <Flag flag={result?.flag ?? null} /> <span class="code">{result?.value_text}</span> {result?.unit}
        </>
      ),
    },
    {
      key: "previous",
      title: t("bench.previous"),
      cell: ({ result, earlier, test }) => result && <Previous result={result} before={earlier} test={test} />,
    },
    { key: "reasons", title: t("bench.reasons"), cell: ({ result }) => result && <Reasons of={result} /> },
    {
      key: "standing",
      title: t("bench.standing"),
      cell: ({ result, refused }) => <Standing result={result} refused={refused} />,
    },
  ];
}

function Due({ at }: { at: string | null }) {
  if (!at) return null;
  return <span class={Date.parse(at) < Date.now() ? "code late" : "code"}>{clinicalTime(at)}</span>;
}
