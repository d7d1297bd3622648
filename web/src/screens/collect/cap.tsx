import { tCode } from "../../i18n";
import { cap } from "./containers";

/** The colour of a container's cap, as a colour and as a word. */
export function Cap({ container }: { container: string }) {
  const colour = cap(container);
  return (
    <span class={`cap ${colour ?? "none"}`}>
      <i aria-hidden="true" />
      {tCode("cap", colour ?? "none")}
    </span>
  );
}
