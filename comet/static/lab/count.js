/**
 * What a technique has received: how much of all that there was, whether anything
 * came twice, and how long it took.
 */

/** How many delays are remembered. */
const DELAYS = 200;

/** How many messages are remembered that this page has published. */
const SENT = 2000;

/** Everything that was published to the channel, as far as anybody here has seen it. */
export class Total {
  count = 0;
  #last = null;
  #sent = new Map();

  /** The page publishes its message `n` now. */
  sends(n) {
    this.#sent.set(n, performance.now());
    if (this.#sent.size > SENT) this.#sent.delete(this.#sent.keys().next().value);
  }

  /** When that was, or `undefined`. */
  sentAt(n) {
    return this.#sent.get(n);
  }

  /** Somebody has received a message. */
  seen(cursor) {
    if (isAfter(cursor, this.#last)) {
      this.#last = cursor;
      this.count += 1;
    }
  }
}

export class Count {
  received = 0;
  repeated = 0;
  #last = null;
  #delays = [];

  /** A message came.  @return Whether it is a new one. */
  heard(cursor) {
    if (!isAfter(cursor, this.#last)) {
      this.repeated += 1;
      return false;
    }
    this.#last = cursor;
    this.received += 1;
    return true;
  }

  /** It took so long, in milliseconds. */
  took(delay) {
    this.#delays.push(delay);
    if (this.#delays.length > DELAYS) this.#delays.shift();
  }

  /** The delay that half of the messages stayed below, or `null`. */
  get median() {
    const sorted = [...this.#delays].sort((a, b) => a - b);
    return sorted.length ? sorted[Math.floor(sorted.length / 2)] : null;
  }
}

/** Cursors of one epoch are ordered; another epoch begins anew. */
function isAfter(cursor, last) {
  if (last === null) return true;
  const [epoch, position] = cursor.split("-");
  const [lastEpoch, lastPosition] = last.split("-");
  return epoch !== lastEpoch || Number(position) > Number(lastPosition);
}
