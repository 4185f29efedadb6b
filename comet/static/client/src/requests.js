/**
 * Requests that are answered once, and what they may fail with.
 */

import { isText } from "./envelopes.js";

/**
 * Why something failed.
 *
 * @typedef {object} Failure
 * @property {string} code
 * @property {string} [message]
 * @property {number | null} [retry] in how many seconds to come back; null for never
 * @property {boolean} [isFinal] whether trying again would not help
 */

/** Something that was refused, or could not be done. */
export class CometError extends Error {
  /** @param {any} failure or what else was thrown: what has no code was lost on the way */
  constructor({ code, message, retry, isFinal }) {
    super(message || code);
    this.name = "CometError";
    this.code = isText(code) ? code : "lost";
    this.retry = retry;
    this.isFinal = isFinal;
  }
}

/** Codes after which the same may succeed. */
export const TEMPORARY = /^(unavailable|unknown|tooMany|internal|lost)$/;

/** @param {number} seconds */
export const sleep = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

/**
 * A word that nobody guesses, of letters and digits.
 */
export const random = () =>
  // crypto.randomUUID is only there where there is TLS.
  [...crypto.getRandomValues(new Uint32Array(4))].map((part) => part.toString(36)).join("");

/**
 * A random moment, the later the more often it has failed: exponential back-off
 * with full jitter.
 *
 * @param {[number, number]} bounds seconds: of the first, and of any
 * @param {number} failures
 */
export const jitter = ([first, most], failures) =>
  Math.random() * Math.min(most, first * 2 ** failures);

/**
 * @param {string} url
 * @param {RequestInit} options
 * @returns {Promise<Response>} one that is fine
 * @throws {CometError} Whatever else was answered.
 */
export const request = async (url, options) => {
  const response = await fetch(url, { cache: "no-store", ...options });
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
