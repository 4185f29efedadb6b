/**
 * The transports.  Each is a function that begins to read for a link, and may return
 * a function that ends that.  It gives the link what the server sends, and tells it
 * when the connection is lost.
 */

import { request, random, sleep, TEMPORARY } from "./requests.js";
import { without } from "./standing.js";

/**
 * @typedef {import("./link.js").Link} Link
 * @typedef {import("./standing.js").Names} Names
 * @typedef {{ ok?: any, error?: import("./requests.js").Failure }} Reply
 */

// How many characters a forever frame, which keeps all it has read, may read.
const MOST_READ = 1e6;

/**
 * Make one poll.
 *
 * @callback Poll
 * @param {Link} link
 * @param {string} [transport]
 * @param {number} [wait] for how many seconds it may be held
 * @returns {Promise<any>} the body
 */

/** @type {Poll} */
export const poll = async (link, transport = "poll", wait = 0) =>
  (await request(link.readingOf(transport, { wait }, true), link)).json();

/** @type {Poll} */
const load = (link, transport = "", wait) =>
  new Promise((done, failed) => {
    const script = document.createElement("script");
    const callback = `comet_${random()}`;
    /** @type {any} */
    const page = window;
    page[callback] = done;
    script.onload = script.onerror = () => {
      script.remove();
      delete page[callback];
      failed();
    };
    // The server asks for a proof of the page's origin, whatever the page's own policy is.
    script.referrerPolicy = "origin";
    script.src = link.readingOf(transport, { callback, wait });
    document.head.append(script);
  });

/**
 * A connection broke of which the browser does not say why.  If it has never worked, the server
 * may have refused it, and says why in a response that a page can read.
 *
 * @param {Link} link
 */
const broken = (link) => {
  if (link.isOpen) link.failed();
  else poll(link).then(link.failed, link.failed);
};

/**
 * @param {string} transport
 * @param {Poll} ask
 * @returns {(link: Link) => void}
 */
const polling = (transport, ask) => (link) => {
  (async () => {
    for (let wait = 0; !link.signal.aborted; ) {
      const body = await ask(link, transport, wait);
      link.hear(body);
      // The first poll is not held, since it resolves where all names begin: messages between two
      // polls are not lost.
      if (transport != "poll") wait = link.owner.settings.heartbeat;
      else if (!body.more) await sleep(link.owner.settings.interval);
    }
  })().catch((error) => (error ? link.failed(error) : broken(link)));
};

/** @type {Record<string, (link: Link) => (() => void) | void>} */
export const TRANSPORTS = {
  websocket(link) {
    const { owner } = link;
    const url = owner.urlOf("socket", {}, true).replace(/^http/, "ws");
    const socket = new WebSocket(url, "comet.v1");
    /** @type {Record<number, ((reply: Reply) => void) | undefined>} */
    const answers = {};
    /** @type {Names} */
    let asked = new Map();
    let last = 0;
    /** @type {typeof link.command & {}} */
    const command = (json, answered) => {
      answers[++last] = answered;
      socket.send(`{"id":${last},${json.slice(1)}`);
    };
    link.command = command;
    /** @param {Names} names */
    const subscribe = (names) => {
      const json = JSON.stringify({
        subscribe: [...names.keys()],
        since: owner.standing.places(names),
      });
      command(json, ({ ok, error }) => {
        if (ok) link.hear(ok, "", names);
        // The server takes all names or none: ask for each.
        else if (names.size > 1) names.forEach((it, name) => subscribe(new Map([[name, it]])));
        else owner.refused(link, /** @type {any} */ (error), names);
      });
    };
    link.update = () => {
      const names = owner.standing.subscribed;
      const gone = [...without(asked, names).keys()];
      const fresh = without(names, asked);
      asked = new Map(names);
      gone.forEach((name) => link.held.delete(name));
      if (gone[0]) command(JSON.stringify({ unsubscribe: gone }));
      if (fresh.size) subscribe(fresh);
    };
    const update = link.update;
    // Browsers can set no header there, and a key in the URL would be in the logs.
    const show = () => {
      const { headers, word: token } = owner.credential;
      command(JSON.stringify({ token }), ({ error }) => {
        if (!error) link.headers = headers;
        else if (link.isOpen) owner.renew(link);
        else link.failed({ ...error, isFinal: !TEMPORARY.test(error.code) });
      });
    };
    link.show = show;
    socket.onopen = () => {
      if (owner.credential.word) show();
      update();
    };
    socket.onmessage = ({ data }) => {
      // A reply begins with its id, or with its error.
      if (/^{"c/.test(data)) link.hear(data);
      else {
        const reply = JSON.parse(data);
        answers[reply.id]?.(reply);
        delete answers[reply.id];
      }
    };
    // Without a handler of errors, the package ws for Node.js ends the program.
    socket.onerror = socket.onclose = link.failed;
    return () => socket.close();
  },

  sse(link) {
    const url = link.readingOf("sse", { envelope: 1, unnamed: 1 });
    const source = new EventSource(url, { withCredentials: link.credentials == "include" });
    source.onmessage = ({ data, lastEventId }) => link.hear(data, lastEventId);
    source.onerror = () => broken(link);
    return () => source.close();
  },

  stream(link) {
    const url = link.readingOf("stream", {}, true);
    let rest = "";
    const heard = (/** @type {string} */ text) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      lines.forEach((line) => link.hear(line));
    };
    request(url, link)
      .then(async (/** @type {any} */ { body }) => {
        const reader = body.pipeThrough(new TextDecoderStream()).getReader();
        for (let part; !(part = await reader.read()).done; ) heard(part.value);
      })
      .then(link.failed, link.failed);
  },

  longpoll: polling("longpoll", poll),

  jsonp: polling("jsonp", load),

  iframe(link) {
    const frame = document.createElement("iframe");
    let read = 0;
    const heard = (/** @type {MessageEvent} */ { source, data }) => {
      if (source != frame.contentWindow) return;
      link.hear(data);
      // The memory that a small message takes in a page.
      if ((read += 500) > MOST_READ) link.owner.renew(link);
    };
    addEventListener("message", heard, link);
    frame.hidden = true;
    // The last message may come after it.
    frame.onload = () => setTimeout(broken, 100, link);
    frame.src = link.readingOf("iframe", { origin: location.origin });
    // Not every browser tells that a frame could not be loaded.  A page whose policy forbids this
    // request has time to hear from its frame.
    poll(link).catch((why) => setTimeout(() => link.heardAt || link.failed(why), 1000));
    document.documentElement.append(frame);
    return () => frame.remove();
  },

  poll: polling("poll", poll),
};
