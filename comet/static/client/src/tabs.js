/**
 * Many tabs of a site that share one connection: one leads, and reads for all;
 * the others hear from it what it hears.
 *
 * A tab that does not lead stands in each name for itself: it takes what it
 * hears only where that follows on what it has, and polls for what is missing.
 * So nothing is lost or repeated when another tab takes over.
 */

import { isText } from "./envelopes.js";
import { random } from "./requests.js";
import { isOther } from "./standing.js";
import { poll } from "./transports.js";

/**
 * @typedef {import("./envelopes.js").Envelope} Envelope
 * @typedef {import("./link.js").Link} Link
 */

export class Tabs {
  /** By tab, the names that it wants; null where this tab does not lead.  @type {Map<string, string[]>?} */
  guests = null;
  #me = random();
  #bus;
  #names;
  #ready;
  #owner;

  /** @param {import("./link.js").Owner} owner */
  constructor(owner) {
    const { url, settings, over: signal, changed } = owner;
    // Only those that may read the same.
    const name = `comet ${url} ${JSON.stringify([settings.token, settings.parameters])}`;
    const bus = (this.#bus = new BroadcastChannel(name));
    const over = new Promise((done) => signal.addEventListener("abort", done));
    this.#owner = owner;
    this.#names = owner.standing.names;
    const hold = (/** @type {string} */ name, /** @type {() => any} */ held) =>
      navigator.locks.request(name, { signal }, held).catch(() => {});
    // Each tab holds a lock as long as it is there; who can have it knows that the tab is gone.
    this.#ready = new Promise((done) => hold(name + this.#me, () => (done(0), over)));
    hold(name, () => {
      this.guests = new Map();
      owner.drop();
      changed();
      bus.postMessage({ leads: true });
      return over;
    });
    signal.addEventListener("abort", () => bus.close());
    bus.onmessage = ({ data }) => {
      const { guests } = this;
      const { me, wants } = data;
      if (!guests) owner.listening?.told?.(data);
      else if (wants) {
        if (!guests.has(me))
          hold(name + me, () => {
            guests.delete(me);
            changed();
          });
        guests.set(me, wants);
        this.#tell();
        changed();
      }
    };
  }

  /** Tell the others what this tab, which leads, can let them hear. */
  #tell() {
    const names = [...this.#names];
    const has = names.filter(([, it]) => !isText(it.at)).map(([name]) => name);
    this.#bus.postMessage({ has });
  }

  /**
   * Let the others hear what this tab has taken.
   *
   * @param {Envelope} heard
   * @param {string?} after the cursor before it; what does not follow on that
   *   can only be heard by who has no need to
   * @param {unknown} begun whether names have begun with it
   */
  forward(heard, after, begun) {
    if (!this.guests?.size) return;
    this.#bus.postMessage({ heard, after });
    if (begun || heard.messages) this.#tell();
  }

  /** Ask the tab that leads for names.  */
  want() {
    if (!this.guests) this.#bus.postMessage({ me: this.#me, wants: [...this.#names.keys()] });
  }

  /**
   * The transport of a tab that does not lead.
   *
   * @param {Link} link
   */
  transport = (link) => {
    let isHeld = false;
    /** Whether there is more to ask for. */
    let isDue = false;
    /** @type {import("./standing.js").Names} */
    let wanted = new Map();
    /** What is heard meanwhile.  @type {any[]?} */
    let waiting = null;
    const catchUp = async () => {
      /** @type {any[]} */
      const meanwhile = (waiting = []);
      for (isDue = true; isDue; ) {
        isDue = false;
        const body = await poll(link);
        isDue ||= body.more;
        link.heard(body);
      }
      waiting = null;
      meanwhile.forEach(take);
    };
    const take = (/** @type {any} */ told) => {
      if (waiting) waiting.push(told);
      // This, too, is among what is missing.
      else if (this.#owner.standing.isBehind(told.after)) catchUp().catch(link.failed);
      else link.heard(told.heard);
    };
    const want = () => {
      wanted = new Map(this.#names);
      isHeld = false;
      this.want();
    };
    link.update = () => {
      if (isOther(wanted, this.#names)) want();
    };
    link.told = (told) => {
      const { leads, has } = told;
      if (leads) want();
      else if (told.heard) isHeld && take(told);
      else if (has && !isHeld) {
        isHeld = [...this.#names.keys()].every((name) => has.includes(name));
        isDue = isHeld;
        if (isHeld && !waiting) catchUp().catch(link.failed);
      }
    };
    this.#ready.then(want);
  };
}
