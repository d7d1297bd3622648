/** The scans of one sitting: those of who is signed in, in this tab. They stay while other screens are looked at. */
import { type Signal, signal } from "@preact/signals";
import type { Command } from "../../outbox";
import type { Store } from "../../store/database";
import type { Specimen } from "../../store/documents";

export interface Scan {
  key: number;
  code: string;
  at: number;
  /** The command that received it and the time that it said, or why it was not received. */
  command?: string;
  received_at?: string;
  refusal?: string;
}

export type ScanState = "received" | "refused" | "rejected" | "waiting";

const sittings = new WeakMap<Store, Signal<Scan[]>>();

/** Newest first; empty after a sign-in. */
export function sitting(store: Store): Signal<Scan[]> {
  const known = sittings.get(store) ?? signal([]);
  sittings.set(store, known);
  return known;
}

/**
 * What became of a scan. Without its command, the server has answered: it said yes if the specimen was received when
 * the scan said; otherwise it refused, and that was read elsewhere. Null: the specimen is not known here.
 */
export function standing(
  scan: Scan,
  command: Command | undefined,
  specimen: Pick<Specimen, "status" | "received_at"> | undefined,
): ScanState | null {
  if (scan.refusal || command?.problem) return "refused";
  const isRejected = specimen?.status === "rejected";
  if (command) return isRejected ? "rejected" : "waiting";
  if (!specimen) return null;
  if (Date.parse(specimen.received_at ?? "") !== Date.parse(scan.received_at ?? "")) return "refused";
  return isRejected ? "rejected" : "received";
}
