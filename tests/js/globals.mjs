/**
 * Stand-ins for the parts of a browser that the client needs and Node.js lacks.
 */

import { webcrypto } from "node:crypto";

const target = new EventTarget();
const define = (name, value) =>
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });

globalThis.self = globalThis;
// A page, but none that shows anything.
globalThis.document = { baseURI: "http://a.example/page" };
globalThis.crypto ??= webcrypto;
globalThis.addEventListener = target.addEventListener.bind(target);
globalThis.dispatchEvent = target.dispatchEvent.bind(target);

/** The errors that were reported with reportError. */
export const reported = [];
globalThis.reportError = (error) => reported.push(error);

const real = { setTimeout, clearTimeout, setInterval, clearInterval };
const now = Date.now;
const chance = Math.random;

/** Time that a test advances, and random numbers that a test chooses. */
export const world = {
  chance: 1,

  /** Replace the real timers, clock and random numbers. */
  begin() {
    this.chance = 1;
    this.time = 1e12;
    this.timers = new Map();
    this.count = 0;
    const set = (again) => (call, milliseconds = 0, ...given) => {
      const every = again ? milliseconds : null;
      this.timers.set(++this.count, { at: this.time + milliseconds, every, call, given });
      return this.count;
    };
    const clear = (id) => this.timers.delete(id);
    Object.assign(globalThis, {
      ...{ setTimeout: set(false), setInterval: set(true) },
      ...{ clearTimeout: clear, clearInterval: clear },
    });
    Date.now = () => this.time;
    Math.random = () => this.chance;
  },

  /** Let so many seconds pass, and run all that becomes due. */
  async pass(seconds) {
    const end = this.time + seconds * 1000;
    const due = () =>
      [...this.timers].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at)[0];
    for (let next; (next = due()); ) {
      const [id, { at, every, call, given }] = next;
      this.time = at;
      if (every) this.timers.get(id).at += every;
      else this.timers.delete(id);
      call(...given);
    }
    this.time = end;
    await settle();
  },

  /** Restore the real timers, clock and random numbers. */
  end() {
    Object.assign(globalThis, real);
    Date.now = now;
    Math.random = chance;
  },
};

/** Run everything that waits only for its turn. */
export const settle = async () => {
  for (let turn = 0; turn < 10; turn++) await new Promise((done) => setImmediate(done));
};

/** The WebSockets that were opened, the newest last. */
export const sockets = [];

/** A WebSocket whose server is the test. */
export class FakeWebSocket {
  sent = [];
  isClosed = false;

  constructor(url, protocol) {
    Object.assign(this, { url, protocol });
    sockets.push(this);
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close() {
    this.isClosed = true;
  }

  // -- The server's side

  open() {
    this.onopen();
  }

  /** Send an object. */
  say(value) {
    this.onmessage({ data: JSON.stringify(value) });
  }

  /** Answer the last command of a kind. */
  answer(kind, reply) {
    const { id } = this.sent.findLast((command) => kind in command);
    this.say({ id, ...reply });
  }

  /** Open it, and answer its subscription with this cursor. */
  begin(cursor, more) {
    this.open();
    this.answer("subscribe", { ok: { cursor, ...more } });
  }

  fail() {
    this.onclose({ code: 1006, reason: "" });
  }
}

define("WebSocket", FakeWebSocket);

/** The requests that were made, the newest last. */
export const requests = [];

/** A request that the test answers. */
const fetched = (url, options = {}) =>
  new Promise((done, fail) => {
    const { pathname, searchParams } = new URL(url);
    const names = decodeURIComponent(pathname).replace(/^.*\/channels\//, "");
    requests.push({
      ...{ url, options, names, query: Object.fromEntries(searchParams) },
      answer: (status, value, headers) =>
        done(new Response(JSON.stringify(value), { status, headers })),
      fail: () => fail(new TypeError("no network")),
      isAborted: () => Boolean(options.signal?.aborted),
    });
    options.signal?.addEventListener("abort", () => fail(options.signal.reason));
  });

define("fetch", fetched);

/** The Web Locks API, within one page that stands for many. */
class FakeLocks {
  #queues = new Map();

  request(name, { signal, steal }, held) {
    return new Promise((done, fail) => {
      const queue = this.#queues.get(name) ?? [];
      this.#queues.set(name, queue);
      const entry = async () => {
        await null;
        done(await held());
        if (queue[0] !== entry) return;
        queue.shift();
        queue[0]?.();
      };
      entry.fail = fail;
      if (steal) {
        queue.shift()?.fail(new DOMException("stolen", "AbortError"));
        queue.unshift(entry);
      } else queue.push(entry);
      if (queue[0] === entry) entry();
      signal?.addEventListener("abort", () => {
        const index = queue.indexOf(entry);
        if (index > 0) queue.splice(index, 1);
        if (index) fail(signal.reason);
      });
    });
  }
}

define("navigator", { locks: new FakeLocks() });

/** A channel between pages, without delay. */
export class FakeBroadcastChannel {
  static all = new Set();
  /** Whether its page is frozen: it neither hears nor says anything. */
  isFrozen = false;

  constructor(name) {
    this.name = name;
    FakeBroadcastChannel.all.add(this);
  }

  postMessage(value) {
    const data = structuredClone(value);
    for (const other of FakeBroadcastChannel.all)
      if (other !== this && other.name === this.name && !this.isFrozen)
        setImmediate(() => other.isFrozen || other.onmessage?.({ data }));
  }

  close() {
    this.onmessage = null;
    FakeBroadcastChannel.all.delete(this);
  }
}

define("BroadcastChannel", FakeBroadcastChannel);

/** The EventSources that were opened, the newest last. */
export const sources = [];

/** An EventSource whose server is the test. */
class FakeEventSource {
  isClosed = false;

  constructor(url) {
    this.url = url;
    this.query = Object.fromEntries(new URL(url).searchParams);
    sources.push(this);
  }

  close() {
    this.isClosed = true;
  }

  say(value, lastEventId = value.cursor) {
    this.onmessage({ data: JSON.stringify(value), lastEventId });
  }
}

define("EventSource", FakeEventSource);

/** The page's local storage. */
export const storage = {};
define("localStorage", storage);
