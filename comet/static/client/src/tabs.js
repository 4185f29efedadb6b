/**
 * Several tabs of a site that share one connection: one tab leads and reads for
 * all, and posts what it receives to the others.
 *
 * A tab that does not lead keeps its own positions.  It takes a message only if it
 * has all messages before it, and polls for what is missing.  So no message is lost
 * or repeated when another tab takes over.
 */

import { isText } from "./envelopes.js";
import { random } from "./requests.js";
import { isOther } from "./standing.js";
import { claimsOf } from "./token.js";
import { poll } from "./transports.js";

/**
 * @typedef {import("./envelopes.js").Envelope} Envelope
 * @typedef {import("./link.js").Link} Link
 */

// Milliseconds of silence after which a tab asks whether the leading one still answers, and then
// again until it takes the lead.
const PATIENCE = 4000;

export class Tabs {
  /** The names that each tab wants; null if this tab does not lead.  @type {Map<string, string[]>?} */
  guests = null;
  #me = random();
  #bus;
  #names;
  #ready;
  #owner;

  /** When anything came from the leading tab, in milliseconds. */
  #heardAt = Date.now();
  #isAsked = false;

  /** @param {import("./link.js").Owner} owner */
  constructor(owner) {
    const { url, credential, settings, over: signal, changed } = owner;
    // Without TLS the browser has none: this fails before anything is opened.
    const request = navigator.locks.request.bind(navigator.locks);
    const token = credential.word;
    // Only tabs with the same rights share.  Tokens that give them differ in these.
    const { exp, iat, jti, nbf, ...rights } = claimsOf(token) ?? { token };
    const name = `comet ${url} ${JSON.stringify([rights, settings.parameters])}`;
    const bus = (this.#bus = new BroadcastChannel(name));
    const over = new Promise((done) => signal.addEventListener("abort", done));
    this.#owner = owner;
    this.#names = owner.standing.subscribed;
    const hold = (/** @type {string} */ name, /** @type {() => any} */ held) =>
      request(name, { signal }, held).catch(() => {});
    // Each tab holds a lock while it exists.  If another gets that lock, the tab is gone.
    this.#ready = new Promise((done) => hold(name + this.#me, () => (done(0), over)));
    /** @param {boolean} [steal] take the lead from a tab that leads */
    const lead = (steal) => {
      const queue = new AbortController();
      const leave = () => queue.abort();
      leaveQueue = leave;
      signal.addEventListener("abort", leave);
      const options = steal ? { steal } : { signal: queue.signal };
      const held = () => {
        this.guests = new Map();
        owner.drop();
        changed();
        bus.postMessage({ leads: true });
        return over;
      };
      request(name, options, held).catch(() => {
        // Another tab has taken the lead, since this one was frozen.
        if (signal.aborted || !this.guests) return;
        this.guests = null;
        this.#heard();
        owner.drop();
        changed();
        lead();
      });
    };
    let leaveQueue = () => {};
    lead();
    // A tab that the browser has frozen keeps its lock.  A leading tab that answers nothing is
    // succeeded by the first that notices.
    const watch = setInterval(() => {
      if (this.guests || !this.#names.size || Date.now() - this.#heardAt < PATIENCE) return;
      if (this.#isAsked) {
        this.#heard();
        leaveQueue();
        lead(true);
      } else {
        this.#isAsked = true;
        this.want();
      }
    }, PATIENCE * (1 + Math.random() / 4));
    signal.addEventListener("abort", () => {
      clearInterval(watch);
      bus.close();
    });
    bus.onmessage = ({ data }) => {
      const { guests } = this;
      const { me, token, wants } = data;
      if (token) credential.adopt(token);
      else if (!guests) {
        if (!wants) this.#heard();
        owner.listening?.told?.(data);
      } else if (wants) {
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

  /** The leading tab has said something. */
  #heard() {
    this.#heardAt = Date.now();
    this.#isAsked = false;
  }

  /** Tell the others which names this tab, which leads, reads for them. */
  #tell() {
    const names = [...this.#names];
    const has = names.filter(([, it]) => !isText(it.at)).map(([name]) => name);
    this.post({ has });
  }

  /**
   * Post to the others what this tab has received.
   *
   * @param {Envelope} heard
   * @param {string?} after the cursor before it: a tab that is not up to that
   *   cursor has missed messages
   * @param {unknown} begun whether names have begun with it
   */
  forward(heard, after, begun) {
    if (!this.guests?.size) return;
    this.post({ heard, after });
    if (begun || heard.messages) this.#tell();
  }

  /**
   * The leading tab was refused names: tell those that want them, which ask no more.
   *
   * @param {import("./requests.js").Failure} failure
   * @param {import("./standing.js").Names} names
   */
  refused({ code, message }, names) {
    const { guests } = this;
    guests?.forEach((wants, me) =>
      guests.set(me, wants.filter((name) => !names.has(name))),
    );
    if (guests) this.post({ code, message, names: [...names.keys()] });
  }

  /** Post to the other tabs.  @param {object} value */
  post(value) {
    this.#bus.postMessage(value);
  }

  /** Ask the leading tab for names. */
  want() {
    if (!this.guests) this.post({ me: this.#me, wants: [...this.#names.keys()] });
  }

  /**
   * The transport of a tab that does not lead.
   *
   * @param {Link} link
   */
  transport = (link) => {
    let isHeld = false;
    /** Whether there is more to poll for. */
    let isDue = false;
    /** @type {import("./standing.js").Names} */
    let wanted = new Map();
    /** What the leading tab posts meanwhile.  @type {any[]?} */
    let waiting = null;
    const catchUp = async () => {
      /** @type {any[]} */
      const meanwhile = (waiting = []);
      for (isDue = true; isDue; ) {
        isDue = false;
        const body = await poll(link);
        isDue ||= body.more;
        link.hear(body);
      }
      waiting = null;
      meanwhile.forEach(take);
    };
    const take = (/** @type {any} */ told) => {
      if (waiting) waiting.push(told);
      // This message is among the missing ones, too.
      else if (this.#owner.standing.isBehind(told.after)) catchUp().catch(link.failed);
      else link.hear(told.heard);
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
      const { leads, has, names } = told;
      if (leads) want();
      else if (names) {
        this.#owner.refused(link, told, this.#owner.standing.select(names));
        // Before it is open the owner does not update it.
        link.update?.();
      } else if (told.heard) isHeld && take(told);
      else if (has && !isHeld) {
        link.update?.();
        isHeld = [...this.#names.keys()].every((name) => has.includes(name));
        isDue = isHeld;
        if (isHeld && !waiting) catchUp().catch(link.failed);
      }
    };
    this.#ready.then(want);
  };
}
