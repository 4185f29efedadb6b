/**
 * The reader over raw TCP that the server runs for this page, which the server
 * reports on a channel.
 */

/** Seconds between two publications by which the page says that it is still there. */
const SIGN_OF_LIFE = 10;

export class TCPLink {
  state = "asking";
  since = performance.now();
  cursor;
  isCrowded = false;
  isRunning = false;

  #comet;
  #lane;
  #control;
  #told;
  /** Fulfilled once the page gets all reports. */
  #ready;
  /** How many readers there were before this one, and what this one has cost. */
  #reader = 0;
  #last = {};

  /**
   * @param told `{ changed(), message(envelope, delay), gap(), counted(reader, traffic) }`.
   */
  constructor(comet, lane, { visit, cursor, isOpen }, told) {
    this.#comet = comet;
    this.#lane = lane;
    this.#told = told;
    this.#control = `lab/${visit}/tcp`;
    this.cursor = cursor;
    if (!isOpen) {
      this.state = "closed";
      return;
    }
    this.#ready = comet.subscribe(`$lab/tcp/${visit}`, ({ data }) => this.#reported(data));
    setInterval(() => this.isRunning && this.#say(this.cursor), SIGN_OF_LIFE * 1000);
  }

  start() {
    if (this.isRunning || this.state === "closed") return;
    this.isRunning = true;
    this.#lane.end("cut");
    this.#say(this.cursor);
  }

  stop(state) {
    if (this.state === "closed") return;
    this.isRunning = false;
    this.#lane.endAll();
    if (state === "cut") this.#lane.begin("cut");
    this.#say(false);
    this.#change(state);
  }

  /** No reports come any more: the page does not know how the reader fares. */
  serverLost() {
    if (!this.isRunning) return;
    this.#lane.endAll();
    this.#change("lost");
  }

  /** Reports come again. */
  serverBack() {
    if (this.state !== "closed") this.#say(this.isRunning ? this.cursor : false);
  }

  /** The server looks after the reader. */
  check() {}

  #say(what) {
    // It is said again when the server is back.
    if (this.#comet.readyState !== 1 && this.state !== "asking") return;
    const said = this.#ready.then(() => this.#comet.publish(this.#control, what));
    said.catch(() => this.#change("closed"));
  }

  #change(state) {
    if (state === this.state) return;
    this.state = state;
    this.since = performance.now();
    this.#told.changed();
  }

  #reported({ state, traffic, gap, messages = [] }) {
    if (traffic) this.#count(traffic);
    if (!this.isRunning) return;
    if (state === "open" && this.state !== "open") {
      this.#lane.request();
      this.#lane.begin("both");
    }
    if (state !== "open") this.#lane.end("both");
    this.#change(state === "opening" || state === "cut" ? "asking" : state);
    if (gap) this.#told.gap();
    for (const message of messages) {
      this.cursor = message.cursor;
      this.#lane.chunk(true);
      const { delay } = message;
      this.#told.message(message, delay === null ? null : delay * 1000);
    }
  }

  /** Each reader that the server has run for this page counts anew. */
  #count(traffic) {
    const isNew = Object.keys(traffic).some((key) => key !== "open" && traffic[key] < this.#last[key]);
    if (isNew) this.#reader += 1;
    this.#last = traffic;
    this.#told.counted(this.#reader, traffic);
  }
}
