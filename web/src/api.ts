/** The way to the server. Nothing personal is ever in an address. */
import type { Kind, Kinds } from "./store/documents";

/** A refusal as the server words it (RFC 9457). */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  [fact: string]: unknown;
}

/** The server was not reached, did not answer in time, or answered with something that is not its own. */
export class Unreachable extends Error {}

/** The server answered, and said no. */
export class Refused extends Error {
  constructor(readonly problem: Problem) {
    super(problem.title);
  }
}

/** The last word of a problem's type: `specimen-not-receivable`. */
export function slug(problem: Problem): string {
  return problem.type.split("/").at(-1) ?? "";
}

const TIMEOUT = 20_000;

/** One request. Throws `Refused` for an answer of 4xx or 5xx with a problem, `Unreachable` for everything else. */
export async function request<T>(method: string, path: string, token?: string, body?: unknown): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer: Response;
  let said: unknown;
  try {
    answer = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      credentials: "omit",
      signal: AbortSignal.timeout(TIMEOUT),
    });
    said = await answer.json();
  } catch (cause) {
    throw new Unreachable("no answer", { cause });
  }
  if (answer.ok) return said as T;
  if (!isProblem(said)) throw new Unreachable(`answer ${answer.status}`);
  throw new Refused(said);
}

/** A document as bytes. Throws `Unreachable` when there is none. */
export async function fetchFile(path: string, token: string): Promise<Blob> {
  const headers = { Authorization: `Bearer ${token}` };
  const options = { headers, cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(TIMEOUT) } as const;
  const answer = await fetch(path, options).catch((cause) => {
    throw new Unreachable("no answer", { cause });
  });
  if (!answer.ok) throw new Unreachable(`answer ${answer.status}`);
  return answer.blob();
}

function isProblem(said: unknown): said is Problem {
  return typeof said === "object" && said !== null && "type" in said && "title" in said && "status" in said;
}

/** A command as it travels. */
export interface Sent {
  id: string;
  name: string;
  body: unknown;
  made_at: string;
  device: string;
}

export interface Answer {
  id: string;
  status: number;
  reply: unknown;
}

export interface Pushed {
  answers: Answer[];
  server_time: string;
}

export interface Pulled {
  cursor: string;
  reset: boolean;
  documents: { [K in Kind]?: Kinds[K][] };
  gone: { [K in Kind]?: string[] };
  more: boolean;
  server_time: string;
}

/** The two calls that keep the local store and the server together. */
export interface Server {
  push(commands: Sent[]): Promise<Pushed>;
  pull(cursor: string | undefined): Promise<Pulled>;
}

/** The server as this token reaches it. */
export function server(token: string): Server {
  return {
    push: (commands) => request("POST", "/v1/sync/push", token, { commands }),
    pull: (cursor) => request("GET", `/v1/sync/pull${cursor ? `?cursor=${encodeURIComponent(cursor)}` : ""}`, token),
  };
}
