/**
 * The position of a client, and so the messages that it still needs.
 *
 * Up to one cursor all messages have arrived, of all names but those with a
 * position of their own: these began elsewhere and are being replayed, or the
 * client does not know yet where they begin.  So no message is lost or delivered
 * twice, on any connection.
 */

import { isText, parseCursor } from "./envelopes.js";
import { matches } from "./names.js";

/**
 * A subscribed name.
 *
 * @typedef {object} Entry
 * @property {string | number | null} at its position: null for that of all the
 *   others; a position of its own; or a start position that the server has yet to
 *   resolve, such as "now"
 * @property {number} [begunAt] when it began on its connection, in milliseconds
 * @property {Map<Handler, Handler>} handlers how to call each handler
 * @property {Promise<void>} ready
 * @property {boolean} [isReady]
 * @property {() => void} settle fulfils it
 * @property {(error: Error) => void} fail rejects it, if it waits; the next to ask gets another
 *
 * @typedef {(message: any) => void} Handler
 * @typedef {Map<string, Entry>} Names
 * @typedef {import("./envelopes.js").Envelope} Envelope
 */

// Milliseconds.  The server says at once that it has replayed what a name missed, and says nothing
// if it missed nothing.  After this time the client takes silence for the latter.
const SETTLED = 2000;

/**
 * Return the names of one map that are missing or different in the other.
 *
 * @param {Names} one
 * @param {Names} other
 * @returns {Names}
 */
export const without = (one, other) =>
  new Map([...one].filter(([name, it]) => other.get(name) != it));

/**
 * Whether two maps of names differ.
 *
 * @param {Names} one
 * @param {Names} other
 */
export const isOther = (one, other) => without(one, other).size + without(other, one).size;

export class Standing {
  /** All subscribed names.  @type {Names} */
  subscribed = new Map();
  #epoch = "";
  #position = 0;

  /** The cursor, once the server has sent one. */
  get cursor() {
    return this.#epoch ? `${this.#epoch}-${this.#position}` : null;
  }

  /**
   * Add a name, or replace it.
   *
   * @param {string} name
   * @param {string} since
   */
  add(name, since) {
    const [epoch, position = 0] = parseCursor(since);
    const at = epoch && epoch == this.#epoch ? position : since;
    const it = /** @type {Entry} */ ({ at, handlers: new Map() });
    const renew = () => {
      it.ready = new Promise((done, reject) => {
        it.settle = () => {
          it.isReady = true;
          done();
        };
        it.fail = (error) => {
          reject(error);
          if (!it.isReady) renew();
        };
      });
      // A page need not wait for it, and then a rejection is not an error.
      it.ready.catch(() => {});
    };
    renew();
    this.subscribed.set(name, it);
    return it;
  }

  /**
   * Those of these names that are subscribed.
   *
   * @param {string[]} names
   * @returns {Names}
   */
  select(names) {
    return new Map([...this.subscribed].filter(([name]) => names.includes(name)));
  }

  /** Tell all that wait for a name.  @param {Error} error */
  fail(error) {
    for (const it of this.subscribed.values()) it.fail(error);
  }

  /**
   * Whether messages before this cursor were missed.
   *
   * @param {string} cursor
   */
  isBehind(cursor) {
    const [epoch, position = 0] = parseCursor(cursor);
    return epoch != this.#epoch || position > this.#position;
  }

  /**
   * Make the start positions of these names.
   *
   * @param {Names} names
   */
  places(names) {
    /** @type {Record<string, string>} */
    const places = {};
    for (const [name, { at, begunAt = NaN }] of names) {
      const isKnown = at === null || (isText(at) && Date.now() - begunAt > SETTLED);
      places[name] = isKnown ? this.cursor ?? "now" : isText(at) ? at : `${this.#epoch}-${at}`;
    }
    return places;
  }

  /**
   * @param {Names} held the names that the connection brings
   * @param {Envelope} value
   * @param {Names} [begun] the names that begin at the cursor, or before
   */
  take(held, value, begun) {
    const { cursor, channel, gap, close, messages } = value;
    const [epoch = "", position = 0] = parseCursor(cursor);
    if (epoch != this.#epoch) this.#begin(epoch);
    if (begun) {
      if (!held.size) {
        // The first of a connection: all other names keep their positions.
        for (const it of this.subscribed.values()) it.at ??= this.#position;
        this.#position = position;
      }
      this.#position = Math.max(this.#position, position);
      for (const [name, it] of begun) {
        held.set(name, it);
        it.begunAt = Date.now();
        if (it.at == "now" || it.at == this.#position) it.at = null;
        it.settle();
      }
    }
    for (const message of messages ?? (channel ? [value] : [])) this.#message(held, message);
    if (messages || !(begun || gap || channel || close)) this.#reached(held, position);
  }

  /**
   * A new log has begun: discard the positions in the old one.
   *
   * @param {string} epoch
   */
  #begin(epoch) {
    this.#epoch = epoch;
    this.#position = 0;
    for (const it of this.subscribed.values()) {
      if (!isText(it.at)) it.at = "earliest";
      const [own, place = 0] = parseCursor(it.at);
      if (own == epoch) it.at = place;
    }
  }

  /**
   * All held names have all messages up to here.  Only a body can end before the
   * cursor: in the middle of a replay, and no name is behind that.
   *
   * @param {Names} held
   * @param {number} position
   */
  #reached(held, position) {
    const isAll = position >= this.#position;
    if (isAll) this.#position = position;
    for (const it of held.values()) {
      if (it.at === null || (!isText(it.at) && it.at > position)) continue;
      it.at = isAll || it.at == "now" ? null : position;
      it.settle();
    }
  }

  /**
   * @param {Names} held
   * @param {Envelope} message
   */
  #message(held, message) {
    const { channel = "", cursor, replay } = message;
    const [, position = 0] = parseCursor(cursor);
    const handlers = new Map();
    for (const [name, it] of held) {
      const at = it.at ?? this.#position;
      // A name that begins now is never behind.
      if (isText(at) ? replay && at == "now" : at >= position) continue;
      const isIts = matches(name, channel);
      if (isIts) it.handlers.forEach((take, handler) => handlers.set(handler, take));
      // A replay is in order: it brings no older message to the names that are behind.
      if (replay && it.at !== null && (isIts || !isText(at))) it.at = position;
    }
    if (!replay && position > this.#position) this.#reached(held, position);
    handlers.forEach((take) => take(message));
  }
}
