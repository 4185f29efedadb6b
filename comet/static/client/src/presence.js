/**
 * Who is in a channel: a list that is kept by the channel's events.
 *
 * The list is asked for, and then changed by the events after its cursor.  A part of its own,
 * which pages load when they need it: it uses only names of the client that the build leaves
 * as they are.
 */

import { isText, parseCursor } from "./envelopes.js";
import { pathOf } from "./names.js";
import { jitter, sleep, TEMPORARY } from "./requests.js";

/**
 * @typedef {import("../comet.d.ts").Member} Member
 * @typedef {import("../comet.d.ts").PresenceChange} Change
 * @typedef {import("../comet.d.ts").PresenceHandler} Handler
 * @typedef {import("../comet.d.ts").PresenceOptions} Options
 * @typedef {import("./comet.js").Comet} Comet
 */

// The most members that one response tells.
const PAGE = 1000;

/** @type {[number, number]} */
const BACKOFF = [1, 30];

const CLOSED = 2;

class Presence {
  anonymous = 0;
  count = 0;
  closed = false;

  #comet;
  #name;
  #events;
  #handler;
  #limit;
  #control = new AbortController();
  /** By their names, in the order of their coming.  @type {Map<string, Member>} */
  #members = new Map();
  /** What `members` returned last; none after a change.  @type {Member[] | undefined} */
  #list;
  /** Events that arrive while the list is asked for.  @type {any[]?} */
  #waiting = [];
  /** The last request for the list: the answer to one before does not count.  @type {any} */
  #last;
  #turn = 0;
  /** Whether the list has to be asked for once the client is opened again. */
  #isDue = false;
  /** The cursor of the list.  @type {[epoch?: string, position?: number]} */
  #position = [];

