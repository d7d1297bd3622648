import { useEffect, useRef, useState } from "preact/hooks";
import { issue } from "../../commands";
import { Empty } from "../../components/empty";
import { toast, toastWithUndo } from "../../components/toasts";
import { t } from "../../i18n";
import { useLive, useStore } from "../../store/live";
import { may } from "../../store/permissions";
import { session } from "../../store/session";
import { Detail } from "../results/detail";
import { isCritical } from "../results/history";
import { Batch } from "./batch";
import { OrderOf } from "./order";
import { type Held, waiting } from "./waiting";

const SHOWN = 40;

export function HeldResults() {
  const store = useStore();
  const all = useLive(waiting);
  const [at, setAt] = useState<string | null>(null);
  const [ticked, setTicked] = useState<ReadonlySet<string>>(new Set());
  const [asked, setAsked] = useState<Held[] | null>(null);
  const [opened, setOpened] = useState<{ id: string; correcting: boolean } | null>(null);
  const [shown, setShown] = useState(SHOWN);
  const orders = all?.slice(0, shown) ?? [];
  const lines = orders.flatMap(({ held }) => held);
  const place = Math.max(
    lines.findIndex(({ result }) => result.id === at),
    0,
  );
  const here = lines[place];
  const me = session.value?.me.user_id;
  const own = ({ result }: Held) => result.entered_by_id === me;
  const chosen = lines.filter(({ result }) => ticked.has(result.id));

  function tick(line: Held): void {
    if (own(line)) {
      toast(t("authorise.own"), "wrong");
      return;
    }
    const changed = new Set(ticked);
    if (!changed.delete(line.result.id)) changed.add(line.result.id);
    setTicked(changed);
  }

  /** Critical ones are never ticked by this: each is looked at. */
  function tickAll(): void {
    const may = lines.filter((line) => !own(line) && !isCritical(line.result) && !line.result.pending);
    setTicked(new Set(may.map(({ result }) => result.id)));
  }

  function ask(): void {
    const wanted = chosen.length ? chosen : here ? [here] : [];
    const others = wanted.filter((line) => !own(line) && !line.result.pending);
    if (others.length < wanted.length) toast(t("authorise.own"), "wrong");
    const first = others[0];
    if (!first) return;
    if (others.length === 1 && !isCritical(first.result)) authorise(others);
    else setAsked(others);
  }

  /** A command an order: what the server refuses of one does not stop the others. */
  async function authorise(wanted: Held[]): Promise<void> {
    setAsked(null);
    const byOrder = new Map<string, string[]>();
    for (const { result } of wanted) byOrder.set(result.order_id, [...(byOrder.get(result.order_id) ?? []), result.id]);
    const commands = [];
    for (const result_ids of byOrder.values()) commands.push(await issue(store, "results.authorise", { result_ids }));
    setTicked(new Set());
    toastWithUndo(store, commands, t("authorise.done", { count: wanted.length }));
  }

  async function reject(line: Held): Promise<void> {
    if (line.result.pending) return;
    const command = await issue(store, "results.reject", { result_id: line.result.id });
    toastWithUndo(store, command, t("authorise.rejected", { test: line.result.test_code }));
  }

  function go(step: number): void {
    const to = lines[Math.max(0, Math.min(place + step, lines.length - 1))];
    if (!to) return;
    setAt(to.result.id);
    document.getElementById(`held-${to.result.id}`)?.scrollIntoView({ block: "nearest" });
  }

  const pressed = useRef<(event: KeyboardEvent) => void>(() => {});
  pressed.current = (event) => {
    const { key, ctrlKey, altKey, metaKey, target } = event;
    const busy =
      target instanceof Element &&
      target.closest("input:not([type=checkbox]):not([type=radio]), select, textarea, dialog");
    const onButton = target instanceof Element && target.closest("button, a, summary, input") !== null;
    if (busy || ctrlKey || altKey || metaKey || asked || opened || !here) return;
    if (onButton && (key === " " || key === "Enter")) return;
    const does: Record<string, () => void> = {
      j: () => go(1),
      k: () => go(-1),
      " ": () => tick(here),
      a: ask,
      r: () => void reject(here),
      c: () => may("result:correct") && setOpened({ id: here.result.id, correcting: true }),
      Enter: () => setOpened({ id: here.result.id, correcting: false }),
    };
    if (!does[key]) return;
    event.preventDefault();
    does[key]();
  };
  useEffect(() => {
    const listen = (event: KeyboardEvent) => pressed.current(event);
    addEventListener("keydown", listen);
    return () => removeEventListener("keydown", listen);
  }, []);

  if (!all) return null;
  if (all.length === 0) return <Empty title={t("authorise.none")} />;
  const detail = lines.find(({ result }) => result.id === opened?.id);
  return (
    <>
      <div class="actions">
        <button type="button" class="primary" disabled={chosen.length === 0} onClick={ask}>
          {t("authorise.ticked", { count: chosen.length })} <kbd>a</kbd>
        </button>
        <button type="button" onClick={tickAll}>
          {t("authorise.tick_all")}
        </button>
        <span class="soft">{t("authorise.keys")}</span>
      </div>
      {orders.map((one) => (
        <OrderOf
          key={one.order.id}
          of={one}
          at={here?.result.id}
          ticked={ticked}
          own={own}
          onStand={setAt}
          onTick={tick}
          onOpen={(line) => setOpened({ id: line.result.id, correcting: false })}
          onReject={reject}
        />
      ))}
      {all.length > shown && (
        <button type="button" onClick={() => setShown(shown + SHOWN)}>
          {t("bench.more", { shown, all: all.length })}
        </button>
      )}
      {asked && <Batch of={asked} onClose={() => setAsked(null)} onSure={() => authorise(asked)} />}
      {detail && opened && <Detail {...detail} correcting={opened.correcting} onClose={() => setOpened(null)} />}
    </>
  );
}
