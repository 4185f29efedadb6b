/**
 * The admin page: asks for the key, and shows what all nodes do.
 *
 * The figures of comet's own stream, `$stats`, come every second, and let the page ask all
 * nodes; so it asks a server that is away no more often than the client reconnects.
 */

import { Comet } from "../comet.js";
import { forgetOrders, Orders } from "./orders.js";
import { Rates } from "./rates.js";
import { key, pathOf, Server } from "./server.js";
import { MOST } from "./table.js";
import { Views } from "./views.js";

/** Milliseconds: at least so long after one look the next begins; and at most, without the stream. */
const PACE = 1900;
const LONGEST = 5000;

/** A key goes by a header or a command, never in a URL. */
const TRANSPORTS = ["websocket", "stream", "longpoll", "poll"];

const base = new URL("../", import.meta.url);
const find = (id) => document.getElementById(id);
const server = new Server(base);
const orders = new Orders(server, () => look(true));
const views = new Views(orders, openChannel);

/** What is looked for in the channels and clients, and the channel that is shown. */
const wanted = { match: "", client: "", channel: null };
/** The stream, while there is a key. */
let comet = null;
let rates = new Rates();
/** When the last look began, and whether it is under way; another one is wanted then. */
let lookedAt = -Infinity;
let isLooking = false;
let isWanted = false;
/** Whether the server is asked about a key. */
let isEntering = false;

// -- Looking

/** Look at all that is shown. @param now Whether something has changed, which is shown at once. */
async function look(now = false) {
  if (!comet || document.hidden) return;
  isWanted ||= now && isLooking;
  if (isLooking || (!now && performance.now() - lookedAt < PACE)) return;
  isLooking = true;
  lookedAt = performance.now();
  const mine = comet;
  try {
    await Promise.all([
      show(mine, "nodes", server.get("nodes"), showNodes),
      showPart(mine, "channels", { match: wanted.match, limit: MOST }),
      showPart(mine, "clients", { client: wanted.client, limit: MOST }),
      showPart(mine, "revocations", { limit: MOST }),
      showChannel(mine),
    ]);
  } finally {
    isLooking = false;
  }
  if (!isWanted) return;
  isWanted = false;
  look(true);
}

/** Show an answer, unless the key was forgotten or what is wanted has changed meanwhile. */
async function show(mine, part, asked, view, isSo = () => true) {
  try {
    const answer = await asked;
    if (comet === mine && isSo()) view(answer);
  } catch (error) {
    if (comet !== mine || !isSo()) return;
    // A channel may be forbidden to every key.
    if (error.isOfKey && part === "nodes") leave(`The server refuses the key: ${error.message}.`);
    else if (part === "nodes") find("warning").textContent = `${error.message}.`;
    else if (error.code) views.refused(part, error);
    else throw error;
  }
}

function showPart(mine, part, query) {
  const { match, client } = wanted;
  const isSo = () => match === wanted.match && client === wanted.client;
  return show(mine, part, server.get(part, query), (answer) => views[part](answer), isSo);
}

function showNodes({ nodes, complete }) {
  views.nodes(rates.of(nodes), complete);
}

async function showChannel(mine) {
  const { channel } = wanted;
  if (channel === null) return;
  const asked = server.get(`channels/${pathOf(channel)}`, { limit: MOST });
  const view = (answer) => views.channel(answer);
  await show(mine, "channel", asked, view, () => wanted.channel === channel);
}

function openChannel(channel) {
  wanted.channel = channel;
  views.clearChannel();
  find("channel-title").textContent = `Channel ${channel}`;
  find("channel").hidden = false;
  find("channel-title").focus();
  look(true);
}

function shutChannel() {
  wanted.channel = null;
  find("channel").hidden = true;
}

// -- The key

async function enter(text) {
  // A second stream would stay when the key is forgotten.
  if (isEntering) return;
  find("refused").textContent = "";
  if (!/^[\x21-\x7e]+$/.test(text)) {
    find("refused").textContent = "A key has only letters, digits and signs of ASCII.";
    return;
  }
  key.set(text);
  isEntering = true;
  try {
    await server.get("nodes");
  } catch (error) {
    // After an interruption it may be tried again.
    if (error.isOfKey) key.forget();
    find("refused").textContent = `The server refuses it: ${error.message}.`;
    return;
  } finally {
    isEntering = false;
  }
  find("key").value = "";
  showFigures(true);
  find("main").focus();
  begin(text);
}

function begin(token) {
  comet = new Comet(base, { token, transports: TRANSPORTS });
  comet.addEventListener("open", () => {
    showConnection("open", "Connected");
    look();
  });
  comet.addEventListener("close", ({ code, retry }) => {
    if (code === "closed") return;
    showConnection("lost", retry === null ? "Disconnected" : "Disconnected, coming back …");
  });
  comet.subscribe("$stats", () => look()).catch(() => undefined);
  look(true);
}

/** Forget the key, and all that was shown with it. */
function leave(why) {
  key.forget();
  comet?.close();
  comet = null;
  rates = new Rates();
  shutChannel();
  views.clear();
  forgetOrders();
  showConnection("connecting", "Connecting …");
  Object.assign(wanted, { match: "", client: "" });
  find("match").reset();
  find("find").reset();
  showFigures(false);
  find("refused").textContent = why;
  find("key").focus();
}

/** Show what there is, or the question for the key. */
function showFigures(isIn) {
  find("enter").hidden = isIn;
  find("figures").hidden = find("parts").hidden = !isIn;
}

function showConnection(state, text) {
  const connection = find("connection");
  connection.dataset.state = state;
  if (connection.textContent !== text) connection.textContent = text;
}

// -- What the visitor does

function on(id, type, run) {
  find(id).addEventListener(type, (event) => {
    event.preventDefault();
    run();
  });
}

/** Do something with what a field has, or ask for it. */
function withField(id, run) {
  const field = find(id);
  if (field.value) run(field.value);
  else field.focus();
}

on("enter", "submit", () => enter(find("key").value.trim()));
on("leave", "click", () => leave(""));
on("match", "submit", () => {
  wanted.match = find("pattern").value;
  look(true);
});
on("open", "click", () => withField("pattern", openChannel));
on("find", "submit", () => {
  wanted.client = find("client").value;
  look(true);
});
on("disconnect", "click", () => withField("client", (client) => orders.disconnect(client)));
on("revoke", "click", () => withField("client", (client) => orders.revoke({ client })));
on("publish", "click", () => orders.publish(wanted.channel));
on("forget", "click", () => orders.forget(wanted.channel));
on("shut", "click", () => {
  shutChannel();
  find("pattern").focus();
});

// -- The beginning

// A page that is not seen asks for nothing.
document.addEventListener("visibilitychange", () => {
  if (!comet) return;
  if (document.hidden) comet.close();
  else {
    comet.connect();
    look(true);
  }
});

// A server that publishes no statistics may be one of an application.
setInterval(() => {
  if (performance.now() - lookedAt >= LONGEST) look();
}, 1000);

const kept = key.get();
if (kept) enter(kept);
