/**
 * What the server says: envelopes and poll bodies, checked before anything
 * believes them.
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
 * @property {Closing} [close]
 * @property {Envelope[]} [messages] where it is a body
 * @property {boolean} [more]
 *
 * @typedef {{ code: string, message?: string, retry?: number | null }} Closing
 */

const CURSOR = /^([^\W_]{1,32})-(\d{1,19})$/;

/**
 * The epoch and the position of a cursor; nothing where it is none.
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
 * Read what came.
 *
 * @param {any} raw JSON, or what it stands for
 * @returns {Envelope}
 * @throws {Error} If it is neither an envelope nor a poll body.
 */
export const read = (raw) => {
  const value = isText(raw) ? JSON.parse(raw) : raw;
  const { cursor, gap = [], close, channel, data, messages = [] } = value;
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
