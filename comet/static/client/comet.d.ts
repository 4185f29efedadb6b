/**
 * The browser's client of comet: one connection for all subscriptions, by any
 * technique that gets through, without losing or repeating a message.
 *
 *     import { Comet } from "/comet.js";
 *
 *     const comet = new Comet();
 *     comet.subscribe("news", (message) => console.log(message.data));
 *     await comet.publish("chat/a", { text: "hello" });
 */

/** The techniques, the best first: the order in which they are tried. */
export type Transport =
  | "websocket"
  | "sse"
  | "stream"
  | "longpoll"
  | "jsonp"
  | "iframe"
  | "poll";

/** A JSON value. */
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/**
 * A value that JSON can express, of any type: without functions, symbols and big integers.
 * What is `undefined` in an object is left out.
 */
export type Publishable<T> = T extends string | number | boolean | null
  ? T
  : T extends { toJSON(): unknown }
    ? T
    : T extends ((...given: never[]) => unknown) | symbol | bigint | undefined
      ? never
      : { [K in keyof T]: Publishable<Exclude<T[K], undefined>> | Extract<T[K], undefined> };

/** A message, as the server sends it. */
export interface Message<T = any> {
  /** The channel that it was published to. */
  channel: string;
  /** Its position in the log, for use as `since`. */
  cursor: string;
  data: T;
  /** The name of the event, if its publisher gave one. */
  event?: string;
  /** How `data` is encoded if bytes were published. */
  encoding?: "base64";
  /** Seconds since 1970, with the parameter `time: 1`. */
  time?: number;
  /** Present if the message is older than the position of other names. */
  replay?: true;
}

/**
 * Where a name begins: `"now"` (the default), `"earliest"`, `"-10"` or `-10` for the
 * last ten messages of each channel, or a cursor.
 */
export type Since = string | number;

export type Handler<T = any> = (message: Message<T>) => void;

export interface CometOptions {
  /** The transports to try, in this order.  Default: all, as `Transport` lists them. */
  transports?: Transport[];
  /**
   * Sent as `Authorization: Bearer` if the request can carry headers, by a command on
   * `websocket`, and as `?token=` with `sse`, `jsonp` and `iframe`: but only if it is a JWT,
   * since a key does not belong in a URL.
   *
   * A function is called for a token before the first request, before the token expires (after
   * four fifths of its life), and after the server has refused it or ended a connection with
   * `expired`.  Of tabs that share a connection, one calls it for all.
   */
  token?: string | (() => string | Promise<string>);
  /**
   * Whether requests carry cookies to a server of another site: with `"include"` those of all
   * transports do; with `"omit"` none do, and only `stream`, `longpoll` and `poll` are used.
   * Default: `"same-origin"`, as in `fetch`; but then `websocket`, `jsonp` and `iframe` carry
   * them all the same, which a page cannot prevent.
   */
  credentials?: "same-origin" | "include" | "omit";
  /**
   * Keeps the position of each name, so that a page which is loaded again continues where it
   * was: `localStorage`, `sessionStorage`, or whatever has these two methods.  Default: none.
   */
  store?: { getItem(key: string): string | null; setItem(key: string, value: string): void };
  /**
   * Whether the tabs of this site share one connection.  That needs Web Locks, which
   * browsers have with TLS, and on localhost.  Default: false.
   */
  shared?: boolean;
  /** Added to the query of every request, for instance `{ account: "lab-1" }`. */
  parameters?: Record<string, string | number>;
  /**
   * Seconds of silence after which the server sends a heartbeat, as in its option
   * `--heartbeat`.  A connection that is silent for twice as long is lost.  A long
   * poll is held for as long, too.  Default: 25.
   */
  heartbeat?: number;
  /** Seconds in which a transport has to open, and to show that no proxy buffers it.  Default: 5. */
  timeout?: number;
  /** Seconds between two requests of `poll`.  Default: 3. */
  interval?: number;
  /** Seconds: the most for the first delay before reconnecting, and for any delay.  Default: [1, 30]. */
  backoff?: [first: number, most: number];
  /** Seconds after which a better transport is tried again.  Default: 300. */
  upgrade?: number;
  /** The most publications that wait to be sent.  Default: 100. */
  queue?: number;
}

export interface SubscribeOptions {
  since?: Since;
}

export interface PublishOptions {
  /** The name of the event. */
  event?: string;
  /** `"base64"`: the data is the base64 of bytes. */
  encoding?: "base64";
  /** The idempotency key; by default a random one. */
  key?: string;
  /**
   * Readers with this id do not get the message: the id that this page has given its own, by the
   * option `parameters: { reader: id }`.
   */
  exclude?: string;
}

