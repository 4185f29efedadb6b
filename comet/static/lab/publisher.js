/**
 * The button and the slider.
 */

import { pace, rateOf } from "./format.js";
import { Rate } from "./rate.js";

/** Messages a second, by where the slider stands. */
const RATES = [0, 0.2, 0.5, 1, 2, 5, 10, 20];

/** Seconds without any input on the page after which the stream stops. */
const PATIENCE = 600;

/** Messages that one turn sends at most when it comes late. */
const MOST_LATE = 5;

/** By how much the true rate may differ before the page says so, and from which rate on. */
const TOLERANCE = 0.15;
const FAST = 5;

export class Publisher {
  #comet;
  #channel;
  #visit;
  #total;
  #status;
  #sent = 0;
  #waiting = 0;
  #timer = null;
  /** When the next message is due, by `performance.now()`. */
  #dueAt = 0;
  #touchedAt = performance.now();
  /** How many messages the server has stored lately. */
  #stored = new Rate();
  #slider = document.getElementById("rate");
  #pace = document.getElementById("pace");

  /**
   * @param status Shows a text, and one that is empty if there is nothing to say.
   */
  constructor(comet, channel, visit, total, status) {
    this.#comet = comet;
    this.#channel = channel;
    this.#visit = visit;
    this.#total = total;
    this.#status = status;
  }

  /** Let people publish. */
  begin() {
    const form = document.getElementById("publish");
    for (const each of [...form.elements, this.#slider]) each.disabled = false;
    this.#slider.addEventListener("input", () => this.#setPace());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#publishOne(document.getElementById("text").value || "…");
    });
    for (const type of ["pointerdown", "keydown"]) {
      addEventListener(type, () => (this.#touchedAt = performance.now()));
    }
    this.#setPace();
    setInterval(() => this.#showPace(), 1000);
  }

  get #rate() {
    return RATES[this.#slider.valueAsNumber];
  }

  get #isConnected() {
    return this.#comet.readyState === 1;
  }

  #setPace() {
    this.#stored = new Rate();
    this.#slider.setAttribute("aria-valuetext", pace(this.#rate));
    this.#showPace();
    clearTimeout(this.#timer);
    this.#dueAt = performance.now();
    if (this.#rate) this.#wait();
  }

  /** Show the rate, and beside it the true one where that is another. */
  #showPace() {
    const rate = this.#rate;
    const isPaused = rate > 0 && !this.#isConnected;
    const truth = this.#stored.perSecond;
    const differs = rate >= FAST && truth !== null && Math.abs(truth - rate) > TOLERANCE * rate;
    const said = isPaused ? "paused" : differs ? `in truth ${rateOf(truth)}` : "";
    const text = said ? `${pace(rate)}, ${said}` : pace(rate);
    if (this.#pace.textContent !== text) this.#pace.textContent = text;
  }

  /** Publish at slightly irregular times, or messages would keep step with the polls. */
  #wait() {
    const milliseconds = 1000 / this.#rate;
    this.#dueAt += milliseconds * (0.5 + Math.random());
    // A timer that comes late does not delay those behind it, but after a long
    // sleep nothing is made up for.
    this.#dueAt = Math.max(this.#dueAt, performance.now() - MOST_LATE * milliseconds);
    const left = Math.max(0, this.#dueAt - performance.now());
    this.#timer = setTimeout(() => {
      this.#wait();
      this.#tick();
    }, left);
  }

  #tick() {
    if (performance.now() - this.#touchedAt > PATIENCE * 1000) {
      this.#slider.value = 0;
      this.#setPace();
      this.#status("The stream has stopped: the page has had no input for a while.");
    } else if (!document.hidden && this.#isConnected) {
      this.#publish(`no. ${this.#sent + 1}`).catch((error) => this.#refused(error));
    }
  }

  async #publishOne(text) {
    const wasConnected = this.#isConnected;
    if (!wasConnected) {
      this.#waiting += 1;
      const what = this.#waiting > 1 ? `${this.#waiting} messages wait` : "The message waits";
      this.#status(`The server does not answer. ${what}, and will be published when it is back.`);
    }
    try {
      await this.#publish(text);
      this.#status(wasConnected ? "" : "The server is back, and what waited is published.");
    } catch (error) {
      this.#refused(error);
    }
    if (!wasConnected) this.#waiting -= 1;
  }

  async #publish(text) {
    const n = (this.#sent += 1);
    this.#total.sends(n);
    await this.#comet.publish(this.#channel, { n, text, visit: this.#visit });
    this.#stored.add();
  }

  #refused({ code, message }) {
    const why = code === "full" ? "too many messages wait already" : message || code;
    this.#status(`Not published: ${why}`);
  }
}
