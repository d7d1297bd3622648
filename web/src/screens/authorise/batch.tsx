import { useLayoutEffect, useRef } from "preact/hooks";
import { Dialog } from "../../components/dialog";
import { Flag } from "../../components/flag";
import { t } from "../../i18n";
import { isCritical } from "../results/history";
import type { Held } from "./waiting";

interface Props {
  of: Held[];
  onClose(): void;
  onSure(): void;
}

/** One question for all of them. It says how many, and which are critical. */
export function Batch({ of, onClose, onSure }: Props) {
  const critical = of.filter(({ result }) => isCritical(result));
  const sure = useRef<HTMLButtonElement>(null);
  useLayoutEffect(() => sure.current?.focus(), []);
  return (
    <Dialog title={t("authorise.sure", { count: of.length })} onClose={onClose}>
      {critical.length === 0 ? (
        <p>{t("authorise.none_critical")}</p>
      ) : (
        <div class="banner wrong">
          <p>{t("authorise.critical", { count: critical.length })}</p>
          <ul>
            {critical.map(({ result }) => (
              <li key={result.id}>
                <span class="code">
                  {result.test_code} {result.value_text} {result.unit}
                </span>{" "}
                <Flag flag={result.flag} />
              </li>
            ))}
          </ul>
        </div>
      )}
      <div class="actions">
        <button type="button" class="primary" ref={sure} onClick={onSure}>
          {t("nav.authorise")}
        </button>
        <button type="button" onClick={onClose}>
          {t("authorise.back")}
        </button>
      </div>
    </Dialog>
  );
}
