/**
 * The browser's client of comet: one connection for all subscriptions, by
 * whatever technique gets through, without losing or repeating a message.
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

/** What JSON can say. */
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** A message, as the server sends it. */
export interface Message<T = any> {
  /** The channel that it was published to. */
  channel: string;
  /** Its place in the log: good for `since`. */
  cursor: string;
  data: T;
  /** The name of the event that it is, where its publisher gave one. */
  event?: string;
  /** How `data` is written where bytes were published. */
  encoding?: "base64";
  /** Seconds since 1970, with the parameter `time: 1`. */
  time?: number;
  /** Present where the message is older than the place of other names. */
  replay?: true;
}

/**
 * Where a name begins: `"now"` (the default), `"earliest"`, `"-10"` for the
 * last ten messages of each channel, or a cursor.
 */
export type Since = string;

export type Handler<T = any> = (message: Message<T>) => void;

export interface CometOptions {
  /** What to try, in this order.  Default: all of them, as `Transport` lists them. */
  transports?: Transport[];
  /** Sent as `Authorization: Bearer` where that can be, else as `?token=`. */
  token?: string;
  /**
   * Whether the tabs of this site share one connection.  They do where there are
   * Web Locks, which is where there is TLS, and on localhost.  Default: false.
   */
  shared?: boolean;
  /** Added to the query of every request, for instance `{ account: "lab-1" }`. */
  parameters?: Record<string, string | number>;
  /**
   * Seconds of silence after which the server tells that it is there, as its
   * option `--heartbeat` has it: what is silent for twice as long is taken for
   * lost.  It is also for how long a long poll is held.  Default: 25.
   */
  heartbeat?: number;
  /** Seconds that a transport has to open, or to show that nothing holds it back.  Default: 5. */
  timeout?: number;
  /** Seconds between two requests of `poll`.  Default: 3. */
  interval?: number;
  /** Seconds: how long the first wait may be before coming back, and how long any.  Default: [1, 30]. */
  backoff?: [first: number, most: number];
  /** Seconds after which a better transport is tried again.  Default: 300. */
  upgrade?: number;
  /** How many publications may wait to be sent.  Default: 100. */
  queue?: number;
}

export interface SubscribeOptions {
  since?: Since;
}

export interface PublishOptions {
  /** The name of the event that it is. */
  event?: string;
  /** `"base64"`: the data is the base64 of bytes. */
  encoding?: "base64";
  /** The idempotency key; by default a random one. */
  key?: string;
}

/** Something that was refused, or could not be done. */
export class CometError extends Error {
  /** One of the server's codes; or `"lost"`, `"closed"`, `"full"`. */
  readonly code: string;
}

/** The connection is open, again or for the first time. */
export interface CometOpenEvent extends Event {
  readonly transport: Transport | "shared";
}

/** The connection is lost, or the server or `close()` has ended it. */
export interface CometCloseEvent extends Event {
  /** Why: the server's code; or `"lost"`, `"silent"`, `"badMessage"`, `"closed"`. */
  readonly code: string;
  readonly message: string;
  /** Seconds until it comes back; `null` for never. */
  readonly retry: number | null;
}

/** Messages were lost that the server no longer holds. */
export interface CometGapEvent extends Event {
  /** The channels and patterns, as they were subscribed to. */
  readonly names: string[];
}

/** Another transport is used from now on. */
export interface CometTransportEvent extends Event {
  readonly transport: Transport | "shared";
}

/**
 * Something was refused: a name, or the connection as a whole; or what came
 * cannot be read, which ends the connection.
 */
export interface CometErrorEvent extends Event {
  readonly code: string;
  readonly message: string;
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
   * Nothing is sent before the first subscription or publication.
   *
   * @param url Where the server is: the root of its site, or where it is
   *   mounted, such as `"/push/"`.  Default: where this script came from.
   */
  constructor(url?: string | URL | null, options?: CometOptions);

  /** Where the server is, with a slash at the end. */
  readonly url: string;
  /** `CONNECTING` (also where there is nothing to read), `OPEN` or `CLOSED`. */
  readonly readyState: 0 | 1 | 2;
  /** The transport in use; `"shared"` where another tab has the connection. */
  readonly transport: Transport | "shared" | null;
  /** Everything up to here has arrived; `null` before the first connection. */
  readonly cursor: string | null;

  /**
   * Read a channel, or a pattern such as `"chat/*"` or `"news/**"`.
   *
   * A name that is read already changes nothing: its further handlers hear
   * what comes from now on, whatever their `since`.
   *
   * @returns Fulfilled once all that is published from then on will arrive;
   *   rejected with a `CometError` if the server refuses the name.  It need not
   *   be waited for.
   * @throws TypeError If it is not the name of a channel or a pattern, or not a
   *   place to begin at.
   */
  subscribe<T = any>(name: string, handler: Handler<T>, options?: SubscribeOptions): Promise<void>;

  /** Let one handler of a name, or all of them, hear nothing more. */
  unsubscribe(name: string, handler?: Handler): void;

  /**
   * Publish what JSON can say.  Without a connection it waits, and it is sent
   * again, with its key, until the answer is known.
   *
   * @returns The cursor of the message, once it is stored.
   *   Rejected with a `CometError`.
   */
  publish(channel: string, data: Json, options?: PublishOptions): Promise<string>;

  /**
   * The messages of a channel or pattern, one after the other.  It is read
   * from this call on until the loop is left, or `close()`.
   */
  messages<T = any>(name: string, options?: SubscribeOptions): AsyncIterableIterator<Message<T>>;

  /** Be done, for good. */
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

export default Comet;
