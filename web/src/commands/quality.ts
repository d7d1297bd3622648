import type { components } from "../generated/api";
import type { ControlTarget, Switch } from "../store/documents";
import { type Definition, written } from "./definition";

export type RecordControl = components["schemas"]["ControlIn"];
export type SetSwitch = components["schemas"]["SwitchIn"];

/** Shown with its distance from the target; whether a rule is violated is the server's to say. */
export const controlsRecord: Definition<RecordControl> = {
  permission: "control:record",
  undoSeconds: 0,
  touches: (body) => [
    {
      kind: "control_targets",
      where: { analyser_id: body.analyser_id, test_code: body.test_code, level: body.level },
    },
  ],
  effect: (found, body, made) => {
    const target = (found.flat() as ControlTarget[]).find((one) => one.lot_number === body.lot_number);
    if (!target) return [];
    const z = (Number(body.value) - Number(target.mean)) / Number(target.sd);
    return [
      written("controls", {
        id: made.id,
        analyser_id: body.analyser_id,
        lot_id: target.lot_id,
        level: body.level,
        test_code: body.test_code,
        value: String(body.value),
        unit: body.unit,
        mean: target.mean,
        sd: target.sd,
        z: z.toFixed(2),
        violated: [],
        status: "pending",
        occurred_at: body.occurred_at,
      }),
    ];
  },
};

/** Automatic release off, or on again. Off is never late: it overtakes, and the other way is asked for twice. */
export const releaseSwitch: Definition<SetSwitch> = {
  permission: "release:switch",
  undoSeconds: 0,
  isUrgent: true,
  touches: (body) => [{ kind: "switches", where: { id: `${body.scope}:${body.target}` } }],
  effect: (_found, body, made) => {
    const set: Switch = {
      id: `${body.scope}:${body.target}`,
      scope: body.scope,
      target: body.target,
      is_off: body.off,
      reason: body.reason,
      set_by_id: made.by,
      set_at: made.at,
    };
    return [written("switches", set)];
  },
};
