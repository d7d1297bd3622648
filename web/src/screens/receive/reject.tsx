/** Why a specimen cannot be used: one key, five seconds to take it back. */
import { useEffect } from "preact/hooks";
import { issue } from "../../commands";
import { Dialog } from "../../components/dialog";
import { toastWithUndo } from "../../components/toasts";
import { t, tCode } from "../../i18n";
import { useStore } from "../../store/live";

export const REASONS = ["haemolysed", "clotted", "insufficient", "wrong_container", "unlabelled", "leaked"] as const;

export function Reject({ accession, onClose }: { accession: string; onClose(): void }) {
  const store = useStore();
  async function reject(reason: string): Promise<void> {
    onClose();
    const body = { accession_number: accession, reason, rejected_at: new Date().toISOString() };
    const command = await issue(store, "specimens.reject", body);
    toastWithUndo(store, command, t("receive.rejected", { number: accession, reason: tCode("rejection", reason) }));
  }
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const reason = REASONS[Number(event.key) - 1];
      if (!reason) return;
      event.preventDefault();
      void reject(reason);
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [accession]);
  return (
    <Dialog title={t("receive.reject_title", { number: accession })} onClose={onClose}>
      <ul class="rejections">
        {REASONS.map((reason, at) => (
          <li key={reason}>
            <button type="button" onClick={() => reject(reason)}>
              <kbd>{at + 1}</kbd> {tCode("rejection", reason)}
            </button>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}
