/** The keys of the app, shown by `?`. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Dialog } from "../components/dialog";
import { type Key, t } from "../i18n";
import { SCREENS } from "../screens";
import { may } from "../store/permissions";

const open = signal(false);
const KEYS: [string, Key][] = [
  ["?", "help.this"],
  ["Tab", "help.tab"],
  ["↑ ↓ ← →", "help.arrows"],
  ["Enter", "help.enter"],
  ["Esc", "help.escape"],
];

/** Keys that a screen has besides, by its name in `SCREENS`. */
const SCREEN_KEYS: Record<string, [string, Key][]> = {
  register: [
    ["Ctrl K, /", "help.find"],
    ["Ctrl Enter", "help.submit"],
  ],
  receive: [["1 … 6", "help.reason"]],
  results: [
    ["Space", "help.tick"],
    ["v", "help.verify"],
  ],
  authorise: [
    ["j k", "help.next"],
    ["Space", "help.tick"],
    ["a", "help.authorise"],
    ["r", "help.reject"],
    ["c", "help.correct"],
  ],
  qc: [
    ["Enter", "help.record"],
    ["Ctrl P", "help.print"],
  ],
};

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
        <Keys keys={KEYS} />
      </dl>
      {SCREENS.filter(({ name, permission }) => SCREEN_KEYS[name] && (permission === null || may(permission))).map(
        ({ name, nav }) => (
          <section key={name}>
            <h3>{nav ? t(nav.text) : name}</h3>
            <dl class="keys">
              <Keys keys={SCREEN_KEYS[name] ?? []} />
            </dl>
          </section>
        ),
      )}
    </Dialog>
  );
}

function Keys({ keys }: { keys: [string, Key][] }) {
  return (
    <>
      {keys.map(([key, text]) => (
        <div key={key}>
          <dt>
            <kbd>{key}</kbd>
          </dt>
          <dd>{t(text)}</dd>
        </div>
      ))}
    </>
  );
}
