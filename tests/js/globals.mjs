/**
 * What a browser has and Node.js has not, as far as the client needs it.
 */

const target = new EventTarget();

globalThis.self = globalThis;
globalThis.addEventListener = target.addEventListener.bind(target);
globalThis.dispatchEvent = target.dispatchEvent.bind(target);

/** What was reported instead of thrown. */
export const reported = [];
globalThis.reportError = (error) => reported.push(error);

/** Let everything happen that waits for nothing but its turn. */
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

  // -- What the server does

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

  /** Let it be open, and stand here. */
  begin(cursor, more) {
    this.open();
    this.answer("subscribe", { ok: { cursor, ...more } });
  }

  fail() {
    this.onclose({ code: 1006, reason: "" });
  }
}

globalThis.WebSocket = FakeWebSocket;

/** The requests that were made, the newest last. */
export const requests = [];

/** A request whose answer is the test's. */
globalThis.fetch = (url, options = {}) =>
  new Promise((done, fail) => {
    const { pathname, searchParams } = new URL(url);
    const names = decodeURIComponent(pathname).replace(/^.*\/channels\//, "");
    requests.push({
      ...{ url, options, pathname, names, query: Object.fromEntries(searchParams) },
      answer: (status, value, headers) =>
        done(new Response(JSON.stringify(value), { status, headers })),
      fail: () => fail(new TypeError("no network")),
      isAborted: () => Boolean(options.signal?.aborted),
    });
    options.signal?.addEventListener("abort", () => fail(options.signal.reason));
  });

/** Locks as the Web Locks API has them, of one page that stands for many. */
class FakeLocks {
  #queues = new Map();

  request(name, { signal }, held) {
    return new Promise((done, fail) => {
      const queue = this.#queues.get(name) ?? [];
      this.#queues.set(name, queue);
      const entry = async () => {
        await null;
        done(await held());
        queue.shift();
        queue[0]?.();
      };
      queue.push(entry);
      if (queue[0] === entry) entry();
      signal.addEventListener("abort", () => {
        const index = queue.indexOf(entry);
        if (index > 0) queue.splice(index, 1);
        if (index) fail(signal.reason);
      });
    });
  }
}

Object.defineProperty(globalThis, "navigator", { value: { locks: new FakeLocks() } });

/** A channel between pages, as fast as it can be. */
globalThis.BroadcastChannel = class {
  static all = new Set();

  constructor(name) {
    this.name = name;
    BroadcastChannel.all.add(this);
  }

  postMessage(value) {
    const data = structuredClone(value);
    for (const other of BroadcastChannel.all)
      if (other !== this && other.name === this.name) setImmediate(() => other.onmessage?.({ data }));
  }

  close() {
    this.onmessage = null;
    BroadcastChannel.all.delete(this);
  }
};

/** The EventSources that were opened, the newest last. */
export const sources = [];

/** An EventSource whose server is the test. */
globalThis.EventSource = class {
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
};

/** What a page remembers. */
export const storage = (globalThis.localStorage = {});
