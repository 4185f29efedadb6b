/**
 * Publications: each waits until it can be sent, and is sent again, with the same
 * key, until the server has answered.
 */

import { checkNames } from "./options.js";
import { CometError, jitter, random, sleep, TEMPORARY } from "./requests.js";

/**
 * @typedef {import("./link.js").Link} Link
 * @typedef {import("./requests.js").Failure} Failure
 *
 * @typedef {object} Item
 * @property {string} to the channel, as JSON
 * @property {string} json the other fields, without the first brace
 * @property {(cursor: string) => void} done
 * @property {(failure: Failure) => void} fail
 * @property {boolean} [isSent]
 * @property {boolean} [wasSent] whether it was, on any link: so the server may have it
 * @property {number} tries
 * @property {any} [timer] until it is given up
 */

// Milliseconds: how long a publication is tried.  Less than the five minutes for which the server
// remembers a key.
const KEY_LIVES = 270000;

export class Outbox {
  /** @type {Item[]} */
  #items = [];
  /** The publication under way by HTTP: one at a time, to keep their order.  @type {Item?} */
  #posting = null;
  #owner;

  /** @param {import("./link.js").Owner} owner calls `send` when something has changed */
  constructor(owner) {
    this.#owner = owner;
  }

  /**
   * @param {string} channel
   * @param {any} data
   * @param {import("../comet.d.ts").PublishOptions} [options]
   * @returns {Promise<string>} the cursor
   */
  add(channel, data, options = {}) {
    return new Promise((done, reject) => {
      checkNames(options, ["event", "encoding", "exclude", "key"]);
      const { event, encoding, exclude, key = random() } = options;
      const fail = (/** @type {Failure} */ failure) => reject(new CometError(failure));
      const { over, settings, changed } = this.#owner;
      if (over.aborted) return fail({ code: "closed" });
      if (this.#items.length >= settings.queue) return fail({ code: "full" });
      if (JSON.stringify(data) === undefined)
        return fail({ code: "badMessage", message: `${typeof data} is no JSON value` });
      const json = JSON.stringify({ data, event, encoding, exclude, key }).slice(1);
      /** @type {Item} */
      const item = { to: JSON.stringify(channel), json, done, fail, tries: 0 };
      item.timer = setTimeout(() => {
        this.#remove(item);
        fail({ code: item.wasSent ? "lost" : "unsent" });
      }, KEY_LIVES);
      this.#items.push(item);
      changed();
    });
  }

  /** A link was lost: send its unanswered publications again. */
  lost() {
    for (const item of this.#items) item.isSent = item == this.#posting;
  }

  /** @param {Failure} why */
  close(why) {
    for (const item of this.#items) {
      this.#remove(item);
      item.fail(why);
    }
  }

  /**
   * Send all publications that can be sent.
   *
   * @param {Link} [link] if it takes commands, the publications are sent over it
   */
  send(link) {
    for (const item of this.#items) {
      if (this.#posting) return;
      if (item.isSent) continue;
      const { to, json } = item;
      item.isSent = item.wasSent = true;
      if (link?.command)
        link.command(`{"publish":${to},${json}`, ({ ok, error }) => {
          if (error)
            error.isFinal =
              !TEMPORARY.test(error.code) && !this.#owner.credential.isOver(error, link.headers);
          this.#answered(item, ok, error);
        });
      else {
        this.#posting = item;
        this.#owner.ask("publish", {}, `{"channel":${to},${json}`, "application/x-ndjson").then(
          (ok) => this.#answered(item, ok),
          (error) => this.#answered(item, 0, error),
        );
      }
    }
  }

  /** @param {Item} item */
  #remove(item) {
    clearTimeout(item.timer);
    this.#items = this.#items.filter((each) => each != item);
  }

  /**
   * @param {Item} item
   * @param {any} ok
   * @param {Failure} [error]
   */
  async #answered(item, ok, error) {
    if (error && !error.isFinal) {
      await sleep(error.retry ?? jitter(this.#owner.settings.backoff, item.tries++));
      item.isSent = false;
    } else {
      this.#remove(item);
      if (error) item.fail(error);
      else item.done(ok.cursor);
    }
    if (this.#posting == item) this.#posting = null;
    this.#owner.changed();
  }
}
