/**
 * One way in which it is read, from the first request until it fails or is
 * stopped.
 *
 * It is *open* once it is known to work; what it heard until then is only kept,
 * so that it may be tried beside another one that is open.
 */

import { isText, read } from "./envelopes.js";
import { pathOf } from "./names.js";

/**
 * @typedef {import("./envelopes.js").Envelope} Envelope
 * @typedef {import("./requests.js").Failure} Failure
 * @typedef {import("./standing.js").Names} Names
 * @typedef {import("./standing.js").Standing} Standing
 * @typedef {Required<import("../comet.d.ts").CometOptions>} Options
 *
 * @typedef {import("./comet.js").Comet} Owner whoever has the link
 */

// Milliseconds.  The server writes two chunks 500 apart.  Something holds them back where they
// come together, or the second does not come.
const TOGETHER = 250;
const FOLLOWS = 2500;

export class Link {
  /** What was asked for with the last request.  @type {Names} */
  asked = new Map();
  /** What it brings.  @type {Names} */
  held = new Map();
  isOpen = false;
  /** When it was opened, and when something was heard last, in milliseconds. */
  openedAt = 0;
  heardAt = 0;
  /** Asks for other names without another request.  @type {(() => void) | undefined} */
  update;
  /** Takes a message of another tab.  @type {((told: any) => void) | undefined} */
  told;
  /**
   * Sends a command.
   *
   * @type {((json: string, answered?: (reply: import("./transports.js").Reply) => void) => void)
   *   | undefined}
   */
  command;
  #control = new AbortController();
  signal = this.#control.signal;
  #isProbing;
  /** @type {any} */
  #timer;
  /** @type {(() => void) | void} */
  #end = undefined;
  #beganAt = 0;
  /** @type {[Envelope, Names | undefined][]} */
  #inbox = [];

  /**
   * @param {Owner} owner
   * @param {string} transport
   * @param {number} index its place in the order of transports
   * @param {boolean} isProbing whether to find out if something holds back what comes
   */
  constructor(owner, transport, index, isProbing) {
    this.owner = owner;
    this.headers = owner.authorization;
    this.transport = transport;
    this.index = index;
    this.#isProbing = isProbing && /^(sse|stream|iframe)$/.test(transport);
    this.#timer = setTimeout(this.failed, owner.settings.timeout * 1000, { code: "timeout" });
  }

  /** @param {(link: Link) => (() => void) | void} transport */
  begin(transport) {
    try {
      this.#end = transport(this);
    } catch (error) {
      this.failed(error);
    }
  }

  stop() {
    this.#control.abort();
    clearTimeout(this.#timer);
    this.#end?.();
  }

  /** Nothing more is to come.  @param {any} why a failure; an event or nothing, if not known */
  failed = ({ code, message = "", retry, isFinal } = /** @type {any} */ ({})) => {
    if (this.signal.aborted) return;
    this.stop();
    if (!isText(code)) code = "lost";
    this.owner.failed(this, { code, message, retry, isFinal });
  };

  /** Fail, if it should have been heard of. */
  check = () => {
    if (Date.now() - this.heardAt > 2000 * this.owner.settings.heartbeat) this.failed({ code: "silent" });
  };

  /**
   * Where to read, from where all names stand now.
   *
   * @param {string} transport
   * @param {object} [fields]
   * @param {boolean} [hasHeaders] whether the request is sent with `headers`
   */
  readingOf(transport, fields, hasHeaders) {
    const { standing } = this.owner;
    const { names, cursor } = standing;
    /** @type {Record<string, any>} */
    const query = { transport, ...fields };
    this.asked = new Map(names);
    if (cursor) query.since = cursor;
    for (const [name, place] of Object.entries(standing.places(names)))
      if (place != (cursor ?? "now")) query[`since.${name}`] = place;
    if (this.#isProbing) query.probe = 1;
    return this.owner.urlOf(`channels/${pathOf(names.keys())}`, query, hasHeaders);
  }

  /**
   * Something came.
   *
   * @param {any} raw
   * @param {string} [id] of an event: behind the cursor, where some names are late
   * @param {Names} [begun] the names that begin with it; with the first, all
   */
  heard(raw, id, begun) {
    if (this.signal.aborted) return;
    try {
      const value = read(raw);
      const { cursor, channel, gap, close, messages } = value;
      const isBare = !(channel || gap || close || messages);
      const isFirst = !this.#beganAt;
      this.heardAt = Date.now();
      this.#beganAt ||= this.heardAt;
      if (messages) this.held = this.asked;
      else if (isFirst) begun ??= this.asked;
      if (begun || !isBare || !id || id == cursor) this.#inbox.push([value, begun]);
      if (!this.isOpen) {
        if (close) this.failed(close);
        else if (!this.#isProbing || (isBare && this.heardAt - this.#beganAt > TOGETHER)) {
          clearTimeout(this.#timer);
          this.#timer = setInterval(this.check, 250 * this.owner.settings.heartbeat);
          this.isOpen = true;
          this.openedAt = this.heardAt;
          this.owner.opened(this);
        } else if (isFirst) {
          clearTimeout(this.#timer);
          this.#timer = setTimeout(this.failed, FOLLOWS, { code: "buffered" });
        }
      }
      if (this.isOpen) for (const each of this.#inbox.splice(0)) this.owner.take(this, ...each);
    } catch (error) {
      this.failed({ code: "badMessage", message: String(error) });
    }
  }
}
