/**
 * What the server sends: envelopes and poll bodies, checked before the client
 * uses them.
 */

/**
 * An envelope or a poll body.
 *
 * @typedef {object} Envelope
 * @property {string} cursor
 * @property {string} [channel] where it is a message
 * @property {unknown} [data]
 * @property {true} [replay]
 * @property {string[]} [gap]
 * @property {{ code: string, names: string[] }} [ended] names that bring nothing more, and why
 * @property {Closing} [close]
 * @property {Envelope[]} [messages] where it is a body
 * @property {boolean} [more]
 *
 * @typedef {{ code: string, message?: string, retry?: number | null }} Closing
 */

const CURSOR = /^([^\W_]{1,32})-(\d{1,19})$/;

/**
 * Split a cursor into epoch and position.  Both are missing if it is no cursor.
 *
 * @param {unknown} cursor
 * @returns {[epoch?: string, position?: number]}
 */
export const parseCursor = (cursor) => {
  const found = CURSOR.exec(/** @type {any} */ (cursor));
  return found ? [found[1], +found[2]] : [];
};

/**
 * @param {unknown} value
 * @returns {value is string}
 */
export const isText = (value) => typeof value == "string";

/**
 * Parse and check what the server sent.
 *
 * @param {any} raw JSON, or the value that was parsed from it
 * @returns {Envelope}
 * @throws {Error} If it is neither an envelope nor a poll body.
 */
export const read = (raw) => {
  const value = isText(raw) ? JSON.parse(raw) : raw;
  const { cursor, ended, close = ended, channel, data, messages = [] } = value;
  const { gap = ended?.names ?? [] } = value;
  if (
    !parseCursor(cursor)[0] ||
    !gap.every(isText) ||
    (close && !isText(close.code)) ||
    ("channel" in value && (!isText(channel) || data === undefined))
  )
    throw new TypeError("not an envelope");
  messages.forEach(read);
  return value;
};
