/**
 * Where a client stands, and so what it has yet to hear.
 *
 * Up to one cursor everything has arrived, in all names but those that have a
 * place of their own: they began elsewhere, and are being replayed, or it is
 * not known yet where they begin.  Whatever the connection, by this nothing is
 * lost and nothing heard twice.
 */

import { isText, parseCursor } from "./envelopes.js";
import { matches } from "./names.js";

/**
 * A name that is read.
 *
 * @typedef {object} Entry
 * @property {string | number | null} at where it stands: null with all the
 *   others; the position of its own; or what the server has yet to find out,
 *   such as "now"
 * @property {number} [since] when it began on its connection, in milliseconds
 * @property {Set<(message: any) => void>} handlers
 * @property {Promise<void>} ready
 * @property {() => void} done fulfils it
 * @property {(error: Error) => void} fail rejects it
 *
 * @typedef {Map<string, Entry>} Names
 * @typedef {import("./envelopes.js").Envelope} Envelope
 */

// Milliseconds.  The server tells at once that it has replayed what a name missed, and nothing
// where it missed nothing: by then that is known.
const SETTLED = 2000;

/**
 * What is in one of them, and not, or not the same, in the other.
 *
 * @param {Names} one
 * @param {Names} other
 * @returns {Names}
 */
export const without = (one, other) =>
  new Map([...one].filter(([name, it]) => other.get(name) != it));

/**
 * Whether they are not the same.
 *
 * @param {Names} one
 * @param {Names} other
 */
export const isOther = (one, other) => without(one, other).size + without(other, one).size > 0;

export class Standing {
  /** All names that are read.  @type {Names} */
  names = new Map();
  #epoch = "";
  #position = 0;

  /** The cursor, once there is one. */
  get cursor() {
    return this.#epoch ? `${this.#epoch}-${this.#position}` : null;
  }

  /**
   * Read one more name.  One that is there is replaced.
   *
   * @param {string} name
   * @param {string} since
   */
  add(name, since) {
    const [epoch, position = 0] = parseCursor(since);
    const at = epoch && epoch == this.#epoch ? position : since;
    const it = /** @type {Entry} */ ({ at, handlers: new Set() });
    it.ready = new Promise((done, fail) => Object.assign(it, { done, fail }));
    // Nobody has to wait for it.
    it.ready.catch(() => {});
    this.names.set(name, it);
    return it;
  }

  /**
   * Whether something was missed before this cursor.
   *
   * @param {string} cursor
   */
  isBehind(cursor) {
    const [epoch, position = 0] = parseCursor(cursor);
    return epoch != this.#epoch || position > this.#position;
  }

  /**
   * Where the server is to begin with these names.
   *
   * @param {Names} names
   */
  places(names) {
    /** @type {Record<string, string>} */
    const places = {};
    for (const [name, { at, since = NaN }] of names) {
      const isKnown = at === null || (isText(at) && Date.now() - since > SETTLED);
      places[name] = isKnown ? this.cursor ?? "now" : isText(at) ? at : `${this.#epoch}-${at}`;
    }
    return places;
  }

  /**
   * @param {Names} held what the connection brings
   * @param {Envelope} value
   * @param {(handler: (message: any) => void, message: Envelope) => void} call
   * @param {Names} [begun] those that begin at the cursor, or before
   */
  take(held, value, call, begun) {
    const { cursor, channel, gap, close, messages } = value;
    const [epoch = "", position = 0] = parseCursor(cursor);
    if (epoch != this.#epoch) this.#begin(epoch);
    if (begun) {
      if (!held.size) {
        // The first of a connection: all others are where they were.
        for (const it of this.names.values()) it.at ??= this.#position;
        this.#position = position;
      }
      this.#position = Math.max(this.#position, position);
      for (const [name, it] of begun) {
        held.set(name, it);
        it.since = Date.now();
        if (it.at == "now" || it.at == this.#position) it.at = null;
        it.done();
      }
    }
    for (const message of messages ?? (channel ? [value] : [])) this.#message(held, message, call);
    if (messages || !(begun || gap || channel || close)) this.#reached(held, position);
  }

  /**
   * Another log: what was known of the last one is void.
   *
   * @param {string} epoch
   */
  #begin(epoch) {
    this.#epoch = epoch;
    this.#position = 0;
    for (const it of this.names.values()) {
      if (!isText(it.at)) it.at = "earliest";
      const [own, place = 0] = parseCursor(it.at);
      if (own == epoch) it.at = place;
    }
  }

  /**
   * All that are held have everything up to here.  Only a body may end before
   * the cursor: in the middle of a replay, and no name is behind that.
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
      it.done();
    }
  }

  /**
   * @param {Names} held
   * @param {Envelope} message
   * @param {(handler: (message: any) => void, message: Envelope) => void} call
   */
  #message(held, message, call) {
    const { channel = "", cursor, replay } = message;
    const [, position = 0] = parseCursor(cursor);
    const handlers = new Set();
    for (const [name, it] of held) {
      const at = it.at ?? this.#position;
      // What begins now is never behind.
      if (isText(at) ? replay && at == "now" : at >= position) continue;
      const isIts = matches(name, channel);
      if (isIts) it.handlers.forEach((handler) => handlers.add(handler));
      // A replay is in order: to those that are behind it brings nothing older any more.
      if (replay && it.at !== null && (isIts || !isText(at))) it.at = position;
    }
    if (!replay && position > this.#position) this.#reached(held, position);
    handlers.forEach((handler) => call(handler, message));
  }
}
