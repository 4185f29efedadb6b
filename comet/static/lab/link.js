/**
 * The link of one technique: it runs the technique again and again, each time from
 * the cursor that it has reached, until the link is cut.
 */

/** Milliseconds: the first and the longest delay before it reconnects. */
const RETRY = [500, 8000];

export class Link {
  /** One of waiting, asking, held, pausing, open, lost, cut, asleep. */
  state = "waiting";
  /** When that state began, by `performance.now()`. */
  since = performance.now();
  /** All messages up to here have arrived. */
  cursor;
  /** Whether it may not keep a connection for long. */
  isCrowded = false;

  #controller = null;
  #failures = 0;
  #technique;
  #lane;
  #place;
  #told;

  /**
   * @param technique One of `techniques.js`.
   * @param lane Where it is drawn.
   * @param place `{ base, channel, account, cursor }`.
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
    this.#lane.endAll();
    if (state === "cut") this.#lane.begin("cut");
    this.#change(state);
  }

  async #live(signal) {
    const attempt = this.#attempt(signal);
    this.#failures = 0;
    while (!signal.aborted) {
      // Cut, or lost: either is seen below.
      await this.#technique(attempt).catch(() => undefined);
      if (signal.aborted) return;
      this.#lane.endAll();
      this.#change("lost");
      const most = Math.min(RETRY[1], RETRY[0] * 2 ** this.#failures++);
      await pause(signal, most * (0.5 + Math.random() / 2)).catch(() => undefined);
    }
  }

  #change(state) {
    this.state = state;
    this.since = performance.now();
    this.#told.changed();
  }

  /** The methods for a technique.  Once the link is cut, they do nothing. */
  #attempt(signal) {
    const link = this;
    const unlessCut =
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
      asked: unlessCut(() => {
        this.#lane.request();
        this.#change("asking");
      }),
      held: unlessCut(() => {
        this.#lane.begin("hold");
        this.#change("held");
      }),
      answered: unlessCut((count) => {
        this.#failures = 0;
        this.#lane.answer(count);
        this.#change("pausing");
      }),
      opened: unlessCut((both) => {
        this.#failures = 0;
        this.#lane.begin(both ? "both" : "open");
        this.#change("open");
      }),
      heard: unlessCut((envelope) => this.#heard(envelope)),
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
