/**
 * Requests with a single response, and their failures.
 */

import { isText, read } from "./envelopes.js";

/**
 * Why a request, a command or a link failed.
 *
 * @typedef {object} Failure
 * @property {string} code
 * @property {string} [message]
 * @property {number | null} [retry] in how many seconds to come back; null for never
 * @property {boolean} [isFinal] whether trying again would not help
 */

// What the codes mean that are the client's own.
/** @type {Record<string, string>} */
const TEXTS = {
  buffered: "a proxy holds it back",
  closed: "the client is closed",
  full: "too many publications wait",
  // Quoted, since the build gives other names to properties called so.
  "lost": "no connection: the server is away, or does not allow this origin",
  silent: "silent for two heartbeats",
  timeout: "no answer in time",
  unsent: "no connection for too long",
  unsubscribed: "it was unsubscribed",
};

/** A request or command that was refused, or could not be carried out. */
export class CometError extends Error {
  /** @param {any} failure or any other error or event: without a code it was lost on the way */
  constructor({ code, message, retry, isFinal }) {
    if (!isText(code)) code = "lost";
    super(message || TEXTS[code] || code);
    this.name = "CometError";
    this.code = code;
    this.retry = retry;
    this.isFinal = isFinal;
  }
}

/** Codes after which the same request may succeed. */
export const TEMPORARY = /^(unavailable|unknown|tooMany|internal|lost)$/;

/** @param {number} seconds */
export const sleep = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

/**
 * Make a number, as text, that cannot be guessed.
 */
export const random = () =>
  // Without TLS there is no crypto.randomUUID.
  crypto.getRandomValues(new Uint32Array(4)).join("");

/**
 * Choose a random delay that grows with the failures: exponential backoff with full
 * jitter.
 *
 * @param {[number, number]} bounds seconds: the most for the first delay, and for any
 * @param {number} failures
 */
export const jitter = ([first, most], failures) =>
  Math.random() * Math.min(most, first * 2 ** failures);

/**
 * @param {string} url
 * @param {RequestInit} options
 * @returns {Promise<Response>} a response of success
 * @throws {CometError} If the response is of another kind.
 */
export const request = async (url, options) => {
  const response = await fetch(url, { cache: "no-store", ...options }).catch(() => {
    // The browser's own words do not say why.
    throw new CometError({});
  });
  if (response.ok) return response;
  const { status, headers } = response;
  const { code, detail } = await response.json().catch(() => ({}));
  throw new CometError({
    code,
    message: detail ?? `HTTP ${status}`,
    retry: +(headers.get("Retry-After") ?? 0) || undefined,
    isFinal: status < 500 && status != 408 && status != 429,
  });
};

/**
 * Make a request with the client's token, and again with the next if that is replaced.
 *
 * @param {import("./link.js").Owner} owner
 * @param {string} path
 * @param {object | null} [query] null for what is answered neither an envelope nor a poll body
 * @param {string | null} [body] with one, or with null, the request ends in time; else with the client
 * @param {string} [type] of the body
 * @returns {Promise<any>} the body of the response
 * @throws {CometError}
 */
export const ask = async (owner, path, query, body, type = "application/json") => {
  const { credential, over, settings } = owner;
  over.throwIfAborted();
  const failure = credential.isStale && (await credential.renew());
  if (failure) throw failure;
  // It may have been closed meanwhile, and has no token then.
  over.throwIfAborted();
  const { headers } = credential;
  /** @type {any} */
  const answer = await request(owner.urlOf(path, query, true), {
    credentials: settings.credentials,
    signal: body === undefined ? over : AbortSignal.timeout(2000 * settings.heartbeat),
    ...(body && { method: "POST", body }),
    headers: { ...(body && { "Content-Type": type }), ...headers },
  })
    .then((response) => response.json())
    .then((value) => (query ? read(value) : value))
    .catch((why) => new CometError(isText(why.code) ? why : { code: "badMessage" }));
  over.throwIfAborted();
  if (!(answer instanceof CometError)) return answer;
  if (credential.isOver(answer, headers)) return owner.ask(path, query, body, type);
  throw answer;
};
