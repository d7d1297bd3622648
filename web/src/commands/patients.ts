import type { components } from "../generated/api";
import { type Definition, written } from "./definition";

/** `id` is made here (uuid7), so that an order can name the patient before the server knows of either. */
export type RegisterPatient = components["schemas"]["PatientIn"] & { id: string };

/** Without a UHID the laboratory gives the next one; until then the patient has none. */
export const patientsRegister: Definition<RegisterPatient> = {
  permission: "patient:register",
  undoSeconds: 0,
  touches: () => [],
  effect: (_found, body) => [
    written("patients", {
      id: body.id,
      uhid: body.uhid ?? null,
      name: body.name,
      phone: body.phone ?? null,
      sex: body.sex,
      birth_on: body.birth_on ?? null,
      birth_precision: body.birth_precision ?? null,
      status: "active",
    }),
  ],
};
