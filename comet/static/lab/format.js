/**
 * Numbers for people.
 */

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const exact = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

export const number = (value) => whole.format(value);

/** A number with three digits that count: 0.0123, 1.23, 123. */
export const ratio = (value) => (value >= 100 ? whole.format(value) : exact.format(value));

export function bytes(value) {
  if (value < 10_000) return `${whole.format(value)} B`;
  if (value < 10_000_000) return `${exact.format(value / 1000)} kB`;
  return `${exact.format(value / 1_000_000)} MB`;
}

export function milliseconds(value) {
  if (value < 10) return `${value.toFixed(1)} ms`;
  if (value < 1000) return `${whole.format(value)} ms`;
  return `${(value / 1000).toFixed(1)} s`;
}

/** A measured rate. */
export const rateOf = (perSecond) => exact.format(perSecond);

/** A rate in words. */
export function pace(perSecond) {
  if (perSecond === 0) return "none";
  if (perSecond === 1) return "one a second";
  return perSecond < 1 ? `one every ${whole.format(1 / perSecond)} s` : `${perSecond} a second`;
}
