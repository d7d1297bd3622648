/** Every command that the app can make, typed. `issue` puts one in the outbox with its effect. */

import type { Command } from "../outbox";
import { issue as put } from "../outbox";
import type { Store } from "../store/database";
import type { Definition } from "./definition";
import { ordersPlace } from "./orders";
import { patientsRegister } from "./patients";
import { controlsRecord, releaseSwitch } from "./quality";
import {
  criticalCallsRecord,
  parkedSetAside,
  resultsAuthorise,
  resultsCorrect,
  resultsEnter,
  resultsReject,
  resultsVerify,
} from "./results";
import { specimensCollect, specimensReceive, specimensReject } from "./specimens";

export type { Made, Reference, Written } from "./definition";
export { UNDO_SECONDS } from "./definition";

export const COMMANDS = {
  "patients.register": patientsRegister,
  "orders.place": ordersPlace,
  "specimens.collect": specimensCollect,
  "specimens.receive": specimensReceive,
  "specimens.reject": specimensReject,
  "results.enter": resultsEnter,
  "results.verify": resultsVerify,
  "results.authorise": resultsAuthorise,
  "results.reject": resultsReject,
  "results.correct": resultsCorrect,
  "critical_calls.record": criticalCallsRecord,
  "parked.set_aside": parkedSetAside,
  "controls.record": controlsRecord,
  "release.switch": releaseSwitch,
};
export type CommandName = keyof typeof COMMANDS;
export type Body<N extends CommandName> = (typeof COMMANDS)[N] extends Definition<infer B, infer _H> ? B : never;
export type Hints<N extends CommandName> = (typeof COMMANDS)[N] extends Definition<infer _B, infer H> ? H : never;

/** A command's definition by its name, as the outbox keeps it. One of a later version of the app has no effect here. */
export function definition(name: string): Definition<unknown, unknown> {
  return (COMMANDS[name as CommandName] as Definition<unknown, unknown> | undefined) ?? UNKNOWN;
}

const UNKNOWN: Definition<unknown, unknown> = { permission: "", undoSeconds: 0, touches: () => [], effect: () => [] };

/** Make a command: it is in the outbox and its effect on the screen when this resolves. */
export function issue<N extends CommandName>(
  store: Store,
  name: N,
  body: Body<N>,
  ...hints: Hints<N> extends null ? [] : [Hints<N>]
): Promise<Command> {
  return put(store, name, body, hints[0] ?? null);
}
