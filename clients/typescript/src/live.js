/** @import { ClosedFrame, LiveFrame } from "./api.js" */
/** @import { Parlor } from "./client.js" */
import { ParlorError, SignedOutError } from "./problem.js";
import { backoff, wait } from "./wait.js";

/**
 * What a feed says: an event, or `caught-up` once everything that was missed has been said. `typing` and `presence` carry no
 * cursor: they pass, and aren't repeated. Right after `caught-up` comes the presence of all who are there, of those in a
 * conversation with the user and those who have the user among their contacts.
 *
 * The `type` tells what is in `data`. A message that is in `data` may have been deleted since: then it has a `deletedAt`, and
 * no `content`.
 *
 * @typedef {Exclude<LiveFrame, ClosedFrame>} Frame
 */

/**
 * One connection: ends when the connection does, which `closed` may announce, or throws.
 *
 * @callback Transport
 * @param {{ parlor: Parlor, token: string, cursor: string | undefined, signal: AbortSignal, silence?: number, sender?: (send: Send | undefined) => void }} to
 * @returns {AsyncIterable<LiveFrame>}
 */

/** Says something transient to the server, such as that somebody is typing. @typedef {(frame: Record<string, unknown>) => void} Send */

/**
 * @typedef {object} FeedOptions
 * @property {string} [cursor] resumes after the event that had it; from now on, if there is none
 * @property {AbortSignal} [signal]
 * @property {Transport} [transport]
 * @property {number} [silence] milliseconds without a sign of life, after which a connection is given up and another one opened;
 *   the server gives one every 15 s
 * @property {(state: FeedState, again?: Date) => void} [onState] told when the connection comes and goes
 */

/** @typedef {"connecting" | "live" | "waiting" | "ended"} FeedState */

/**
 * What happens, as it happens. Connections may end as often as they like: the next one resumes at the cursor, so that each
 * event comes once, in order within its source.
 *
 * @implements {AsyncIterable<Frame>}
 */
export class LiveFeed {
  /** @type {AbortController} */
  #pause = new AbortController();
  /** @type {Send | undefined} */
  #send;

  /**
   * @param {Parlor} parlor
   * @param {FeedOptions & { transport: Transport }} options
   */
  constructor(parlor, { cursor, signal, transport, silence, onState = () => {} }) {
    this.parlor = parlor;
    /** Resumes after the last frame that was taken. @type {string | undefined} */
    this.cursor = cursor;
    this.signal = signal ?? new AbortController().signal;
    this.transport = transport;
    this.silence = silence;
    this.onState = onState;
  }

  /** Doesn't wait any longer for the next attempt: the network is back, say. */
  retryNow() {
    this.#pause.abort();
  }

  /**
   * Tells the others in a conversation that the user is typing, to be said every few seconds as long as it is so: by the
   * connection, if it goes both ways, or else by a request. Nobody misses it if it can't be said.
   *
   * @param {string} conversationId
   */
  async typing(conversationId) {
    if (this.#send) return void this.#send({ type: "typing", conversationId });
    const call = { path: { id: conversationId }, retries: 0, signal: this.signal };
    await this.parlor.call("tell_typing", call).catch(() => {});
  }

  /**
   * Every frame but `closed`, which is acted upon. Ends when the signal says so.
   *
   * @returns {AsyncGenerator<Frame, void, void>}
   * @throws {SignedOutError} when the session has ended
   * @throws {ParlorError} what won't pass: `epoch-changed`, after which everything is to be read anew
   */
  async *[Symbol.asyncIterator]() {
    /** @type {string | undefined} */
    let refused;
    let failures = 0;
    try {
      while (!this.signal.aborted) {
        this.onState("connecting");
        /** @type {number | undefined} */
        let pause;
        /** @type {string | undefined} */
        let token;
        try {
          token = await this.parlor.session.accessToken(refused);
          const to = {
            parlor: this.parlor,
            token,
            cursor: this.cursor,
            signal: this.signal,
            silence: this.silence,
            sender: (/** @type {Send | undefined} */ send) => void (this.#send = send),
          };
          for await (const frame of this.transport(to)) {
            if (frame.type === "closed") {
              // The token has ended; the session may have another one.
              if (frame.code === "signed-out") refused = token;
              pause = frame.code === "signed-out" ? 0 : frame.retryAfterMs;
              break;
            }
            if (frame.type === "caught-up") {
              if (frame.position) this.parlor.expect(frame.position);
              failures = 0;
              this.onState("live");
            }
            yield frame;
            // Only now: a consumer that stops in the middle gets the frame again.
            if (frame.cursor !== undefined) this.cursor = frame.cursor;
          }
        } catch (error) {
          if (this.signal.aborted) return;
          if (error instanceof SignedOutError) throw error;
          if (error instanceof ParlorError) {
            if (error.status === 401 && refused === undefined) {
              refused = token;
              continue;
            }
            if (!error.passing) throw error;
            pause = error.retryAfter === undefined ? undefined : error.retryAfter * 1000;
          }
        } finally {
          this.#send = undefined;
        }
        if (pause === 0) continue;
        refused = undefined;
        const delay = Math.max(pause ?? 0, backoff(failures, 250, 15_000));
        failures += 1;
        this.onState("waiting", new Date(Date.now() + delay));
        await this.#waitFor(delay);
      }
    } finally {
      this.onState("ended");
    }
  }

  /** @param {number} delay */
  async #waitFor(delay) {
    this.#pause = new AbortController();
    try {
      await wait(delay, AbortSignal.any([this.signal, this.#pause.signal]));
    } catch {
      // Asked to go on, or to end: the loop looks which.
    }
  }
}
