/** The keys of the app, shown by `?`. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Dialog } from "../components/dialog";
import { type Key, t } from "../i18n";

const open = signal(false);
const KEYS: [string, Key][] = [
  ["?", "help.this"],
  ["Tab", "help.tab"],
  ["↑ ↓ ← →", "help.arrows"],
  ["Enter", "help.enter"],
  ["Esc", "help.escape"],
  ["Ctrl K, /", "help.find"],
  ["Ctrl Enter", "help.submit"],
  ["1 … 6", "help.reason"],
  ["Space", "help.tick"],
  ["v", "help.verify"],
  ["j k", "help.next"],
  ["a", "help.authorise"],
  ["r", "help.reject"],
  ["c", "help.correct"],
];

export function showHelp(): void {
  open.value = true;
}

export function Help() {
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const typing = event.target instanceof Element && event.target.closest("input, textarea, select, [role=grid]");
      if (event.key === "?" && !typing) showHelp();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
  if (!open.value) return null;
  return (
    <Dialog
      title={t("help.title")}
      onClose={() => {
        open.value = false;
      }}
    >
      <dl class="keys">
        {KEYS.map(([key, text]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{t(text)}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
