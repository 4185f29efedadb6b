/**
 * Requests with a single response, and their failures.
 */

import { isText } from "./envelopes.js";

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
  buffered: "a proxy holds the response back",
  closed: "the client is closed",
  full: "too many publications wait",
  // Quoted, since the build gives other names to properties called so.
  "lost": "no connection: the server is away, or does not allow the origin of this page",
  silent: "nothing came for two heartbeats",
  timeout: "no answer in time",
  unsent: "no connection for too long",
  unsubscribed: "the name was unsubscribed",
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
 * Make a word of letters and digits that cannot be guessed.
 */
export const random = () =>
  // Without TLS there is no crypto.randomUUID.
  [...crypto.getRandomValues(new Uint32Array(4))].map((part) => part.toString(36)).join("");

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
    retry: Number(headers.get("Retry-After")) || undefined,
    isFinal: status < 500 && status != 408 && status != 429,
  });
};
