/**
 * The client: its subscriptions, the transport that reads them, and the delays
 * before it reconnects.  The public promises are in ../comet.d.ts.
 */

import { parseCursor } from "./envelopes.js";
import { readBefore } from "./history.js";
import { joinLate } from "./late.js";
import { Link } from "./link.js";
import { isName } from "./names.js";
import { checkNames, load, readOptions, readSince, serverURL } from "./options.js";
import { Outbox } from "./outbox.js";
import { CometError, jitter, TEMPORARY } from "./requests.js";
import { isOther, Standing, without } from "./standing.js";
import { Tabs } from "./tabs.js";
import { TRANSPORTS } from "./transports.js";

export { CometError };

/**
 * @typedef {import("./envelopes.js").Envelope} Envelope
 * @typedef {import("./options.js").Options} Options
 * @typedef {import("./requests.js").Failure} Failure
 * @typedef {import("./standing.js").Names} Names
 */

// A key with two dots in it is none: the header of a token is JSON in base64.
const JWT = /^ey[\w-]+\.[\w-]+\.[\w-]+$/;

// How many names the store keeps, the latest ones.
const MOST_SAVED = 200;

const CLOSED = { code: "closed" };

// Milliseconds: a connection that lasted longer ends a row of failures.
const LASTING = 5000;

export class Comet extends EventTarget {
  static CONNECTING = 0;
  static OPEN = 1;
  static CLOSED = 2;

  readyState = 0;
  /** @type {string?} */
  transport = null;

  // The links use these properties, too; the build gives them names that no page uses.

  /** @type {Options} */
  settings;
  standing = new Standing();
  /** The headers of all requests that can carry headers.  @type {Record<string, string>} */
  authorization = {};
  #control = new AbortController();
  /** Aborted by `close()`. */
  over = this.#control.signal;

  #outbox;
  /** @type {Tabs | undefined} */
  #tabs;
  /** The link that reads.  @type {Link | undefined} */
  #link;
  /** A link that takes its place once it is known to work.  @type {Link | undefined} */
  #trial;
  /** The index of the transport with which to reconnect. */
  #index;
  /** The index of the next transport to try, once polling works.  @type {number | undefined} */
  #from;
  #failures = 0;
  /** The timer until the client reconnects.  @type {any} */
  #timer = 0;
  /** The timer until better transports are tried again.  @type {any} */
  #upgrade;
  #isChanging = false;
  /** Where the store keeps the positions.  @type {string} */
  #key;
  /** What it held when the client began, of names not subscribed since. */
  #saved;
  /** The timer until the positions are saved.  @type {any} */
  #saving;

  /**
   * @param {string | URL | null} [url]
   * @param {import("../comet.d.ts").CometOptions} [options]
   */
  constructor(url, options) {
    super();
    this.settings = readOptions(options);
    const { parameters, token, transports } = this.settings;
    this.url = serverURL(url);
    this.#key = `comet ${this.url} ${JSON.stringify(parameters)}`;
    this.#saved = load(this.settings, this.#key);
    this.#index = Math.max(0, transports.indexOf(/** @type {any} */ (this.#remembered()[0])));
    if (token) this.authorization = { Authorization: `Bearer ${token}` };
    this.#outbox = new Outbox(this);
    this.#listen();
  }