/** A client that is in a channel. */
export interface Member<I = any> {
  /** Its name. */
  client: string;
  /** What its token or the backend shows of it. */
  info?: I;
  /**
   * When it came, in seconds since 1970.  Of those that came after the list was asked for only
   * with the parameter `time: 1`.
   */
  since?: number;
}

/** A member has come or gone, or shows another `info`. */
export interface PresenceChange<I = any> {
  event: "join" | "leave" | "update";
  client: string;
  info?: I;
}

export interface PresenceOptions {
  /** The most members that are listed.  All are counted.  Default: 1,000. */
  limit?: number;
  /** Ends the list when it is aborted. */
  signal?: AbortSignal;
}

/** Who is in a channel, kept up to date. */
export interface Presence<I = any> {
  /** In the order of their coming.  Another array after each change. */
  readonly members: readonly Member<I>[];
  /** How many members there are, also those that are not listed. */
  readonly count: number;
  /** Whether there are more than are listed. */
  readonly more: boolean;
  /** How many readers without a name there were when the list was last asked for. */
  readonly anonymous: number;
  /** Whether it has ended: by `close()`, by the signal, or since the server refuses it. */
  readonly closed: boolean;
  /** Ask for the list anew, for instance to count the readers without a name. */
  refresh(): Promise<void>;
  /** End it. */
  close(): void;
}

/**
 * Called with the list when it is complete, at first and again after events were missed; and
 * after each change, with that.
 */
export type PresenceHandler<I = any> = (presence: Presence<I>, change?: PresenceChange<I>) => void;

export interface HistoryOptions {
  /** A cursor: that of the oldest message that the page has. */
  before: string;
  /** How many messages at most: 1 to 1,000.  Default: 50. */
  limit?: number;
}

/** A page of what was before a cursor. */
export interface History<T = any> {
  /** The messages, the oldest first. */
  messages: Message<T>[];
  /** Whether older ones are held: the page before this one has them. */
  more: boolean;
  /** Whether older ones were held, and are gone. */
  gap: boolean;
}

/** A request that was refused, or could not be carried out. */
export class CometError extends Error {
  /** One of the server's codes, or one of the client's own. */
  readonly code: ClientCode | (string & {});
  /**
   * Seconds until the client tries again by itself; `null` if it does not; missing if
   * that is not known.
   */
  readonly retry?: number | null;
}

/**
 * The client's own codes:
 *
 * - `"lost"`: the connection failed or broke, and the browser does not say why: the
 *   server is away, or does not allow this page's origin.  Of a publication: it was sent,
 *   but not answered for four and a half minutes, and may be stored or not
 * - `"unsent"`: a publication could not be sent for four and a half minutes
 * - `"timeout"`: a transport did not open in time
 * - `"buffered"`: a proxy holds the response back
 * - `"silent"`: nothing came for two heartbeats
 * - `"badMessage"`: the server sent what the client cannot read
 * - `"closed"`: `close()` was called
 * - `"unsubscribed"`: the name was given up before it was subscribed
 * - `"full"`: too many publications wait
 */
export type ClientCode =
  | "lost"
  | "unsent"
  | "timeout"
  | "buffered"
  | "silent"
  | "badMessage"
  | "closed"
  | "unsubscribed"
  | "full";

/** The connection is open, again or for the first time. */
export interface CometOpenEvent extends Event {
  readonly transport: Transport | "shared";
}

/**
 * The connection is lost, or the server or `close()` has ended it; or the client could
 * not connect, the first time or again, by any of its transports.
 */
export interface CometCloseEvent extends Event {
  /** Why: the server's code, or one of the client's own. */
  readonly code: ClientCode | (string & {});
  readonly message: string;
  /** Seconds until the client tries again; `null` for never, unless `connect()` is called. */
  readonly retry: number | null;
}

/** Messages were lost that the server no longer holds. */
export interface CometGapEvent extends Event {
  /** The channels and patterns, as they were subscribed to. */
  readonly names: string[];
}

/** The client now uses another transport. */
export interface CometTransportEvent extends Event {
  readonly transport: Transport | "shared";
}

/**
 * The server has refused a name, or ended it, or refuses the connection as a whole; or the page's
 * function gives no token; or the server has sent what the client cannot read, which ends the
 * connection.
 */
export interface CometErrorEvent extends Event {
  readonly code: ClientCode | (string & {});
  readonly message: string;
  /** The names that were refused or ended; none if it was the connection as a whole. */
  readonly names: string[];
}

