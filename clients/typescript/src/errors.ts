/** What a server refuses, as an error: `name` is that of the library's error, such as "CubeNotFoundError". */

import type { components } from "./schema.js";

type Problem = components["schemas"]["Problem"];

/** A request that the server refused, or that never reached it (`status` 0). */
export class MnemeError extends Error {
  /** The HTTP status; 0: no answer came. */
  readonly status: number;
  /** All that the server said (RFC 9457), if it said anything that can be read. */
  readonly problem: Problem | undefined;
  /** Seconds to wait before another try, where the server asked for that. */
  readonly retryAfterS: number | undefined;

  constructor(message: string, status: number, problem?: Problem, retryAfterS?: number) {
    super(message);
    this.name = problem?.error ?? "MnemeError";
    this.status = status;
    this.problem = problem;
    this.retryAfterS = retryAfterS;
  }
}

/** No such memory in this namespace: 404. */
export class NotFoundError extends MnemeError {}

/** The memory is at another version, or in a state that does not allow this: 409 and 412. */
export class ConflictError extends MnemeError {}

/** The key is missing or wrong, or does not grant this: 401 and 403. */
export class RefusedError extends MnemeError {}

/** A field or a value that the server does not take: 400, 413 and 422. */
export class InvalidInputError extends MnemeError {}

/** The server is busy, or a part of it does not answer; a later try may succeed: 429, 503 and 0. */
export class UnavailableError extends MnemeError {}

const KINDS = new Map<number, typeof MnemeError>([
  [0, UnavailableError],
  [400, InvalidInputError],
  [401, RefusedError],
  [403, RefusedError],
  [404, NotFoundError],
  [409, ConflictError],
  [412, ConflictError],
  [413, InvalidInputError],
  [422, InvalidInputError],
  [429, UnavailableError],
  [503, UnavailableError],
]);

/** The error for an answer, or for a problem that an event carried. */
export function errorOf(status: number, body: unknown, retryAfter?: string | null): MnemeError {
  const problem = isProblem(body) ? body : undefined;
  const seconds = Number(retryAfter);
  const kind = KINDS.get(status) ?? MnemeError;
  return new kind(
    problem?.detail ?? `the server answered with ${status}`,
    status,
    problem,
    retryAfter != null && Number.isFinite(seconds) ? seconds : undefined,
  );
}

function isProblem(body: unknown): body is Problem {
  return typeof body === "object" && body !== null && "error" in body && "detail" in body;
}
