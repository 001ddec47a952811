/** @import { SignedIn } from "./api.js" */
import { ParlorError, SignedOutError } from "./problem.js";

/**
 * A pair of tokens, and when the access token ends, in milliseconds since 1970.
 *
 * @typedef {SignedIn & { endsAt: number }} Tokens
 */

/**
 * Where tokens are kept. Whoever shares a store (the tabs of a browser) shares a session.
 *
 * @typedef {object} TokenStore
 * @property {() => Tokens | undefined | Promise<Tokens | undefined>} load
 * @property {(tokens: Tokens | undefined) => void | Promise<void>} save
 * @property {(<T>(work: () => Promise<T>) => Promise<T>)} [alone] runs `work` while no other sharer does
 */

/** How long before its end an access token is renewed, in milliseconds. */
const EARLY = 20_000;

/** Keeps tokens for as long as the process runs. @returns {TokenStore} */
export function memoryStore() {
  /** @type {Tokens | undefined} */
  let kept;
  return { load: () => kept, save: (tokens) => void (kept = tokens) };
}

/** Somebody's session: gives access tokens, and renews them once however many calls need one. */
export class Session {
  /** @type {Promise<Tokens> | undefined} */
  #renewing;

  /**
   * @param {TokenStore} store
   * @param {(refreshToken: string) => Promise<SignedIn>} refresh asks the server for the next pair
   */
  constructor(store, refresh) {
    this.store = store;
    this.refresh = refresh;
  }

  /** Begins, with what signing in answered. @param {SignedIn} signedIn */
  async begin(signedIn) {
    const tokens = { ...signedIn, endsAt: Date.now() + signedIn.expiresIn * 1000 };
    await this.store.save(tokens);
    return tokens;
  }

  /** Ends here; the server isn't told. */
  async forget() {
    await this.store.save(undefined);
  }

  /**
   * An access token that holds.
   *
   * @param {string} [refused] one that the server no longer takes
   * @throws {SignedOutError} if there is no session, or no longer one
   */
  async accessToken(refused) {
    const tokens = await this.store.load();
    if (!tokens) throw new SignedOutError();
    if (holds(tokens, refused)) return tokens.accessToken;
    this.#renewing ??= this.#renew(refused).finally(() => (this.#renewing = undefined));
    return (await this.#renewing).accessToken;
  }

  /** @param {string | undefined} refused */
  #renew(refused) {
    const alone = this.store.alone ?? ((work) => work());
    return alone(async () => {
      // Somebody else who shares the store may have been faster.
      const tokens = await this.store.load();
      if (!tokens) throw new SignedOutError();
      if (holds(tokens, refused)) return tokens;
      try {
        return await this.begin(await this.refresh(tokens.refreshToken));
      } catch (error) {
        if (!(error instanceof ParlorError && error.status === 401)) throw error;
        await this.forget();
        throw new SignedOutError("the session has ended");
      }
    });
  }
}

/** @param {Tokens} tokens @param {string | undefined} refused */
function holds(tokens, refused) {
  return tokens.accessToken !== refused && tokens.endsAt - EARLY > Date.now();
}
