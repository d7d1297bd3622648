import { tCode } from "../i18n";

/** A result's flag as a word. `flag` is the server's code; nothing is shown for a normal result. */
export function Flag({ flag }: { flag: string | null }) {
  if (!flag || flag === "normal") return null;
  return <span class={`flag ${flag}`}>{tCode("flag", flag)}</span>;
}
