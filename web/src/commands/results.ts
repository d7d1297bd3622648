import type { Order, Parked, Result, Test } from "../store/documents";
import { type Definition, type Reference, UNDO_SECONDS, type Written, written } from "./definition";

export interface EnterResults {
  values: { order_test_id: string; value_text: string }[];
  measured_at: string;
}
export interface ResultIds {
  result_ids: string[];
}
export interface RejectResult {
  result_id: string;
}
export interface CorrectResult {
  result_id: string;
  value_text: string;
  reason: string;
  comment: string | null;
}
export interface RecordCriticalCall {
  id: string;
  result_id: string;
  called_at: string;
  outcome: "informed" | "not_reached";
  informed: string | null;
  read_back: boolean;
}
export interface SetAside {
  id: string;
  reason: string;
}

/** Held until somebody else validates them. Flags and intervals are the server's to say, so there are none yet. */
export const resultsEnter: Definition<EnterResults, { order_ids: string[]; test_codes: string[] }> = {
  permission: "result:enter",
  undoSeconds: 0,
  touches: (_body, hints) => [
    ...hints.order_ids.map((id) => ({ kind: "orders" as const, where: { id } })),
    ...hints.test_codes.map((id) => ({ kind: "tests" as const, where: { id } })),
  ],
  effect: (found, body, made) => {
    const documents = found.flat() as (Order | Test)[];
    const tests = new Map(documents.filter(isTest).map((test) => [test.code, test]));
    const orders = documents.filter((document): document is Order => !isTest(document));
    return body.values.flatMap(({ order_test_id, value_text }) => {
      const order = orders.find((one) => one.tests.some((line) => line.id === order_test_id));
      const line = order?.tests.find((one) => one.id === order_test_id);
      if (!order || !line) return [];
      const test = tests.get(line.test_code);
      return [written("results", entered(order, line, test?.unit ?? "", value_text, body.measured_at, made))];
    });
  },
};

function entered(
  order: Order,
  line: Order["tests"][number],
  unit: string,
  value_text: string,
  measured_at: string,
  made: { id: string; at: string; by: string | null },
): Result {
  return {
    id: `${made.id}:${line.id}`,
    order_id: order.id,
    order_test_id: line.id,
    patient_id: order.patient_id,
    specimen_id: line.specimen_id,
    test_code: line.test_code,
    value: /^-?\d+(\.\d+)?$/.test(value_text) ? value_text : null,
    value_text,
    comparator: null,
    unit,
    flag: null,
    reference_low: null,
    reference_high: null,
    critical_low: null,
    critical_high: null,
    status: "held",
    version: 1,
    corrects_id: null,
    reasons: [],
    evidence: {},
    risk: null,
    is_automatic: false,
    entry: "manual",
    analyser_id: null,
    entered_by_id: made.by,
    verified_by_id: null,
    verified_at: null,
    authorised_by_id: null,
    authorised_at: null,
    occurred_at: measured_at,
    available_at: made.at,
  };
}

/** The technical validation. */
export const resultsVerify: Definition<ResultIds> = {
  permission: "result:verify",
  undoSeconds: 0,
  touches: (body) => body.result_ids.map(result),
  effect: (found, _body, made) => held(found, { verified_at: made.at, verified_by_id: made.by }),
};

export const resultsAuthorise: Definition<ResultIds> = {
  permission: "result:authorise",
  undoSeconds: UNDO_SECONDS,
  touches: (body) => body.result_ids.map(result),
  effect: (found, _body, made) =>
    held(found, { status: "authorised", authorised_at: made.at, authorised_by_id: made.by }),
};

export const resultsReject: Definition<RejectResult> = {
  permission: "result:authorise",
  undoSeconds: UNDO_SECONDS,
  touches: (body) => [result(body.result_id)],
  effect: (found) => held(found, { status: "rejected" }),
};

/** A new version that points to the one it replaces. */
export const resultsCorrect: Definition<CorrectResult> = {
  permission: "result:correct",
  undoSeconds: UNDO_SECONDS,
  touches: (body) => [result(body.result_id)],
  effect: (found, body, made) =>
    (found.flat() as Result[]).flatMap((old) => [
      written("results", { ...old, status: "superseded" }),
      written("results", {
        ...old,
        id: `${made.id}:${old.id}`,
        value: /^-?\d+(\.\d+)?$/.test(body.value_text) ? body.value_text : null,
        value_text: body.value_text,
        flag: null,
        status: "held",
        version: old.version + 1,
        corrects_id: old.id,
        reasons: [],
        is_automatic: false,
        entry: "manual",
        entered_by_id: made.by,
        verified_by_id: null,
        verified_at: null,
        authorised_by_id: null,
        authorised_at: null,
        available_at: made.at,
      }),
    ]),
};

export const criticalCallsRecord: Definition<RecordCriticalCall> = {
  permission: "critical:call",
  undoSeconds: 0,
  touches: (body) => [result(body.result_id)],
  effect: (found, body, made) =>
    (found.flat() as Result[]).map(({ order_id, patient_id }) =>
      written("critical_calls", { ...body, order_id, patient_id, called_by_id: made.by ?? "" }),
    ),
};

export const parkedSetAside: Definition<SetAside> = {
  permission: "parked:resolve",
  undoSeconds: UNDO_SECONDS,
  touches: (body) => [{ kind: "parked", where: { id: body.id } }],
  effect: (found, body, made) =>
    (found.flat() as Parked[]).map((parked) =>
      written("parked", { ...parked, resolved_at: made.at, resolution: body.reason }),
    ),
};

function result(id: string): Reference {
  return { kind: "results", where: { id } };
}

function held(found: unknown[][], what: Partial<Result>): Written[] {
  const results = (found.flat() as Result[]).filter((one) => one.status === "held");
  return results.map((one) => written("results", { ...one, ...what }));
}

function isTest(document: Order | Test): document is Test {
  return "loinc" in document;
}
