/** Every component on one page, as the tests in a browser look at them: `?show=<name>`. */
import "../../src/styles/index.css";
import { render } from "preact";
import { useMemo, useState } from "preact/hooks";
import { LeveyJennings, Sparkline } from "../../src/components/charts";
import { Flag } from "../../src/components/flag";
import { type Column, Grid } from "../../src/components/grid";
import { Barcode } from "../../src/components/labels";
import { Scanner } from "../../src/components/scanner";

type Row = { id: string; values: string[] };
const COLUMNS = 20;
const made = Array.from({ length: 50 }, (_, row) => ({
  id: `26-${String(row + 1).padStart(6, "0")}`,
  values: Array.from({ length: COLUMNS - 1 }, (_, column) => String(row * 100 + column)),
}));

function Worklist() {
  const [rows, setRows] = useState<Row[]>(made);
  const columns = useMemo<Column<Row>[]>(
    () => [
      { key: "id", title: "Specimen", cell: ({ id }) => <span class="code">{id}</span> },
      ...Array.from({ length: COLUMNS - 1 }, (_, number): Column<Row> => {
        const value = (row: Row) => row.values[number] ?? "";
        return {
          key: String(number),
          title: `T${number}`,
          numeric: true,
          cell: (row) => (
            <>
              {value(row)} <Flag flag={Number(value(row)) > 4900 ? "high" : null} />
            </>
          ),
          edit: (row) => (number === 3 ? null : value(row)),
        };
      }),
    ],
    [],
  );
  const edit = (edited: Row, column: string, text: string) =>
    setRows((before) =>
      before.map((row) => (row.id === edited.id ? { ...row, values: row.values.with(Number(column), text) } : row)),
    );
  const above = () => setRows((before) => [{ id: `new ${before.length}`, values: made[0]?.values ?? [] }, ...before]);
  return (
    <>
      <Grid label="Worklist" columns={columns} rows={rows} rowKey={({ id }) => id} onEdit={edit} />
      <button type="button" onClick={above} onMouseDown={(event) => event.preventDefault()}>
        add above
      </button>
    </>
  );
}

function Scans() {
  const [seen, setSeen] = useState<string[]>([]);
  async function scan(code: string) {
    await new Promise((resolve) => setTimeout(resolve, code.startsWith("slow") ? 300 : 0));
    setSeen((before) => [...before, code]);
    return { accepted: !code.startsWith("bad"), text: `${code} seen` };
  }
  return (
    <>
      <Scanner label="Specimen" onScan={scan} />
      <p id="seen">{seen.join(" ")}</p>
      <button type="button">elsewhere</button>
    </>
  );
}

function Charts() {
  const z = [0.2, -0.8, 1.1, 2.3, -0.1, 3.4, 0.4, -1.9];
  const points = z.map((one, number) => ({
    id: String(number),
    z: one,
    rejected: Math.abs(one) > 3,
    title: `${one} s`,
  }));
  return (
    <>
      <Sparkline values={[92, 95, 101, 130]} low={70} high={99} label="Glucose: 92, 95, 101, 130 mg/dL" />
      <LeveyJennings points={points} label="Glucose, level 1: 8 controls, 1 rejected" />
      <Barcode code="26-000123" />
    </>
  );
}

const SHOWN = { grid: Worklist, scanner: Scans, charts: Charts };
const Shown = SHOWN[(new URLSearchParams(location.search).get("show") ?? "grid") as keyof typeof SHOWN];
render(
  <main>
    <h1>Components</h1>
    <Shown />
  </main>,
  document.getElementById("app") as HTMLElement,
);
