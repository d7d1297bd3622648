/** What a command is, and how its effect on the local documents is described. */
import type { Kind, Kinds } from "../store/documents";

/** Documents to find: by `id` or another index of their kind. */
export type Reference = { [K in Kind]: { kind: K; where: Record<string, string | number> } }[Kind];

/** A document as the command leaves it; `null`: it is gone. */
export type Written = { [K in Kind]: { kind: K; id: string; document: Kinds[K] | null } }[Kind];

/** The command that is being made: its id, its instant, and who makes it. */
export interface Made {
  id: string;
  at: string;
  by: string | null;
}

export interface Definition<Body, Hints = null> {
  permission: string;
  /** How long it waits here, and can be undone. */
  undoSeconds: number;
  /** Safety: it overtakes everything that waits but others of its kind. Only for what stands for itself. */
  isUrgent?: true;
  /** The documents that the effect looks at. */
  touches(body: Body, hints: Hints): Reference[];
  /**
   * The documents as they will be, from those found (one list a reference, in that order): pure, and harmless when one
   * is missing. It is put on anew whenever the server's documents change.
   */
  effect(found: Kinds[Kind][][], body: Body, made: Made): Written[];
}

/** The undo window of what cannot be taken back afterwards, seconds. */
export const UNDO_SECONDS = 5;

/** `document` as kind `kind` leaves it. */
export function written<K extends Kind>(kind: K, document: Kinds[K]): Written {
  return { kind, id: document.id, document } as Written;
}
