import type { Parked } from "../../store/documents";

/** What one message could not place for one reason: a person decides on it as a whole. */
export interface Group {
  key: string;
  channel: string;
  reason: string;
  recorded_at: string;
  resolved_at: string | null;
  resolution: string | null;
  items: Parked[];
}

/** Parked values by message and reason, the newest first; those set aside by how they were as well. */
export function groups(parked: Parked[]): Group[] {
  const found = new Map<string, Group>();
  for (const one of parked) {
    const key = [one.message_id, one.reason, one.resolution ?? ""].join(" ");
    const known = found.get(key);
    if (known) known.items.push(one);
    else found.set(key, { ...one, key, items: [one] });
  }
  return [...found.values()].sort((one, other) => Date.parse(other.recorded_at) - Date.parse(one.recorded_at));
}
