/** What the signed-in person may do. The server decides; this only spares them what it would refuse. */
import { session } from "./session";

export function may(permission: string): boolean {
  return session.value?.me.permissions.includes(permission) ?? false;
}
