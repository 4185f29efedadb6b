/**
 * The button and the slider.
 */

import { pace } from "./format.js";

/** Messages a second, by where the slider stands. */
const RATES = [0, 0.2, 0.5, 1, 2, 5, 10, 20];

/** Seconds without any input on the page after which the stream stops. */
const PATIENCE = 600;

export class Publisher {
  #comet;
  #channel;
  #visit;
  #total;
  #sent = 0;
  #timer = null;
  #touchedAt = performance.now();
  #rate = document.getElementById("rate");
  #pace = document.getElementById("pace");
  #status = document.getElementById("status");

  constructor(comet, channel, visit, total) {
    this.#comet = comet;
    this.#channel = channel;
    this.#visit = visit;
    this.#total = total;
  }

  /** Let people publish. */
  begin() {
    this.#rate.disabled = false;
    this.#rate.addEventListener("input", () => this.#setPace());
    document.getElementById("publish").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#publish(document.getElementById("text").value || "…");
    });
    for (const type of ["pointerdown", "keydown"]) {
      addEventListener(type, () => (this.#touchedAt = performance.now()));
    }
    this.#setPace();
  }

  #setPace() {
    const rate = RATES[this.#rate.valueAsNumber];
    this.#pace.textContent = pace(rate);
    this.#rate.setAttribute("aria-valuetext", pace(rate));
    clearTimeout(this.#timer);
    if (rate) this.#waitFor(1000 / rate);
  }

  /** Publish at slightly irregular times, or messages would keep step with the polls. */
  #waitFor(milliseconds) {
    this.#timer = setTimeout(
      () => {
        this.#waitFor(milliseconds);
        this.#tick();
      },
      milliseconds * (0.5 + Math.random()),
    );
  }

  #tick() {
    if (performance.now() - this.#touchedAt > PATIENCE * 1000) {
      this.#rate.value = 0;
      this.#setPace();
      this.#status.textContent = "The stream has stopped: the page has had no input for a while.";
    } else if (!document.hidden) {
      this.#publish(`no. ${this.#sent + 1}`);
    }
  }

  #publish(text) {
    const n = (this.#sent += 1);
    this.#total.sends(n);
    this.#comet.publish(this.#channel, { n, text, visit: this.#visit }).catch((error) => {
      this.#status.textContent = `Not published: ${error.message}`;
    });
  }
}
