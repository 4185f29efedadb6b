/**
 * What a technique has received: how many of all messages, whether any arrived
 * twice, and how long they took.
 */

/** How many delays are remembered. */
const DELAYS = 200;

/** How many of this page's own publications are remembered. */
const SENT = 2000;

/** All messages of the channel that any technique on this page has received. */
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

  /** A technique has received a message. */
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

  /** Count a message.  @return Whether it is new. */
  heard(cursor) {
    if (!isAfter(cursor, this.#last)) {
      this.repeated += 1;
      return false;
    }
    this.#last = cursor;
    this.received += 1;
    return true;
  }

  /** Note how long a message took, in milliseconds. */
  took(delay) {
    this.#delays.push(delay);
    if (this.#delays.length > DELAYS) this.#delays.shift();
  }

  /** The median delay, or `null`. */
  get median() {
    const sorted = [...this.#delays].sort((a, b) => a - b);
    return sorted.length ? sorted[Math.floor(sorted.length / 2)] : null;
  }
}

/**
 * What the server has counted, in all of its lives: each process that counts begins
 * with nothing.
 */
export class Traffic {
  /** The newest figures of each process, by its name. */
  #figures = new Map();

  /** Take the newest figures of a process: `{ requests, headIn, headOut, dataIn, dataOut }`. */
  counted(process, figures) {
    this.#figures.set(process, figures);
  }

  /** `{ requests, head, data }` of all processes together. */
  get cost() {
    const cost = { requests: 0, head: 0, data: 0 };
    for (const { requests, headIn, headOut, dataIn, dataOut } of this.#figures.values()) {
      cost.requests += requests;
      cost.head += headIn + headOut;
      cost.data += dataIn + dataOut;
    }
    return cost;
  }
}

/** Cursors of one epoch are ordered; another epoch begins anew. */
function isAfter(cursor, last) {
  if (last === null) return true;
  const [epoch, position] = cursor.split("-");
  const [lastEpoch, lastPosition] = last.split("-");
  return epoch !== lastEpoch || Number(position) > Number(lastPosition);
}
