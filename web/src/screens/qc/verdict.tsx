import { t, tCode } from "../../i18n";
import type { Control } from "../../store/documents";
import { rule, type State, stateOfOne } from "./state";

const FLAGS: Record<State, string> = {
  in_control: "accepted",
  warning: "urgent",
  rejected: "rejected",
  not_run: "open",
  pending: "open",
};

/** In control, warning, rejected …: a word, its colour beside it. */
export function StateFlag({ state }: { state: State }) {
  return <span class={`flag ${FLAGS[state]}`}>{tCode("qc.state", state)}</span>;
}

/** What the server says of one control: the rules it violates in words, and what follows. */
export function Verdict({ control }: { control: Control }) {
  const rules = [...new Set(control.violated.map(rule))];
  return (
    <>
      <StateFlag state={stateOfOne(control)} />
      {rules.length > 0 && (
        <ul class="rules">
          {rules.map((one) => (
            <li key={one}>
              <span class="code">{one}</span> {tCode("qc.rule", one)}
            </li>
          ))}
        </ul>
      )}
      {control.status === "rejected" && <p>{t("qc.rejected_do")}</p>}
    </>
  );
}
