import { tCode } from "../i18n";

/** The server's codes (HL7 table 0078) and the words for them. */
const WORDS: Record<string, string> = { L: "low", H: "high", LL: "critical_low", HH: "critical_high", N: "normal" };

/** A result's flag as a word. `flag` is the server's code; nothing is shown for a normal result. */
export function Flag({ flag }: { flag: string | null }) {
  const word = flag && (WORDS[flag] ?? flag);
  if (!word || word === "normal") return null;
  return <span class={`flag ${word}`}>{tCode("flag", word)}</span>;
}
