/**
 * The link of one technique: it runs the technique again and again, each time from
 * the cursor that it has reached, until the link is cut.
 */

import { WAIT } from "./techniques.js";

/** Milliseconds: the first and the longest delay before it reconnects. */
const RETRY = [500, 8000];

/** Seconds of silence after which a connection counts as lost, beside those expected. */
const SILENCE = 10;

export class Link {
  /** One of waiting, asking, held, pausing, open, lost, cut, asleep. */
  state = "waiting";
  /** When that state began, by `performance.now()`. */
  since = performance.now();
  /** All messages up to here have arrived. */
  cursor;
  /** Whether it may not keep a connection for long. */
  isCrowded = false;

  /** Aborted when the link is cut. */
  #controller = null;
  /** Aborted when this attempt is over, too. */
  #attempt = null;
  /** Aborted when it shall reconnect at once. */
  #wake = new AbortController();
  #heardAt = 0;
  #failures = 0;
  #technique;
  #lane;
  #place;
  #told;

  /**
   * @param technique One of `techniques.js`.
   * @param lane Where it is drawn.
   * @param place `{ base, channel, account, cursor, heartbeat }`.
   * @param told `{ changed(), message(envelope), gap(names) }`.
   */
  constructor(technique, lane, place, told) {
    this.#technique = technique;
    this.#lane = lane;
    this.#place = place;
    this.#told = told;
    this.cursor = place.cursor;
  }

  get isRunning() {
    return this.#controller !== null;
  }

  /** Connect, and stay connected. */
  start() {
    if (this.isRunning) return;
    this.#lane.end("cut");
    this.#controller = new AbortController();
    this.#live(this.#controller.signal);
  }

  /**
   * Disconnect, and stay away.
   *
   * @param state Why: `cut`, `asleep` or `waiting`.
   */
  stop(state) {
    this.#controller?.abort();
    this.#controller = null;
    this.#attempt?.abort();
    this.#lane.endAll();
    if (state === "cut") this.#lane.begin("cut");
    this.#change(state);
  }

  /** End a connection that has been silent for too long: it is dead, and nothing said so. */
  check() {
    const expected = { asking: 0, held: WAIT, open: 2 * this.#place.heartbeat }[this.state];
    if (expected === undefined) return;
    const patience = (expected + SILENCE) * 1000;
    if (performance.now() - this.#heardAt > patience) this.#attempt?.abort();
  }

  /** The server is gone.  A technique that does not notice by itself connects again. */
  serverLost() {
    const isTried = ["asking", "open"].includes(this.state);
    if (this.#technique.isUnaware && isTried) this.#attempt?.abort();
  }

  /** The server is back: do not wait any longer.  What was asked before has failed. */
  serverBack() {
    this.#wake.abort();
    if (this.#technique.isUnaware && this.state === "asking") this.#attempt?.abort();
  }

  async #live(signal) {
    this.#failures = 0;
    while (!signal.aborted) {
      this.#attempt = new AbortController();
      // Cut, or lost: either is seen below.
      await this.#technique(this.#tell(this.#attempt.signal)).catch(() => undefined);
      if (signal.aborted) return;
      // An event that is still under way belongs to a lost connection.
      this.#attempt.abort();
      this.#lane.endAll();
      this.#change("lost");
      const most = Math.min(RETRY[1], RETRY[0] * 2 ** this.#failures++);
      this.#wake = new AbortController();
      const until = AbortSignal.any([signal, this.#wake.signal]);
      await pause(until, most * (0.5 + Math.random() / 2)).catch(() => undefined);
    }
  }

  #change(state) {
    this.state = state;
    this.since = this.#heardAt = performance.now();
    this.#told.changed();
  }

  /** The methods for a technique.  Once its attempt is over, they do nothing. */
  #tell(signal) {
    const link = this;
    const unlessOver =
      (tell) =>
      (...what) => {
        if (!signal.aborted) tell(...what);
      };
    return {
      signal,
      get isCrowded() {
        return link.isCrowded;
      },
      pause: (milliseconds) => pause(signal, milliseconds),
      url: (transport, more = {}) => this.#url(transport, more),
      asked: unlessOver(() => {
        this.#lane.request();
        this.#change("asking");
      }),
      held: unlessOver(() => {
        this.#lane.begin("hold");
        this.#change("held");
      }),
      answered: unlessOver((count) => {
        this.#failures = 0;
        this.#lane.answer(count);
        this.#change("pausing");
      }),
      opened: unlessOver((both) => {
        this.#failures = 0;
        this.#lane.begin(both ? "both" : "open");
        this.#change("open");
      }),
      heard: unlessOver((envelope) => this.#heard(envelope)),
    };
  }

  #url(transport, more) {
    const { base, channel, account } = this.#place;
    const url = new URL(`channels/${channel}`, base);
    url.search = new URLSearchParams({ transport, since: this.cursor, account, ...more });
    return url;
  }

  #heard(envelope) {
    const isMessage = "data" in envelope;
    this.cursor = envelope.cursor;
    this.#heardAt = performance.now();
    if (this.state === "open") this.#lane.chunk(isMessage);
    if (envelope.gap) this.#told.gap(envelope.gap);
    if (isMessage) this.#told.message(envelope);
  }
}

function pause(signal, milliseconds) {
  return new Promise((resolve, reject) => {
    const cut = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", cut);
      resolve();
    }, milliseconds);
    signal.addEventListener("abort", cut, { once: true });
  });
}
