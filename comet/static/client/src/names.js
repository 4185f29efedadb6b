/**
 * The names of channels and patterns.
 */

import { isText } from "./envelopes.js";

// No segment is "." or "..", or holds a control character or one with a meaning.
const NAME =
  /^(?!(.*\/)?\.\.?(\/|$))((\*|[^\0-\x1f\x7f-\x9f,*?#/]+)\/)*(\*\*?|[^\0-\x1f\x7f-\x9f,*?#/]+)$/;

/**
 * Whether this is the name of a channel, or a pattern: `*` is one segment, and
 * `**`, as the last, one or more.
 *
 * @param {unknown} name
 * @returns {name is string}
 */
export const isName = (name) => isText(name) && NAME.test(name);

/**
 * Whether a name reaches a channel.  A pattern has to spell segments that begin
 * with `$`.
 *
 * @param {string} name
 * @param {string} channel
 */
export const matches = (name, channel) => {
  const wanted = name.split("/");
  const parts = channel.split("/");
  return (
    (name.endsWith("**") ? parts.length >= wanted.length : parts.length == wanted.length) &&
    parts.every((part, index) => {
      const each = wanted[index] ?? "**";
      return each == part || (each[0] == "*" && part[0] != "$");
    })
  );
};

/**
 * Write several names as one segment of a path.
 *
 * @param {Iterable<string>} names
 */
export const pathOf = (names) =>
  [...names].map((name) => name.replace(/[^/*]+/g, encodeURIComponent)).join();
