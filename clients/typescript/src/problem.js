/** @import { Problem } from "./api.js" */

/** Why a request wasn't carried out: a problem document (RFC 9457) that the server answered with. */
export class ParlorError extends Error {
  /**
   * @param {Partial<Problem> & { status: number }} problem
   * @param {number} [retryAfter] seconds after which it may be tried again
   */
  constructor(problem, retryAfter) {
    super(problem.detail ?? problem.title ?? `the server answered ${problem.status}`);
    this.name = "ParlorError";
    /** The HTTP status. */
    this.status = problem.status;
    /** Stable, to act on; `/docs/problems` lists them. */
    this.code = problem.code ?? `http-${problem.status}`;
    /** The invalid fields. */
    this.errors = problem.errors ?? [];
    /** To be found in the server's log. */
    this.requestId = problem.requestId;
    /** Seconds after which it may be tried again, if the server named a time. */
    this.retryAfter = retryAfter;
  }

  /** What a response says. @param {Response} response */
  static async of(response) {
    const retryAfter = Number.parseFloat(response.headers.get("retry-after") ?? "");
    /** @type {Partial<Problem>} */
    let problem = {};
    try {
      problem = await response.json();
    } catch {
      // A proxy in between answers with something else.
    }
    return new ParlorError(
      { ...problem, status: response.status },
      Number.isFinite(retryAfter) ? retryAfter : undefined,
    );
  }

  /** Whether the same request may succeed if it is sent again. */
  get passing() {
    return [408, 429, 502, 503, 504].includes(this.status) || this.code === "command-in-flight";
  }
}

/** There is no session any more (it ended, or there was none): somebody has to sign in. */
export class SignedOutError extends Error {
  constructor(message = "nobody is signed in") {
    super(message);
    this.name = "SignedOutError";
  }
}

/** Whether an error means that no answer came: nobody knows whether the request was carried out. @param {unknown} error */
export function isUnanswered(error) {
  return error instanceof TypeError || (error instanceof DOMException && error.name === "TimeoutError");
}
