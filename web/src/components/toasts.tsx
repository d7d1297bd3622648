/** Short words about what was done, with Undo while it can be undone. */
import { signal } from "@preact/signals";
import { t } from "../i18n";
import { type Command, undo } from "../outbox";
import type { Store } from "../store/database";

interface Toast {
  id: number;
  text: string;
  kind: "done" | "wrong";
  undo?: () => Promise<boolean>;
}

const shown = signal<Toast[]>([]);
let last = 0;

const STAYS = 5_000;

/** Say that something was done (or went wrong). */
export function toast(text: string, kind: Toast["kind"] = "done"): void {
  add({ text, kind }, STAYS);
}

/** Say what a command (or several, made together) did, with Undo until it is sent. */
export function toastWithUndo(store: Store, made: Command | Command[], text: string): void {
  const commands = [made].flat();
  const left = Math.min(...commands.map(({ send_after }) => send_after)) - Date.now();
  const takeAllBack = async () => {
    let undone = true;
    for (const { id } of commands.toReversed()) undone = (await undo(store, id)) && undone;
    return undone;
  };
  add({ text, kind: "done", undo: takeAllBack }, Math.max(left, 0));
}

function add(made: Omit<Toast, "id">, milliseconds: number): void {
  last += 1;
  const id = last;
  shown.value = [...shown.value.slice(-3), { ...made, id }];
  setTimeout(() => remove(id), milliseconds);
}

function remove(id: number): void {
  shown.value = shown.value.filter((one) => one.id !== id);
}

async function takeBack(one: Toast): Promise<void> {
  const undone = await one.undo?.();
  remove(one.id);
  toast(t(undone ? "toast.undone" : "toast.too_late"), undone ? "done" : "wrong");
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {shown.value.map((one) => (
        <div key={one.id} class={`toast ${one.kind}`}>
          <span>{one.text}</span>
          {one.undo && (
            <button type="button" onClick={() => takeBack(one)}>
              {t("toast.undo")}
            </button>
          )}
        </div>
      ))}
    </div>
  );
}
