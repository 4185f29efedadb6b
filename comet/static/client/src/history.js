/**
 * Scrolling back: what was before a cursor.
 */

import { read } from "./envelopes.js";
import { pathOf } from "./names.js";
import { checkNames } from "./options.js";
import { CometError, request } from "./requests.js";

/**
 * Read one page.
 *
 * @param {import("./link.js").Owner} owner
 * @param {string} channel
 * @param {import("../comet.d.ts").HistoryOptions} options
 * @returns {Promise<any>}
 */
export const readBefore = async (owner, channel, options) => {
  checkNames(options, ["before", "limit"]);
  const { before, limit = 50 } = options;
  const { authorization, over, settings } = owner;
  const { credentials, heartbeat } = settings;
  if (over.aborted) throw over.reason;
  const path = `channels/${pathOf([channel])}`;
  const response = await request(owner.urlOf(path, { transport: "poll", before, limit }, true), {
    headers: authorization,
    credentials,
    signal: AbortSignal.timeout(2000 * heartbeat),
  });
  const { close, gap, messages, more } = await response.json().then(read).catch(() => {
    throw new CometError({ code: "badMessage" });
  });
  if (over.aborted) throw over.reason;
  if (close) throw new CometError(close);
  return { messages, more: !!more, gap: !!gap };
};
