/**
 * The token that a client shows, and how its page is asked for another in time.
 */

import { isText } from "./envelopes.js";
import { CometError } from "./requests.js";

// Seconds.  A timer of a browser cannot wait for more than 24 days.
const LONGEST = 1e6;

// Seconds: the least life of a token that does not tell when it began.
const UNKNOWN = 30;

// Milliseconds.  A token that is older is replaced at once when the server refuses it.
const FRESH = 5000;

/**
 * Read the claims of a token.  The client does not verify them: the server does.
 *
 * @param {string | undefined} text
 * @returns {any} nothing if it is no JWT: then it may be a key, which belongs in no URL
 */
export const claimsOf = (text) => {
  try {
    const [, claims] = /** @type {any} */ (/^ey[\w-]+\.(ey[\w-]+)\.[\w-]+$/.exec(text ?? ""));
    return JSON.parse(atob(claims.replace(/-/g, "+").replace(/_/g, "/")));
  } catch {
    // It is none, or another kind of credential.
  }
};

export class Token {
  /** @type {string | undefined} */
  word;
  /** The headers of all requests that can carry headers.  @type {Record<string, string>} */
  headers = {};
  /** Whether it has to be replaced before the next request. */
  isStale = false;
  /** The page's function.  @type {(() => any) | undefined} */
  give;
  /** Its answer, while that is waited for.  @type {Promise<CometError | void> | undefined} */
  #giving;
  #givenAt = 0;
  /** The timer until it is replaced.  @type {any} */
  #timer;
  #owner;

  /**
   * @param {import("./link.js").Owner} owner
   * @param {any} given the option: a string or a function
   */
  constructor(owner, given) {
    this.#owner = owner;
    if (typeof given == "function") {
      this.give = given;
      this.isStale = true;
    } else if (given) this.adopt(given);
  }

  /**
   * Show another token from now on.
   *
   * @param {string} text
   */
  adopt(text) {
    const owner = this.#owner;
    this.word = text;
    this.headers = { Authorization: `Bearer ${text}` };
    if (!this.give) return;
    this.isStale = false;
    this.#givenAt = Date.now();
    // After four fifths of the time that is left.  The clock here may be wrong, so that time is at
    // most the token's life, both ends of which are the server's, and at least a fifth of it.
    const { iat, exp } = claimsOf(text) ?? {};
    const left = exp - this.#givenAt / 1000;
    const life = iat ? exp - iat : Math.max(left, UNKNOWN);
    const wait = Math.min(LONGEST, 0.8 * Math.max(life / 5, Math.min(life, left)));
    this.stop();
    // The leading tab asks for all: the others only if it does not.  Its timers may be late by a
    // second if it is hidden.
    if (wait > 0)
      this.#later(wait, () => (owner.isGuest ? this.#later(1 + wait / 10) : this.renew()));
    owner.renewed();
  }

  /**
   * @param {number} seconds
   * @param {() => void} act
   */
  #later(seconds, act = () => this.renew()) {
    this.stop();
    this.#timer = setTimeout(act, seconds * 1000);
  }

  /** Cancel the timer. */
  stop() {
    clearTimeout(this.#timer);
  }

  /**
   * Have the page give a token, once for all that need one meanwhile.
   *
   * @returns why there is none
   */
  renew() {
    return (this.#giving ??= Promise.resolve()
      .then(this.give)
      .then((text) => {
        if (!isText(text)) throw "the token is no string";
        if (this.#owner.over.aborted) return;
        this.adopt(text);
        this.#owner.share({ token: text });
      })
      .catch((error) => {
        const failure = new CometError({ code: "unauthorized", message: String(error) });
        if (!this.isStale) this.#later(this.#owner.settings.backoff[1]);
        this.#owner.unable(failure);
        return failure;
      })
      .finally(() => (this.#giving = undefined)));
  }

  /**
   * Whether a token was refused that is replaced, or may be at once.
   *
   * @param {import("./requests.js").Failure} failure
   * @param {object} shown the headers
   */
  isOver({ code }, shown) {
    if (!this.give || !/^(expired|unauthorized)$/.test(code)) return false;
    if (shown != this.headers) return true;
    this.isStale = true;
    return Date.now() - this.#givenAt > FRESH;
  }
}
