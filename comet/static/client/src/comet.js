/**
 * The client: its subscriptions, the transport that reads them, and the delays
 * before it reconnects.  The public promises are in ../comet.d.ts.
 */

import { parseCursor } from "./envelopes.js";
import { readBefore } from "./history.js";
import { joinLate } from "./late.js";
import { Link } from "./link.js";
import { isName, pathOf } from "./names.js";
import { checkNames, load, readOptions, readSince, serverURL } from "./options.js";
import { Outbox } from "./outbox.js";
import { ask, CometError, jitter, TEMPORARY } from "./requests.js";
import { isOther, Standing, without } from "./standing.js";
import { claimsOf, Token } from "./token.js";
import { TRANSPORTS } from "./transports.js";

export { CometError };

/**
 * @typedef {import("./envelopes.js").Envelope} Envelope
 * @typedef {import("./options.js").Options} Options
 * @typedef {import("./requests.js").Failure} Failure
 * @typedef {import("./standing.js").Names} Names
 */

// How many names the store keeps, the latest ones.
const MOST_SAVED = 200;

const CLOSED = { code: "closed", retry: null };

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
  credential;
  #control = new AbortController();
  /** Aborted by `close()`. */
  over = this.#control.signal;

  #outbox;
  /** @type {import("./tabs.js").Tabs | undefined} */
  #tabs;
  /** Whether they are being loaded.  @type {any} */
  #loading;
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
    // The id of its readers is new for each page.
    this.#key = `comet ${this.url} ${JSON.stringify({ ...parameters, reader: undefined })}`;
    this.#saved = load(this.settings, this.#key);
    this.#index = Math.max(0, transports.indexOf(/** @type {any} */ (this.#remembered()[0])));
    this.credential = new Token(this, token);
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
    if (!isName(name)) throw new TypeError(`"${name}" is no channel or pattern`);
    if (typeof handler != "function") throw new TypeError(`${handler} is not a handler`);
    let it = this.standing.subscribed.get(name);
    // A name without a handler is read for other tabs.
    const isFirst = !it?.handlers.size;
    if (!it || isFirst) it = this.standing.add(name, this.#saved[name] ?? since);
    delete this.#saved[name];
    let { ready } = it;
    if (this.over.aborted) it.fail(new CometError(CLOSED));
    else if (!isFirst && since != "now") {
      const late = joinLate(this, name, it, handler, since, (each) => this.#call(handler, each));
      ready = Promise.all([ready, late]).then(() => {});
      // As with that of a first subscription, a page need not wait for it.
      ready.catch(() => {});
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
    const it = this.standing.subscribed.get(name);
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
   * @param {string} method
   * @param {any} [data]
   */
  async call(method, data = null) {
    return (await this.ask(`call/${pathOf([method])}`, null, JSON.stringify(data))).data;
  }

  /**
   * @param {[string, import("../comet.d.ts").PresenceHandler, import("../comet.d.ts").PresenceOptions?]} given
   */
  async presence(...given) {
    // A file of its own, too.  It knows no names that the build shortens, so it may be of
    // another version.
    return (await import("./presence.js")).follow(this, ...given);
  }

  /**
   * Make a request with the client's token.  Used by what is loaded later.
   *
   * @param {[string, (object | null)?, (string | null)?, string?]} given path, query, body and type
   */
  ask(...given) {
    return ask(this, ...given);
  }

  /**
   * @param {string} name
   * @param {import("../comet.d.ts").SubscribeOptions} [options]
   */
  messages(name, options) {
    const signal = this.over;
    /** @type {any[]} */
    const inbox = [];
    let wake = /** @type {(value?: any) => void} */ (() => {});
    /** Why it ends.  @type {Failure | undefined} */
    let end = signal.reason;
    const handler = (/** @type {any} */ message) => {
      inbox.push(message);
      wake();
    };
    this.subscribe(name, handler, options);
    const ended = (/** @type {Failure} */ why) => {
      end = why;
      wake();
    };
    signal.addEventListener("abort", () => ended(signal.reason));
    this.addEventListener("error", (/** @type {any} */ event) => {
      if (event.names.includes(name)) ended(event);
    }, { signal });
    const unsubscribe = () => this.unsubscribe(name, handler);
    return (async function* () {
      try {
        while (inbox[0] || !end)
          if (inbox[0]) yield inbox.shift();
          else await new Promise((done) => (wake = done));
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
      // It may be another visitor's by now.
      this.credential.isStale = !!this.credential.give;
      this.#listen();
    } else if (this.#timer) this.#start(this.#index);
    this.changed();
  }

  /** @param {Failure} [why] */
  close(why = CLOSED) {
    if (this.over.aborted) return;
    const error = new CometError(why);
    this.drop();
    this.#control.abort(error);
    this.credential.stop();
    this.#tabs = undefined;
    this.readyState = 2;
    this.#outbox.close(error);
    this.#tell(error);
  }

  /**
   * @param {string} type
   * @param {object} fields
   */
  emit(type, fields) {
    this.dispatchEvent(Object.assign(new Event(type), fields));
  }

  /**
   * Tell the page that the client is not connected, or no longer.
   *
   * @param {CometError} failure
   */
  #tell(failure) {
    const { code, message, retry } = failure;
    this.standing.fail(failure);
    this.emit("close", { code, message, retry });
  }

  /**
   * Tell the page that the server refuses names, or all.
   *
   * @param {Failure} failure
   * @param {string[]} [names]
   */
  #complain({ code, message }, names = []) {
    this.emit("error", { code, message, names });
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
    const names = standing.subscribed;
    const wanted = [...(this.#tabs?.guests?.values() ?? [])].flat();
    for (const [name, it] of names) if (!it.handlers.size && !wanted.includes(name)) names.delete(name);
    for (const name of wanted) if (!names.has(name)) standing.add(name, "now");
    const link = this.#link;
    const trial = this.#trial;
    if (!names.size) {
      this.drop();
      this.#tabs?.want();
    } else if (this.settings.shared && !this.#tabs && !this.credential.isStale) {
      // The build makes it a file of its own, for the few pages that need it.
      this.#loading ??= import("./tabs.js")
        .then(({ Tabs }) => {
          if (!this.over.aborted) this.#tabs = new Tabs(this);
        })
        .catch(() => {
          // It is not there, or of another version; or the browser has no locks, without TLS.
          this.settings.shared = false;
        })
        .then(() => {
          this.#loading = undefined;
          this.changed();
        });
    } else if (trial) !trial.update && isOther(trial.asked, names) && this.#start(trial.index);
    else if (!link) this.#timer || this.#start(this.#index);
    else if (link.update) link.update();
    else if (isOther(link.asked, names)) this.#start(this.#index);
    if (this.#link || !names.size) this.#outbox.send(this.#link);
  }

  /** Whether this tab gets its messages from the leading tab. */
  get isGuest() {
    return this.#tabs && !this.#tabs.guests;
  }

  // -- Tokens

  /** The token was replaced: show the new one. */
  renewed() {
    const link = this.#link;
    if (!link || this.isGuest) {
      this.#cancel();
      this.changed();
    } else if (link.show && !this.#trial) link.show();
    // The new connection is open before the old one ends.
    else this.#start(this.#index);
  }

  /**
   * The page gives no token.
   *
   * @param {CometError} failure
   */
  unable(failure) {
    if (this.over.aborted) return;
    this.#complain(failure);
    if (!this.credential.isStale) return;
    failure.retry = this.#wait(failure);
    if (!this.#link) this.#tell(failure);
  }

  /** Post to the tabs that share the connection.  @param {object} value */
  share(value) {
    this.#tabs?.post(value);
  }

  // -- Transports

  /**
   * Make a whole URL, with the token if the request cannot carry headers.
   *
   * @param {string} path
   * @param {object | null} [fields]
   * @param {boolean} [hasHeaders]
   */
  urlOf(path, fields, hasHeaders) {
    const token = this.credential.word;
    // What is no JWT may be the publish key: the server refuses it there, and logs URLs.
    const isForURL = !hasHeaders && claimsOf(token);
    const query = { ...this.settings.parameters, ...(isForURL && { token }), ...fields };
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
    this.#cancel();
    if (this.credential.isStale) return this.credential.renew();
    this.#trial?.stop();
    const transport = this.isGuest ? "shared" : this.settings.transports[index];
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
    const { ended, gap, close, messages, replay } = value;
    const standing = this.standing;
    if (ended) {
      // Another token may permit them.
      if (ended.code == "expired" && this.credential.give) return link.failed(ended);
      // The connection goes on without them.
      ended.names.forEach((name) => link.asked.delete(name));
      return this.refused(link, ended, standing.select(ended.names));
    }
    const before = standing.cursor;
    const names = gap?.filter((name) => standing.subscribed.get(name)?.handlers.size) ?? [];
    if (names[0]) this.emit("gap", { names });
    standing.take(link.held, value, begun);
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
    if (TEMPORARY.test(code) || this.credential.isOver({ code }, link.headers))
      return link.failed({ code, message });
    const error = new CometError({ code, message, retry: null });
    for (const [name, it] of names) {
      if (this.standing.subscribed.get(name) == it) this.standing.subscribed.delete(name);
      it.fail(error);
    }
    this.#complain(error, [...names.keys()]);
    this.#tabs?.refused(error, names);
    this.changed();
  }

  /**
   * The server takes all names of a request, or none: find out which of several it refuses.
   *
   * @param {Link} link
   * @param {CometError} failure
   * @param {Names} names
   */
  async #sift(link, failure, names) {
    const open = this.#link;
    /** @type {[CometError, Names][]} */
    const refusals = [];
    // Nothing else is tried meanwhile.
    if (!open) failure.retry = this.#wait(failure);
    const check = async (/** @type {[string, any]} */ [name, it]) => {
      const path = `channels/${pathOf([name])}`;
      const answer = names.size > 1 && this.ask(path, { transport: "poll" }).catch((why) => why);
      const error = (await answer) || failure;
      if (error.isFinal) refusals.push([error, new Map([[name, it]])]);
    };
    await Promise.all([...names].map(check));
    if (this.over.aborted) return;
    if (open && !refusals[0]) refusals.push([failure, names]);
    if (refusals[0]) this.#cancel();
    else {
      this.#complain(failure);
      this.#tell(failure);
    }
    for (const each of refusals) this.refused(link, ...each);
  }

  /** @param {Link} link */
  opened(link) {
    const { index, transport } = link;
    const { transports, upgrade } = this.settings;
    const old = this.#link;
    const from = this.#from ?? index;
    old?.stop();
    // What the old one has not answered.
    if (old) this.#outbox.lost();
    this.#link = link;
    this.#trial = this.#from = undefined;
    this.#index = index;
    this.readyState = 1;
    if (transports[1] && !this.isGuest) {
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
    const { code } = failure;
    const { transports, upgrade } = this.settings;
    const open = this.#link;
    const net = transports.indexOf("poll");
    if (link == this.#trial) this.#trial = undefined;
    if (this.credential.isOver(failure, link.headers)) {
      if (link != open) return this.#start(index);
      Object.assign(failure, { retry: 0, isFinal: false });
    }
    const { retry, isFinal } = failure;
    // The open connection goes on without names that were to be added, or without another token.
    const isOther = open && open != link;
    const isBeside = isOther && index == this.#index;
    const isName = code == "forbidden" || (code == "unauthorized" && !this.credential.word);
    if (isFinal && (isBeside ? code != "unauthorized" || isName : isName && !isOther)) {
      if (link == open) this.#lost();
      return void this.#sift(link, failure, isBeside ? without(link.asked, open.held) : link.asked);
    }
    if (isFinal || code == "badMessage") this.#complain(failure);
    if (retry === null) return this.close(failure);
    if (isFinal && isBeside) return void this.#wait(failure);
    if (isOther && !isBeside) {
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
    } else if (!this.isGuest && !isFinal && retry == null && index != net && transports[1]) {
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
    this.#tell(failure);
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
    this.#cancel();
    if (!this.#trial) this.#timer = setTimeout(() => this.#start(this.#index), seconds * 1000);
    return seconds;
  }

  /** Do not wait for the next try. */
  #cancel() {
    clearTimeout(this.#timer);
    this.#timer = 0;
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
    this.#cancel();
    clearTimeout(this.#upgrade);
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
    
    const places = { ...this.#saved, ...this.standing.places(this.standing.subscribed) };
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
      const storage = document && localStorage;
      if (transport) storage[key] = `${transport} ${Date.now()}`;
      return `${storage[key]}`.split(" ");
    } catch {
      // There is no local storage, or the page may not use it.
      return ["", Date.now()];
    }
  }
}
