/**
 * How fast the figures of each node grow, from one answer to the next.
 */

export class Rates {
  #before = new Map();

  /**
   * Compare the figures of all nodes with those before.
   *
   * @param nodes The rows of `GET /admin/nodes`.
   * @return The same nodes, each with `rates`: `null` if it is new, else `published`,
   *   `delivered`, `gaps` and `refused` a second, `lateness` (seconds, on average) and `late` (how many
   *   calls came late); and `transports`, with `requests`, `in` and `out` a second.
   */
  of(nodes) {
    const before = this.#before;
    this.#before = new Map(nodes.map((node) => [node.node, node]));
    return nodes.map((node) => ({ ...node, rates: ratesOf(before.get(node.node), node) }));
  }
}

function ratesOf(old, node) {
  const seconds = node.time - old?.time;
  // It may be the same answer, or the clock may have been set back.
  if (!(seconds > 0)) return null;
  const rate = (name) => (node[name] - old[name]) / seconds;
  const calls = node.lateness.calls - old.lateness.calls;
  const transports = {};
  for (const [name, now] of Object.entries(node.transports)) {
    const then = old.transports[name] ?? {};
    const of = (...names) =>
      names.reduce((sum, each) => sum + now[each] - (then[each] ?? 0), 0) / seconds;
    transports[name] = {
      requests: of("requests"),
      in: of("headIn", "dataIn"),
      out: of("headOut", "dataOut"),
    };
  }
  return {
    ...Object.fromEntries(["published", "delivered", "gaps", "refused"].map((n) => [n, rate(n)])),
    lateness: calls ? (node.lateness.seconds - old.lateness.seconds) / calls : 0,
    late: node.lateness.late - old.lateness.late,
    transports,
  };
}

export const openOf = (node) =>
  Object.values(node.transports).reduce((sum, { open }) => sum + open, 0);

/** The readers of clients: not the server's own. */
export const readersOf = ({ readers }) => (readers.stream ?? 0) + (readers.poll ?? 0);

/** Add up a rate of all nodes; `null` if none has any yet. */
export function sumOf(nodes, name) {
  const known = nodes.filter(({ rates }) => rates !== null);
  return known.length ? known.reduce((sum, { rates }) => sum + rates[name], 0) : null;
}

/** Add up what passes through each transport, over all nodes. */
export function transportsOf(nodes) {
  const sums = new Map();
  for (const { transports, rates } of nodes) {
    for (const [name, { open }] of Object.entries(transports)) {
      const sum = sums.get(name) ?? { name, open: 0, requests: null, in: null, out: null };
      sums.set(name, sum);
      sum.open += open;
      for (const each of rates ? ["requests", "in", "out"] : []) {
        sum[each] += rates.transports[name][each];
      }
    }
  }
  return [...sums.values()].sort((a, b) => b.open - a.open || (a.name < b.name ? -1 : 1));
}
