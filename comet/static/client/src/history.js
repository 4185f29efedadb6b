/**
 * Scrolling back: what was before a cursor.
 */

import { pathOf } from "./names.js";
import { checkNames } from "./options.js";
import { CometError } from "./requests.js";

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
  const path = `channels/${pathOf([channel])}`;
  const query = { transport: "poll", before, limit };
  const { close, gap, messages, more } = await owner.ask(path, query, null);
  if (close) throw new CometError(close);
  return { messages, more: !!more, gap: !!gap };
};