  /**
   * @param {Comet} comet
   * @param {string} name
   * @param {Handler | undefined} handler
   * @param {Options} options
   */
  constructor(comet, name, handler, { limit = PAGE, signal }) {
    this.#comet = comet;
    this.#name = name;
    this.#events = `$presence/${name}`;
    this.#handler = handler;
    this.#limit = limit;
    const heard = { signal: this.#control.signal };
    comet.addEventListener("gap", (/** @type {any} */ { names }) => {
      if (names.includes(this.#events)) this.#reload();
    }, heard);
    comet.addEventListener("error", (/** @type {any} */ { names }) => {
      if (names.includes(this.#events)) this.close();
    }, heard);
    comet.addEventListener("open", () => {
      if (this.#isDue) this.#reload();
    }, heard);
    signal?.addEventListener("abort", () => this.close(), heard);
  }

  get members() {
    return (this.#list ??= [...this.#members.values()]);
  }

  get more() {
    return this.count > this.#members.size;
  }

  close() {
    this.closed = true;
    this.#control.abort();
    this.#comet.unsubscribe(this.#events, this.#take);
  }

  /** Read the events, and then ask for the list. */
  async begin() {
    for (let isRead = false; !isRead; )
      try {
        await this.#comet.subscribe(this.#events, this.#take);
        isRead = true;
      } catch (/** @type {any} */ error) {
        // Without a connection the name stays subscribed; the next attempt may succeed.
        if (this.closed || error.retry == null) throw error;
      }
    await this.refresh();
  }

  /** Ask for the list, until there is an answer.  If it is refused for good, the list ends. */
  refresh() {
    return (this.#last = this.#load(++this.#turn));
  }

  /**
   * @param {number} turn
   * @returns {Promise<void>}
   */
  async #load(turn) {
    const isOver = () => this.closed || turn != this.#turn;
    this.#isDue = false;
    for (let tries = 0; !isOver(); )
      try {
        // The list that is asked for now has all that came before.
        this.#waiting = [];
        const pages = await this.#ask(isOver);
        if (isOver()) break;
        return this.#show(pages);
      } catch (/** @type {any} */ error) {
        if (isOver()) break;
        // A body that was cut off on its way is a bad message, too.
        const isCut = error.code == "badMessage" && !(error instanceof TypeError);
        if (!isCut && !TEMPORARY.test(error.code)) {
          this.#isDue = this.#comet.readyState == CLOSED;
          if (!this.#isDue) this.close();
          throw error;
        }
        await sleep(error.retry ?? jitter(BACKOFF, tries++));
      }
    if (!this.closed) await this.#last;
  }

  /** Ask for the list since events are missing. */
  #reload() {
    this.refresh().catch(({ code, message }) => {
      if (!this.closed) return;
      const fields = { code, message, names: [this.#events] };
      this.#comet.dispatchEvent(Object.assign(new Event("error"), fields));
    });
  }

  /** @param {() => boolean} isOver */
  async #ask(isOver) {
    const path = `presence/${pathOf([this.#name])}`;
    const pages = [];
    let after = /** @type {string | undefined} */ (undefined);
    for (let left = this.#limit, more = true; more && !isOver(); ) {
      /** @type {object} */
      const query = { limit: Math.min(left, PAGE), ...(after !== undefined && { after }) };
      /** @type {any} */
      const page = await this.#comet.ask(path, query, null).catch((/** @type {any} */ error) => {
        // The last member of the page before has left meanwhile: begin again.
        if (after !== undefined && error.code == "badRequest") error.code = "unavailable";
        throw error;
      });
      check(page);
      pages.push(page);
      left -= page.members.length;
      after = page.members.at(-1)?.client;
      more = !!page.more && left > 0 && after !== undefined;
    }
    return pages;
  }

  /**
   * Show what was told, and the events since.
   *
   * @param {any[]} pages the first of which says from where on the events are needed: what they
   *   say of the members of later pages is the same
   */
  #show(pages) {
    const [{ anonymous, count, cursor }] = pages;
    const [epoch, position = 0] = parseCursor(cursor);
    const held = this.#waiting ?? [];
    this.#waiting = null;
    this.#members = new Map();
    for (const { members } of pages)
      for (const { client, info, since } of members)
        this.#members.set(client, memberOf(client, info, since));
    this.anonymous = anonymous;
    this.count = count;
    this.#position = [epoch, position];
    for (const message of held) this.#apply(message);
    this.#tell();
  }

  #take = (/** @type {any} */ message) => {
    if (this.#waiting) return void this.#waiting.push(message);
    const change = this.#apply(message);
    if (!change) return;
    this.#tell(change);
    // Those whose place was behind the last of the list are now too few of it.
    if (this.more && this.#members.size < this.#limit / 2) this.#reload();
  };

  /**
   * @param {any} message
   * @returns {Change | undefined} nothing if the list has it already, or it is no event of presence
   */
  #apply({ cursor, data, event, time }) {
    const [epoch, position = 0] = parseCursor(cursor);
    const [own, at = 0] = this.#position;
    const { client, info } = data ?? {};
    if (epoch != own || position <= at || !isText(client)) return;
    const known = this.#members.get(client);
    if (event == "join") {
      // With more members than it shows, a new one's place is behind its end.
      if (!this.more && this.#members.size < this.#limit)
        this.#members.set(client, memberOf(client, info, time));
      this.count++;
    } else if (event == "leave") {
      this.count--;
      this.#members.delete(client);
    } else if (event != "update") return;
    else if (known) this.#members.set(client, memberOf(client, info, known.since));
    this.#list = undefined;
    return { event, ...memberOf(client, info) };
  }

  /** @param {Change} [change] */
  #tell(change) {
    this.#list = undefined;
    try {
      this.#handler?.(this, change);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}

/**
 * @param {string} client
 * @param {any} info
 * @param {number} [since]
 * @returns {Member}
 */
const memberOf = (client, info, since) => ({
  client,
  ...(info && { info }),
  ...(since && { since }),
});

/** @param {any} page */
const check = ({ anonymous, count, members }) => {
  if (
    ![anonymous, count].every(Number.isInteger) ||
    !Array.isArray(members) ||
    !members.every((each) => isText(each?.client))
  )
    throw Object.assign(new TypeError("not a list of members"), { code: "badMessage" });
};

/**
 * Follow who is in a channel.
 *
 * @param {Comet} comet
 * @param {string} name
 * @param {Handler} [handler]
 * @param {Options} [options]
 * @returns {Promise<Presence>}
 */
export const follow = async (comet, name, handler, options = {}) => {
  for (const each in options)
    if (!/^(limit|signal)$/.test(each))
      throw new TypeError(`no option "${each}"; there are limit,signal`);
  const { limit = PAGE, signal } = options;
  if (!(limit >= 1)) throw new TypeError(`bad option limit: ${limit}`);
  signal?.throwIfAborted();
  const presence = new Presence(comet, name, handler, options);
  try {
    await presence.begin();
  } catch (error) {
    presence.close();
    signal?.throwIfAborted();
    throw error;
  }
  signal?.throwIfAborted();
  return presence;
};
