/**
 * How often something has happened lately.
 */

/** Milliseconds that count, and the least of them from which a rate is told. */
const SPAN = 5000;
const LEAST = 3000;

export class Rate {
  #begun = performance.now();
  #times = [];

  /** It happens now. */
  add() {
    this.#times.push(performance.now());
    this.#forget();
  }

  /** How often in a second, or `null` where that is not known yet. */
  get perSecond() {
    this.#forget();
    const span = Math.min(performance.now() - this.#begun, SPAN);
    return span < LEAST ? null : (this.#times.length * 1000) / span;
  }

  #forget() {
    const first = performance.now() - SPAN;
    while (this.#times[0] < first) this.#times.shift();
  }
}