  #listen() {
    // Node.js has none.
    /** @type {typeof addEventListener | undefined} */
    const listen = globalThis.addEventListener;
    for (const type of ["online", "pageshow", "visibilitychange"])
      listen?.(type, this.#wake, this.#control);
    // Firefox logs a warning for a connection that is open when its page goes.
    listen?.("pagehide", () => this.drop(), this.#control);
  }

  get cursor() {
    return this.standing.cursor;
  }

  /**
   * @param {string} name
   * @param {(message: any) => void} handler
   * @param {import("../comet.d.ts").SubscribeOptions} [options]
   */
  subscribe(name, handler, options = {}) {
    checkNames(options, ["since"]);
    const since = readSince(options.since ?? "now");
    if (!isName(name)) throw new TypeError(`"${name}" is not the name of a channel, or a pattern`);
    if (typeof handler != "function") throw new TypeError(`${handler} is not a handler`);
    let it = this.standing.names.get(name);
    // A name without a handler is read for other tabs.
    const isFirst = !it?.handlers.size;
    if (!it || isFirst) it = this.standing.add(name, this.#saved[name] ?? since);
    delete this.#saved[name];
    let { ready } = it;
    if (this.over.aborted) it.fail(new CometError(CLOSED));
    else if (!isFirst && since != "now") {
      const late = joinLate(this, name, it, handler, since, (each) => this.#call(handler, each));
      const both = Promise.all([ready, late]).then(() => {});
      // As with that of a first subscription, a page need not wait for it.
      both.catch(() => {});
      ready = both;
    }
    if (!it.handlers.has(handler)) it.handlers.set(handler, (each) => this.#call(handler, each));
    this.changed();
    return ready;
  }

  /**
   * @param {(message: any) => void} handler
   * @param {any} message
   */
  #call(handler, message) {
    try {
      if (!this.over.aborted) handler(message);
    } catch (error) {
      /** @type {typeof reportError | undefined} */
      const report = globalThis.reportError;
      if (report) report(error);
      // Node.js has none.
      else
        queueMicrotask(() => {
          throw error;
        });
    }
  }

  /**
   * @param {string} name
   * @param {(message: any) => void} [handler]
   */
  unsubscribe(name, handler) {
    const it = this.standing.names.get(name);
    if (!it) return;
    if (handler) it.handlers.delete(handler);
    else it.handlers.clear();
    if (!it.handlers.size) it.fail(new CometError({ code: "unsubscribed" }));
    this.changed();
  }

  /**
   * @param {string} channel
   * @param {any} data
   * @param {import("../comet.d.ts").PublishOptions} [options]
   */
  publish(channel, data, options) {
    return this.#outbox.add(channel, data, options);
  }

  /**
   * @param {string} channel
   * @param {import("../comet.d.ts").HistoryOptions} options
   */
  history(channel, options) {
    return readBefore(this, channel, options);
  }

  /**
   * @param {string} name
   * @param {import("../comet.d.ts").SubscribeOptions} [options]
   */
  messages(name, options) {
    const signal = this.over;
    const unsubscribe = () => this.unsubscribe(name, handler);
    /** @type {any[]} */
    const inbox = [];
    let wake = () => {};
    /** Why it ends.  @type {Failure | undefined} */
    let end;
    const handler = (/** @type {any} */ message) => {
      inbox.push(message);
      wake();
    };
    this.subscribe(name, handler, options);
    const ended = (/** @type {Failure} */ why) => {
      end = why;
      wake();
    };
    if (signal.aborted) ended(CLOSED);
    signal.addEventListener("abort", () => ended(signal.reason));
    this.addEventListener("error", (/** @type {any} */ event) => {
      if (event.names.includes(name)) ended(event);
    }, { signal });
    return (async function* () {
      try {
        while (inbox[0] || !end)
          if (inbox[0]) yield inbox.shift();
          else await new Promise((done) => (wake = () => done(0)));
        if (end.code != "closed") throw new CometError(end);
      } finally {
        unsubscribe();
      }
    })();
  }

  connect() {
    if (this.over.aborted) {
      this.#control = new AbortController();
      this.over = this.#control.signal;
      this.readyState = 0;
      this.#listen();
    } else if (this.#timer) this.#start(this.#index);
    this.changed();
  }

  /** @param {Failure} [why] */
  close(why = CLOSED) {
    if (this.over.aborted) return;
    const error = new CometError({ ...why, message: why.message, retry: null });
    const { code, message, retry } = error;
    this.drop();
    this.#control.abort(error);
    this.#tabs = undefined;
    this.readyState = 2;
    this.#outbox.close(error);
    this.standing.fail(error);
    this.emit("close", { code, message, retry });
  }

  /**
   * @param {string} type
   * @param {object} fields
   */
  emit(type, fields) {
    this.dispatchEvent(Object.assign(new Event(type), fields));
  }

  // -- Subscriptions

  /** Names or publications have changed.  Act soon, since more changes may follow at once. */
  changed = () => {
    if (this.#isChanging) return;
    this.#isChanging = true;
    queueMicrotask(() => {
      this.#isChanging = false;
      if (!this.over.aborted) this.#update();
    });
  };

  #update() {
    const standing = this.standing;
    const { names } = standing;
    const wanted = new Set([...(this.#tabs?.guests?.values() ?? [])].flat());
    for (const [name, it] of names) if (!it.handlers.size && !wanted.has(name)) names.delete(name);
    for (const name of wanted) if (!names.has(name)) standing.add(name, "now");
    const link = this.#link;
    const trial = this.#trial;
    if (!names.size) {
      this.drop();
      this.#tabs?.want();
    } else if (this.settings.shared && !this.#tabs) {
      // Without TLS the browser has no locks.
      if (globalThis.navigator?.locks) this.#tabs = new Tabs(this);
      else this.settings.shared = false;
      this.changed();
    } else if (trial) !trial.update && isOther(trial.asked, names) && this.#start(trial.index);
    else if (!link) this.#timer || this.#start(this.#index);
    else if (link.update) link.update();
    else if (isOther(link.asked, names)) this.#start(this.#index);
    if (this.#link || !names.size) this.#outbox.send(this.#link);
  }

  /** Whether this tab gets its messages from the leading tab. */
  get #isGuest() {
    return this.#tabs && !this.#tabs.guests;
  }

  // -- Transports

  /**
   * Make a whole URL, with the token if the request cannot carry headers.
   *
   * @param {string} path
   * @param {object} [fields]
   * @param {boolean} [hasHeaders]
   */
  urlOf(path, fields, hasHeaders) {
    const { parameters, token } = this.settings;
    // What is no JWT may be the publish key: the server refuses it there, and logs URLs.
    const isForURL = !hasHeaders && token && JWT.test(token);
    const query = { ...parameters, ...(isForURL && { token }), ...fields };
    return `${this.url}${path}?${new URLSearchParams(/** @type {any} */ (query))}`;
  }

  /**
   * Reconnect at once: the link's response has become too long.
   *
   * @param {Link} link
   */
  renew(link) {
    if (link == this.#link && !this.#trial) this.#start(link.index);
  }

  /**
   * Try a transport beside the open one.
   *
   * @param {number} index
   */
  #start(index) {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#trial?.stop();
    const transport = this.#isGuest ? "shared" : this.settings.transports[index];
    const isProbing = !this.#link || index != this.#index;
    this.#trial = new Link(this, transport, index, isProbing);
    this.#trial.begin(TRANSPORTS[transport] ?? this.#tabs?.transport);
  }

  /**
   * @param {Link} link
   * @param {Envelope} value
   * @param {Names} [begun]
   */
  take(link, value, begun) {
    const { gap, close, messages, replay } = value;
    const standing = this.standing;
    const before = standing.cursor;
    const names = gap?.filter((name) => standing.names.get(name)?.handlers.size) ?? [];
    if (names[0]) this.emit("gap", { names });
    standing.take(link.held, value, (handler, message) => handler(message), begun);
    if (this.settings.store) this.#saving ??= setTimeout(() => this.#save(), 1000);
    const isJump = begun || gap || replay || messages?.some((each) => each.replay);
    this.#tabs?.forward(value, isJump ? standing.cursor : before, begun);
    if (close) link.failed(close);
  }

  /**
   * Drop names that the server refuses, unless it refuses them only for now.
   *
   * @param {Link} link
   * @param {Failure} failure
   * @param {Names} names
   */
  refused(link, { code, message }, names) {
    if (TEMPORARY.test(code)) return link.failed({ code, message });
    for (const [name, it] of names) {
      if (this.standing.names.get(name) == it) this.standing.names.delete(name);
      it.fail(new CometError({ code, message, retry: null }));
    }
    this.emit("error", { code, message, names: [...names.keys()] });
    this.changed();
  }

  /** @param {Link} link */
  opened(link) {
    const { index, transport } = link;
    const { transports, upgrade } = this.settings;
    const old = this.#link;
    const from = this.#from ?? index;
    old?.stop();
    this.#link = link;
    this.#trial = this.#from = undefined;
    this.#index = index;
    this.readyState = 1;
    if (transports[1] && !this.#isGuest) {
      if (this.#remembered()[0] != transport) this.#remembered(transport);
      if (from < index) this.#start(from);
      else this.#later(upgrade * 1000 + +this.#remembered()[1] - Date.now());
    }
    if (transport != this.transport) {
      this.transport = transport;
      this.emit("transport", { transport });
    }
    if (!old) this.emit("open", { transport });
    this.changed();
  }

  /**
   * Try better transports again, later.
   *
   * @param {number} milliseconds
   */
  #later(milliseconds) {
    clearTimeout(this.#upgrade);
    this.#upgrade = setTimeout(() => {
      if (this.#link?.index && !this.#trial) this.#start(0);
    }, milliseconds);
  }

  /**
   * @param {Link} link
   * @param {CometError} failure
   */
  failed(link, failure) {
    const { index } = link;
    const { code, message, retry, isFinal } = failure;
    const { transports, upgrade } = this.settings;
    const open = this.#link;
    const net = transports.indexOf("poll");
    if (link == this.#trial) this.#trial = undefined;
    // The open connection goes on without the names that were to be added.
    if (isFinal && open && open != link && index == this.#index)
      return this.refused(link, failure, without(link.asked, open.held));
    if (isFinal || code == "badMessage") this.emit("error", { code, message, names: [] });
    if (retry === null) return this.close(failure);
    if (open && open != link && index != this.#index) {
      // The client only tried a better transport: the present one still works.
      if (index + 1 < this.#index) return this.#start(index + 1);
      this.#remembered(open.transport);
      this.#later(upgrade * 1000);
      return this.changed();
    }
    if (open) {
      if (Date.now() - open.openedAt > LASTING) this.#failures = 0;
      open.stop();
      this.#lost();
    } else if (!this.#isGuest && !isFinal && retry == null && index != net && transports[1]) {
      if (net >= 0) {
        // Does this transport fail, or the server?  Try polling.  If it works, poll until another
        // transport works, and give this one a second chance.
        this.#from = index;
        return this.#start(net);
      }
      if (transports[index + 1]) return this.#start(index + 1);
      this.#index = 0;
    }
    failure.retry = this.#wait(failure);
    this.standing.fail(failure);
    this.emit("close", { code, message, retry: failure.retry });
  }

  /**
   * Reconnect later.
   *
   * @param {Failure} failure
   * @returns {number} in how many seconds
   */
  #wait({ retry, isFinal }) {
    const { backoff } = this.settings;
    const seconds = retry ?? (isFinal ? backoff[1] : jitter(backoff, this.#failures++));
    if (!this.#trial) this.#timer = setTimeout(() => this.#start(this.#index), seconds * 1000);
    return seconds;
  }

  #lost() {
    this.#link = undefined;
    this.readyState = 0;
    this.#outbox.lost();
  }

  /** The link that takes the messages of other tabs. */
  get listening() {
    return this.#trial ?? this.#link;
  }

  /** Close all links and cancel all timers. */
  drop() {
    clearTimeout(this.#timer);
    clearTimeout(this.#upgrade);
    this.#timer = 0;
    if (this.#saving) this.#save();
    this.#trial?.stop();
    this.#link?.stop();
    this.#trial = undefined;
    this.#lost();
  }

  /** The network may be back, or the page visible again: reconnect now. */
  #wake = () => {
    if (globalThis.document?.hidden) return;
    if (this.#timer) this.#start(this.#index);
    this.#link?.check();
    this.changed();
  };

  /** Save the positions, for the next visit. */
  #save() {
    clearTimeout(this.#saving);
    this.#saving = undefined;
    const { names } = this.standing;
    const places = { ...this.#saved, ...this.standing.places(names) };
    const known = Object.entries(places).filter(([, at]) => parseCursor(at)[0]);
    try {
      const text = JSON.stringify(Object.fromEntries(known.slice(-MOST_SAVED)));
      this.settings.store.setItem(this.#key, text);
    } catch {
      // It is full, or the page may no longer use it.
    }
  }

  /**
   * The transport that works for this site, and when the client last found that
   * no better one does.
   *
   * @param {string} [transport]
   */
  #remembered(transport) {
    const key = `comet ${this.url}`;
    try {
      // Node.js warns of a storage that it lacks.
      if (!globalThis.document) throw 0;
      if (transport) localStorage[key] = `${transport} ${Date.now()}`;
      return String(localStorage[key]).split(" ");
    } catch {
      // There is no local storage, or the page may not use it.
      return ["", Date.now()];
    }
  }
}
