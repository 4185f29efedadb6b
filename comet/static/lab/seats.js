/**
 * The connections that a browser keeps to one host: six with HTTP/1.1, for all of
 * its tabs together.  A technique that holds a connection for long takes a seat
 * first.  There are five seats, so the sixth is free for short requests.
 *
 * Web Locks count the seats of all tabs.  A page without TLS that is not of this
 * machine has no Web Locks: then each tab counts its own seats.
 */

export const SEATS = 5;

export class Seats {
  /** The names of the seats that this tab has. */
  taken = new Set();
  /** Whether the number of seats is unlimited. */
  isUnlimited;

  constructor() {
    const [page] = performance.getEntriesByType("navigation");
    // HTTP/2 and later carry everything through one connection.
    this.isUnlimited = !/^(http\/|$)/.test(page?.nextHopProtocol ?? "");
  }

  /**
   * Take a seat, if there is one.
   *
   * @return A function that gives it back, or `null`.
   */
  async take() {
    if (this.isUnlimited) return () => undefined;
    for (let number = 1; number <= SEATS; number++) {
      const name = `comet-lab-seat-${number}`;
      if (this.taken.has(name)) continue;
      this.taken.add(name);
      const giveBack = await lock(name);
      if (giveBack) {
        return () => {
          this.taken.delete(name);
          giveBack();
        };
      }
      this.taken.delete(name);
    }
    return null;
  }
}

/** Hold a lock until the function is called that this is fulfilled with. */
function lock(name) {
  if (!navigator.locks) return Promise.resolve(() => undefined);
  return new Promise((resolve) => {
    navigator.locks.request(name, { ifAvailable: true }, (granted) => {
      if (!granted) {
        resolve(null);
        return undefined;
      }
      return new Promise((release) => resolve(release));
    });
  });
}
