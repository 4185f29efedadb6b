/**
 * A link: one use of a transport, from its first request until it fails or is
 * stopped.
 *
 * A link is *open* once it is known to work.  It keeps back what it receives before,
 * so that the client can try it beside another open link.
 */

import { read } from "./envelopes.js";
import { pathOf } from "./names.js";
import { CometError } from "./requests.js";

/**
 * @typedef {import("./envelopes.js").Envelope} Envelope
 * @typedef {import("./requests.js").Failure} Failure
 * @typedef {import("./standing.js").Names} Names
 * @typedef {import("./standing.js").Standing} Standing
 * @typedef {import("./options.js").Options} Options
 *
 * @typedef {import("./comet.js").Comet} Owner the client that has the link
 */

// Milliseconds.  The server writes two chunks, 500 apart.  If they arrive together, or the second
// does not arrive, a proxy buffers the response.
const TOGETHER = 250;
const FOLLOWS = 2500;

export class Link {
  /** The names that the last request asked for.  @type {Names} */
  asked = new Map();
  /** The names whose messages this link brings.  @type {Names} */
  held = new Map();
  isOpen = false;
  /** When it opened, and when it last received anything, in milliseconds. */
  openedAt = 0;
  heardAt = 0;
  /** Changes the names without another request.  @type {(() => void) | undefined} */
  update;
  /** Shows the token again, by a command.  @type {(() => void) | undefined} */
  show;
  /** Takes what another tab posts.  @type {((told: any) => void) | undefined} */
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
   * @param {boolean} isProbing whether to find out if a proxy buffers
   */
  constructor(owner, transport, index, isProbing) {
    this.owner = owner;
    this.headers = owner.credential.headers;
    this.credentials = owner.settings.credentials;
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

  /** The link has failed.  @param {any} why a failure; else the cause is unknown */
  failed = (why = /** @type {any} */ ({})) => {
    if (this.signal.aborted) return;
    this.stop();
    this.owner.failed(this, new CometError(why));
  };

  /** Fail if it has been silent for too long. */
  check = () => {
    if (Date.now() - this.heardAt > 2000 * this.owner.settings.heartbeat) this.failed({ code: "silent" });
  };

  /**
   * Make the URL at which to read, with the present positions of all names.
   *
   * @param {string} transport
   * @param {object} [fields]
   * @param {boolean} [hasHeaders] whether the request is sent with `headers`
   */
  readingOf(transport, fields, hasHeaders) {
    const { standing } = this.owner;
    const { subscribed: names, cursor } = standing;
    /** @type {Record<string, any>} */
    const query = { transport, ...fields };
    this.asked = new Map(names);
    this.headers = this.owner.credential.headers;
    if (cursor) query.since = cursor;
    for (const [name, place] of Object.entries(standing.places(names)))
      if (place != (cursor ?? "now")) query[`since.${name}`] = place;
    if (this.#isProbing) query.probe = 1;
    return this.owner.urlOf(`channels/${pathOf(names.keys())}`, query, hasHeaders);
  }

  /**
   * Take what the server sent.
   *
   * @param {any} raw
   * @param {string} [id] of an event: it is behind the cursor while some names still catch up
   * @param {Names} [begun] the names that begin with it: all of them, at first
   */
  hear(raw, id, begun) {
    if (this.signal.aborted) return;
    try {
      const value = read(raw);
      const { cursor, channel, ended, gap, close, messages } = value;
      const isBare = !(channel || ended || gap || close || messages);
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
