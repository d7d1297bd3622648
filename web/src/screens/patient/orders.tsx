/** A patient's orders, with the state of each test, and the reports that were released. */
import { useState } from "preact/hooks";
import { fetchFile } from "../../api";
import { toast } from "../../components/toasts";
import { t, tCode } from "../../i18n";
import { clinicalTime } from "../../i18n/format";
import type { Order, Report } from "../../store/documents";
import { useStore } from "../../store/live";

export function Orders({ orders, reports }: { orders: Order[]; reports: Report[] }) {
  return (
    <ul class="cards">
      {orders.map((order) => (
        <li key={order.id} class={order.pending ? "card pending" : "card"}>
          <h3>
            <span class="code">{order.order_number ?? t("order.no_number")}</span>{" "}
            {order.priority !== "routine" && (
              <span class={`flag ${order.priority}`}>{tCode("priority", order.priority)}</span>
            )}{" "}
            {tCode("order.status", order.status)}
            <time dateTime={order.placed_at}>{clinicalTime(order.placed_at)}</time>
          </h3>
          <ul class="tests">
            {order.tests.map(({ id, test_code, status, specimen_id }) => (
              <li key={id}>
                <span class="code">{test_code}</span>{" "}
                <span class="hint">
                  {tCode("test_status", status === "ordered" && specimen_id ? "collected" : status)}
                </span>
              </li>
            ))}
          </ul>
          {reports
            .filter(({ order_id }) => order_id === order.id)
            .sort((a, b) => b.version - a.version)
            .map((report) => (
              <ReportButton key={report.id} report={report} name={order.order_number ?? "report"} />
            ))}
        </li>
      ))}
    </ul>
  );
}

/** The document itself is not in the store: it is fetched when it is asked for. */
function ReportButton({ report, name }: { report: Report; name: string }) {
  const store = useStore();
  const [isBusy, setBusy] = useState(false);
  async function save(): Promise<void> {
    setBusy(true);
    try {
      const file = await fetchFile(`/v1/reports/${report.id}/pdf`, (await store.read("token")) ?? "");
      const link = document.createElement("a");
      link.href = URL.createObjectURL(file);
      link.download = `report-${name}-v${report.version}.pdf`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    } catch {
      toast(t("patient.report_unreachable"), "wrong");
    } finally {
      setBusy(false);
    }
  }
  return (
    <button type="button" disabled={isBusy} onClick={save}>
      {t("patient.report", { version: report.version })} <span class="hint">{clinicalTime(report.released_at)}</span>
    </button>
  );
}
