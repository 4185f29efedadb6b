/**
 * The options of the client, and where it runs: in a page, in a worker, in Node.js,
 * or on a server that renders pages.
 */

/**
 * @typedef {import("../comet.d.ts").CometOptions} Given
 * @typedef {Required<Omit<Given, "token">> & { token?: any }} Options
 */

// The URL of this script.
const HERE = import.meta.url;

// To this, the URL of a page is relative while the page is rendered on a server: no name
// there ever resolves.
const NOWHERE = "http://rendering.invalid/";

// The transports that need more than fetch, and what they need.
const NEEDS = { websocket: "WebSocket", sse: "EventSource", jsonp: "document", iframe: "document" };

/** @type {import("../comet.d.ts").Transport[]} */
const ALL = ["websocket", "sse", "stream", "longpoll", "jsonp", "iframe", "poll"];

/** @type {Record<string, any>} */
const DEFAULTS = {
  transports: ALL,
  token: undefined,
  credentials: "same-origin",
  shared: false,
  store: undefined,
  parameters: undefined,
  heartbeat: 25,
  timeout: 5,
  interval: 3,
  backoff: [1, 30],
  upgrade: 300,
  queue: 100,
};

/**
 * Refuse names that are no options: with a typing error an option would have no effect.
 *
 * @param {object} given
 * @param {string[]} known
 * @throws {TypeError}
 */
export const checkNames = (given, known) => {
  for (const name in given)
    if (!known.includes(name)) throw new TypeError(`no option "${name}"; there are ${known}`);
};

/**
 * Check the options, add the defaults, and leave out the transports that do not exist here.
 *
 * @param {Record<string, any>} [given]
 * @returns {Options}
 * @throws {TypeError} If a name or a value is not valid.
 */
export const readOptions = (given = {}) => {
  checkNames(given, Object.keys(DEFAULTS));
  const options = { ...DEFAULTS };
  const isTransport = (/** @type {any} */ each) => ALL.includes(each);
  for (const name in given) {
    const value = given[name];
    if (value === undefined) continue;
    if (
      (typeof DEFAULTS[name] == "number" && !(value > 0)) ||
      (name == "backoff" && !(value[0] > 0 && value[1] > 0)) ||
      (name == "credentials" && !/^(same-origin|include|omit)$/.test(value)) ||
      (name == "transports" && !(value[0] && value.every(isTransport)))
    )
      throw new TypeError(`bad option ${name}: ${value}`);
    options[name] = value;
  }
  options.transports = options.transports.filter(
    (/** @type {keyof NEEDS} */ each) =>
      !NEEDS[each] || (NEEDS[each] in globalThis && options.credentials != "omit"),
  );
  if (!options.transports[0]) throw new TypeError("no transport works here");
  return /** @type {any} */ (options);
};

/**
 * Make the whole URL of the server, with a slash at the end.
 *
 * @param {string | URL | null} [url] by default that of the server that served this script
 * @throws {TypeError} If it is not the URL of a server.
 */
export const serverURL = (url) => {
  // Where the script is of a server of comet, and no other is named.
  const isOwn =
    !url && /^http(?!.*\/node_modules\/).*\/comet(\.[\w-]+)?\.js([?#]|$)/.test(HERE);
  const base = globalThis.document?.baseURI ?? globalThis.location?.href ?? NOWHERE;
  const { href } = new URL(isOwn ? "." : url || "no:", isOwn ? HERE : base);
  const server = href.replace(/\/?([?#].*)?$/, "/");
  // Below the URL of a channel every path names another channel: nothing would ever be heard.
  if (!isOwn && !/^http(?!.*\/channels\/)/.test(server))
    throw new TypeError('name the server: new Comet("https://host")');
  return server;
};

/**
 * Check a start position.
 *
 * @param {unknown} since
 * @returns {string}
 * @throws {TypeError}
 */
export const readSince = (since) => {
  const text = String(since);
  if (!/^(now|earliest|-[1-9]\d*|[^\W_]{1,32}-\d{1,19})$/.test(text))
    throw new TypeError(`since: "${text}" is not a cursor, now, earliest, or -N`);
  return text;
};

/**
 * What a store holds for a server, such as localStorage.
 *
 * @param {Options} options
 * @param {string} key
 * @returns {Record<string, string>} the position of each name
 */
export const load = ({ store }, key) => {
  try {
    const saved = JSON.parse(store.getItem(key) ?? "{}");
    return Object.fromEntries(Object.entries(saved).filter(([, at]) => readSince(at)));
  } catch {
    // It is not there, may not be used, or holds what is not the client's.
    return {};
  }
};
