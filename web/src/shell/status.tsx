/** What the header says of the network and of what waits: in words, never by colour alone. */
import { useEffect, useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { t } from "../i18n";
import { clock } from "../i18n/format";
import type { SyncState } from "../store/database";
import { useLive } from "../store/live";

/** The state as the device and the last exchange have it. */
export function useSyncState(): SyncState["state"] | "starting" {
  const [online, setOnline] = useState(navigator.onLine);
  useEffect(() => {
    const changed = () => setOnline(navigator.onLine);
    addEventListener("online", changed);
    addEventListener("offline", changed);
    return () => {
      removeEventListener("online", changed);
      removeEventListener("offline", changed);
    };
  }, []);
  const sync = useLive((store) => store.read("sync"));
  if (sync?.state === "signed_out") return "signed_out";
  if (!online) return "offline";
  return sync?.state ?? "starting";
}

export function Status() {
  const state = useSyncState();
  const sync = useLive((store) => store.read("sync"));
  const waiting = useLive((store) => store.outbox.where({ state: "waiting" }).count()) ?? 0;
  const refused = useLive((store) => store.outbox.where({ state: "refused" }).count()) ?? 0;
  return (
    <div class="status" role="status">
      <span class={`state ${state}`}>{t(`status.${state}`)}</span>
      {waiting > 0 && <Link href="/outbox">{t("status.waiting", { count: waiting })}</Link>}
      {refused > 0 && (
        <Link href="/outbox" class="wrong">
          {t("status.refused", { count: refused })}
        </Link>
      )}
      {sync?.synced_at && <span class="synced">{t("status.synced", { time: clock(sync.synced_at) })}</span>}
    </div>
  );
}
