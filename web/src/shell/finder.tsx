/** Ctrl+K or `/`, wherever somebody is: find a patient and go to them. Its code comes after the first screen. */
import { signal } from "@preact/signals";
import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { useLocation } from "wouter-preact";
import { Dialog } from "../components/dialog";
import { t } from "../i18n";
import type { Patient } from "../store/documents";
import { may } from "../store/permissions";

type Search = ComponentType<{ onChoose(patient: Patient): void }>;
const open = signal(false);

export function showFinder(): void {
  open.value = true;
}

export function Finder() {
  const [, go] = useLocation();
  const [Loaded, setLoaded] = useState<Search>();
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const typing = event.target instanceof Element && event.target.closest("input, textarea, select, [role=grid]");
      const asked = (event.key === "k" && (event.ctrlKey || event.metaKey)) || (event.key === "/" && !typing);
      if (!asked || !may("patient:read") || document.querySelector("dialog[open]")) return;
      event.preventDefault();
      showFinder();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
  useEffect(() => {
    // fetched before it is asked for: what is typed right after the keys is meant for it
    const idle = setTimeout(fetchCode, open.value ? 0 : 500);
    return () => clearTimeout(idle);
  }, [open.value]);
  async function fetchCode(): Promise<void> {
    if (Loaded) return;
    try {
      const { PatientSearch } = await import("../patients/patient_search");
      setLoaded(() => PatientSearch);
    } catch {
      // no network: it is fetched when it is asked for
    }
  }
  if (!open.value || !Loaded) return null;
  const close = () => {
    open.value = false;
  };
  return (
    <Dialog title={t("shell.find")} onClose={close}>
      <Loaded
        onChoose={(patient) => {
          close();
          go(`/patients/${patient.id}`);
        }}
      />
    </Dialog>
  );
}
