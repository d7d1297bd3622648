/** The documents that the server sends, as whole current states: one table a kind in the local store. */

/** A decimal number as the server writes it: never a float. */
export type Decimal = string;
/** An instant, ISO 8601 with its offset. */
export type Instant = string;
/** A calendar day of the laboratory, `2026-11-24`. */
export type Day = string;
/** A text in other languages, by language. */
export type Translations = Partial<Record<string, { name?: string; text?: string }>> | Record<string, string>;

export interface Document {
  id: string;
  /** The command whose effect this is, while the server has not confirmed it. Never sent. */
  pending?: string;
}

export interface Me extends Document {
  user_id: string;
  username: string;
  full_name: string;
  roles: string[];
  permissions: string[];
  site_id: string | null;
  organization: { id: string; code: string; name: string; is_example: boolean };
}

export interface Site extends Document {
  code: string;
  name: string;
  kind: string;
}

export interface User extends Document {
  full_name: string;
}

export interface Analyser extends Document {
  code: string;
  name: string;
  model: string;
  site_id: string;
}

/** What can be ordered and measured; `id` is its code. */
export interface Test extends Document {
  code: string;
  name: string;
  translations: Translations;
  kind: string;
  allowed_values: string[] | null;
  loinc: string | null;
  unit: string;
  decimals: number | null;
  specimen_type: string;
  container: string;
  discipline: string;
  method: string | null;
  turnaround_minutes: number;
  list_price: Decimal | null;
  reportable_low: Decimal | null;
  reportable_high: Decimal | null;
  delta_limit_percent: Decimal | null;
  delta_window_days: number | null;
  is_restricted: boolean;
  is_example: boolean;
}

export interface Panel extends Document {
  code: string;
  name: string;
  translations: Translations;
  tests: string[];
  list_price: Decimal | null;
  is_example: boolean;
}

export interface Patient extends Document {
  uhid: string | null;
  name: string | null;
  phone: string | null;
  sex: string;
  birth_on: Day | null;
  birth_precision: string | null;
  status: string;
}

export interface OrderTest {
  id: string;
  test_code: string;
  status: string;
  specimen_id: string | null;
  due_at: Instant | null;
}

export interface Order extends Document {
  order_number: string | null;
  patient_id: string;
  site_id: string;
  priority: string;
  status: string;
  placed_at: Instant;
  due_at: Instant | null;
  completed_at: Instant | null;
  report_language: string | null;
  tests: OrderTest[];
}

export interface Specimen extends Document {
  accession_number: string | null;
  order_id: string;
  patient_id: string;
  site_id: string;
  specimen_type: string;
  container: string;
  status: string;
  collected_at: Instant | null;
  received_at: Instant | null;
  rejected_at: Instant | null;
  rejection_reason: string | null;
}

export interface Result extends Document {
  order_id: string;
  order_test_id: string;
  patient_id: string;
  specimen_id: string | null;
  test_code: string;
  value: Decimal | null;
  value_text: string;
  comparator: string | null;
  unit: string;
  flag: string | null;
  reference_low: Decimal | null;
  reference_high: Decimal | null;
  critical_low: Decimal | null;
  critical_high: Decimal | null;
  status: string;
  version: number;
  corrects_id: string | null;
  reasons: string[];
  evidence: Record<string, unknown>;
  risk: number | Decimal | null;
  is_automatic: boolean;
  entry: string;
  analyser_id: string | null;
  entered_by_id: string | null;
  verified_by_id: string | null;
  verified_at: Instant | null;
  authorised_by_id: string | null;
  authorised_at: Instant | null;
  occurred_at: Instant;
  available_at: Instant;
}

export interface CriticalCall extends Document {
  result_id: string;
  order_id: string;
  patient_id: string;
  called_at: Instant;
  called_by_id: string;
  outcome: "informed" | "not_reached";
  informed: string | null;
  read_back: boolean;
}

export interface Parked extends Document {
  message_id: string;
  channel: string;
  code: string;
  reason: string;
  recorded_at: Instant;
  resolved_at: Instant | null;
  resolution: string | null;
}

export interface Control extends Document {
  analyser_id: string;
  lot_id: string;
  level: number;
  test_code: string;
  value: Decimal;
  unit: string;
  mean: Decimal;
  sd: Decimal;
  z: Decimal | number;
  violated: string[];
  status: string;
  occurred_at: Instant;
}

export interface ControlTarget extends Document {
  lot_id: string;
  material: string;
  lot_number: string;
  expires_on: Day | null;
  level: number;
  test_code: string;
  analyser_id: string;
  mean: Decimal;
  sd: Decimal;
}

export interface Switch extends Document {
  scope: string;
  target: string;
  is_off: boolean;
  reason: string | null;
  set_by_id: string | null;
  set_at: Instant;
}

export interface Report extends Document {
  order_id: string;
  patient_id: string;
  version: number;
  status: string;
  released_at: Instant;
  supersedes_id: string | null;
  is_example: boolean;
}

/** Every kind and its document. */
export interface Kinds {
  me: Me;
  sites: Site;
  users: User;
  analysers: Analyser;
  tests: Test;
  panels: Panel;
  patients: Patient;
  orders: Order;
  specimens: Specimen;
  results: Result;
  critical_calls: CriticalCall;
  parked: Parked;
  controls: Control;
  control_targets: ControlTarget;
  switches: Switch;
  reports: Report;
}
export type Kind = keyof Kinds;

/** The kinds with what is looked up in each besides `id`: Dexie's index syntax. */
export const INDEXES: Record<Kind, string> = {
  me: "id",
  sites: "id, code",
  users: "id",
  analysers: "id",
  tests: "id",
  panels: "id",
  patients: "id, uhid",
  orders: "id, order_number, patient_id, status, due_at",
  specimens: "id, accession_number, order_id, patient_id, status",
  results:
    "id, order_id, order_test_id, patient_id, specimen_id, test_code, status, flag, authorised_at, available_at, [patient_id+test_code]",
  critical_calls: "id, result_id",
  parked: "id",
  controls: "id, [analyser_id+test_code+level]",
  control_targets: "id, [analyser_id+test_code+level]",
  switches: "id",
  reports: "id, order_id, patient_id",
};
export const KINDS = Object.keys(INDEXES) as Kind[];
