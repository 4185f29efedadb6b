/**
 * A handler that joins a name which is read already, at a position of its own.
 */

import { parseCursor } from "./envelopes.js";
import { pathOf } from "./names.js";
import { CometError, jitter, sleep } from "./requests.js";

/**
 * Poll for what the handler asked for, and hold back meanwhile what arrives for it.
 *
 * @param {import("./link.js").Owner} owner
 * @param {string} name
 * @param {import("./standing.js").Entry} it
 * @param {(message: any) => void} handler
 * @param {string} since
 * @param {(message: any) => void} deliver calls the handler
 * @returns {Promise<void>} fulfilled once it has caught up
 */
export const joinLate = async (owner, name, it, handler, since, deliver) => {
  /** @type {any[]?} */
  let waiting = [];
  let [epoch, position] = /** @type {[string?, number?]} */ ([]);
  const take = (/** @type {any} */ message) => {
    const [of, at = 0] = parseCursor(message.cursor);
    if (waiting) waiting.push(message);
    else if (of != epoch || at > (position ?? 0)) deliver(message);
  };
  it.handlers.set(handler, take);
  const { over, settings, standing } = owner;
  const isGone = () =>
    over.aborted || standing.subscribed.get(name) != it || it.handlers.get(handler) != take;
  try {
    for (let tries = 0, more = true; more; )
      try {
        const body = await owner.ask(`channels/${pathOf([name])}`, { transport: "poll", since });
        if (isGone()) throw new CometError({ code: "unsubscribed", isFinal: true });
        if (body.gap) owner.emit("gap", { names: [name] });
        body.messages?.forEach(deliver);
        since = body.cursor;
        more = !!body.more;
        [epoch, position] = parseCursor(since);
        tries = 0;
      } catch (/** @type {any} */ error) {
        if (error.isFinal || isGone()) throw over.aborted ? over.reason : error;
        await sleep(error.retry ?? jitter(settings.backoff, tries++));
      }
  } finally {
    const held = waiting;
    waiting = null;
    if (!isGone()) held.forEach(take);
  }
};