export interface CometEventMap {
  open: CometOpenEvent;
  close: CometCloseEvent;
  gap: CometGapEvent;
  transport: CometTransportEvent;
  error: CometErrorEvent;
}

export class Comet extends EventTarget {
  static readonly CONNECTING: 0;
  static readonly OPEN: 1;
  static readonly CLOSED: 2;

  /**
   * The client sends nothing before the first subscription or publication.
   *
   * @param url The URL of the server: the root of its site, or the path at which it
   *   is mounted, such as `"/push/"`.  Default: the server that served this script, which
   *   it has to be told where the script was bundled with others.
   * @throws TypeError If the URL or an option is not valid, or there is no such option.
   */
  constructor(url?: string | URL | null, options?: CometOptions);

  /** The URL of the server, with a slash at the end. */
  readonly url: string;
  /** `CONNECTING` (also without subscriptions), `OPEN` or `CLOSED`. */
  readonly readyState: 0 | 1 | 2;
  /** The transport in use; `"shared"` if another tab has the connection. */
  readonly transport: Transport | "shared" | null;
  /** All messages up to here have arrived; `null` before the first connection. */
  readonly cursor: string | null;

  /**
   * Read a channel, or a pattern such as `"chat/*"` or `"news/**"`.
   *
   * If the name is subscribed already, the new handler first gets what it asks for by
   * `since`, and then the same messages as the others.  With the option `store` a name that
   * was read before continues where it was, whatever `since` is.
   *
   * @returns Fulfilled once all messages that are published from then on will
   *   arrive.  Rejected with a `CometError` if the server refuses the name, if the client
   *   is closed, or if it could not connect: then `retry` says when it tries again, and the
   *   name stays subscribed.  A page need not wait for it.
   * @throws TypeError If it is not the name of a channel or a pattern, or `since` is
   *   not a start position.
   */
  subscribe<T = any>(name: string, handler: Handler<T>, options?: SubscribeOptions): Promise<void>;

  /** Remove one handler of a name, or all of them. */
  unsubscribe(name: string, handler?: Handler): void;

  /**
   * Publish a JSON value.  Without a connection it waits.  It is sent again, with its
   * key, until the server has answered.
   *
   * @returns The cursor of the message, once it is stored.  Rejected with a `CometError`,
   *   after four and a half minutes at the latest.
   */
  publish<T>(
    channel: string,
    data: T & Publishable<T>,
    options?: PublishOptions,
  ): Promise<string>;

  /**
   * Read the last messages of a channel before a cursor, to scroll back.  It is a request of its
   * own, which is made once, and changes no subscription.
   *
   * @returns The page.  Rejected with a `CometError`.
   */
  history<T = any>(channel: string, options: HistoryOptions): Promise<History<T>>;

  /**
   * Follow who is in a channel whose presence the server keeps.  The list is exact: it is changed
   * by the channel's events, from the moment for which the server told it.
   *
   * @returns The list, once it is complete.  Rejected with a `CometError` if the server refuses it
   *   (`notFound` where it keeps no presence), with the signal's reason if that is aborted, and
   *   with another error if `comet.presence.js` cannot be loaded.  While there is no connection
   *   it waits.  If the list is refused later, it is closed, and the client's event `error` names
   *   `$presence/` and the channel.
   */
  presence<I = any>(
    channel: string,
    handler?: PresenceHandler<I>,
    options?: PresenceOptions,
  ): Promise<Presence<I>>;

  /**
   * Call a method of the backend.  It is a request of its own, which is made once.
   *
   * @param data A JSON value; by default `null`.
   * @returns What the backend answers.  Rejected with a `CometError`: after `"lost"` the backend may
   *   have been called or not.
   */
  call<R = any>(method: string, data?: unknown): Promise<R>;

  /**
   * Iterate over the messages of a channel or pattern, from this call on, until the
   * loop is left or `close()` is called.  If the server refuses or ends the name, or ends the
   * connection for good, the loop throws a `CometError`.
   */
  messages<T = any>(name: string, options?: SubscribeOptions): AsyncIterableIterator<Message<T>>;

  /**
   * Connect now: end the wait before the next try; or open the client again after
   * `close()`, with its subscriptions, where they were, and with another token if the page
   * gives them by a function.
   */
  connect(): void;

  /** Close the client, until `connect()` is called. */
  close(): void;

  addEventListener<K extends keyof CometEventMap>(
    type: K,
    listener: (this: Comet, event: CometEventMap[K]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<K extends keyof CometEventMap>(
    type: K,
    listener: (this: Comet, event: CometEventMap[K]) => void,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void;
}
