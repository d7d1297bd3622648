import { t } from "../i18n";
import { useLive } from "../store/live";
import { close } from "../store/session";
import { useSyncState } from "./status";

/** What everybody has to know before they go on: no network, a server in trouble, a session that has ended. */
export function Banner() {
  const state = useSyncState();
  const sync = useLive((store) => store.read("sync"));
  if (state === "offline") return <p class="banner">{t("banner.offline")}</p>;
  if (state === "degraded") {
    return (
      <p class="banner">
        {t("banner.degraded")} {sync?.detail}
      </p>
    );
  }
  if (state === "signed_out") {
    return (
      <p class="banner wrong">
        {t("banner.signed_out")}{" "}
        <button type="button" onClick={close}>
          {t("sign_in.submit")}
        </button>
      </p>
    );
  }
  return null;
}
