/**
 * A chat of several rooms, each a channel.  The calls of comet are in `join`, in
 * `say`, in people.js, and in the handlers of the connection's events.
 */

import { Comet } from "../comet.js";
import { People } from "./people.js";
import { Room } from "./room.js";

const ROOMS = ["lobby", "kitchen", "garden"];

/** How many earlier messages a visitor sees. */
const HISTORY = 50;

/** Pixels from the end at which a reader still follows the talk. */
const NEAR = 40;

const base = new URL("../", import.meta.url);
const comet = new Comet(base, { parameters: { time: 1 } });
const log = document.getElementById("log");
const list = document.getElementById("messages");
const below = document.getElementById("below");
const form = document.getElementById("say");

/** The rooms that were joined, by their names. */
const rooms = new Map();
let current;
/** Whether the visitor reads the newest lines, and the frame that will show them. */
let follows = true;
let frame = 0;
/** Whether the server was asked for older lines. */
let isAsking = false;
/** Who is in the room, where the server knows it. */
let people;

// -- Rooms

function join(name) {
  const room = new Room(name);
  document.getElementById("rooms").append(room.link);
  rooms.set(name, room);

  // The last messages first, and then each new one, also after an interruption.
  const heard = (message) => {
    const isOwn = message.data?.id?.startsWith?.(visit);
    if (room !== current && !isOwn) room.unread += 1;
    show(room, room.add(message));
  };
  comet.subscribe(`chat/${name}`, heard, { since: `-${HISTORY}` }).catch(tell);
  return room;
}

function enter(name) {
  const before = current;
  current = rooms.get(name) ?? join(name);
  current.unread = 0;
  before?.showLink(false);
  current.showLink(true);
  document.getElementById("room").textContent = name;
  list.replaceChildren(...current.lines);
  showEmpty();
  toEnd();
  people?.enter(name);
}

/** Show a new line of a room, if it is the one that the visitor is in. */
function show(room, line) {
  room.showLink(room === current);
  if (room !== current) return;
  // What waits stays below what is published.
  list.insertBefore(line, line.className === "waiting" ? null : room.firstWaiting);
  showEmpty();
  if (follows) follow();
  else below.hidden = false;
}

/** Scroll to the end, once for all lines that come together. */
function follow() {
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    toEnd();
  });
}

function showEmpty() {
  document.getElementById("empty").hidden = list.childElementCount > 0;
}

function isAtEnd() {
  return log.scrollHeight - log.scrollTop - log.clientHeight < NEAR;
}

function toEnd() {
  follows = true;
  log.scrollTop = log.scrollHeight;
  below.hidden = true;
}

below.addEventListener("click", () => {
  toEnd();
  log.focus();
});

log.addEventListener("scroll", () => {
  follows = isAtEnd();
  if (follows) below.hidden = true;
  if (!follows && log.scrollTop < NEAR) showOlder(current);
});

/** Show what was before the first line, above it, while the visitor reads on where they are. */
async function showOlder(room) {
  const before = room.oldest;
  if (!before || isAsking) return;
  isAsking = true;
  try {
    const page = await comet.history(`chat/${room.name}`, { before });
    // Otherwise the first lines were dropped meanwhile.
    const lines = room.oldest === before ? room.addOlder(page) : [];
    if (room !== current) return;
    const fromEnd = log.scrollHeight - log.scrollTop;
    list.prepend(...lines);
    log.scrollTop = log.scrollHeight - fromEnd;
  } catch (error) {
    tell(error);
  } finally {
    isAsking = false;
  }
}

// -- What the visitor says

/** With it, this page knows its own messages. */
const visit = crypto.getRandomValues(new Uint32Array(2)).join("-");
let said = 0;
/** How many of its messages are not stored yet. */
let waiting = 0;

function say(name, text) {
  const room = current;
  const data = { name, text, id: `${visit}-${++said}` };
  follows = true;
  show(room, room.wait(data));
  waiting += 1;
  // Without a connection the message waits, and is stored once.
  comet
    .publish(`chat/${room.name}`, data)
    .catch((error) => {
      room.refused(data, error.code === "full" ? "too many wait already" : error.message);
      if (room === current) list.replaceChildren(...room.lines);
    })
    .finally(() => {
      waiting -= 1;
      introduce();
    });
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const { name, text } = form.elements;
  rename();
  say(name.value, text.value);
  text.value = "";
  text.focus();
});

// -- The visitor's name

/** The name that the visitor has typed, and the one by which the server knows them. */
let myName = "";
let knownName = "";

/** The server believes the name in this cookie; your own would go by its sessions. */
function rename() {
  myName = form.elements.name.value.trim();
  localStorage.setItem("chat-name", myName);
  const path = `path=${base.pathname}; SameSite=Strict`;
  // A pair of surrogates may have been cut at the field's end.
  const value = encodeURIComponent(myName.replace(/[\ud800-\udfff]/gu, ""));
  document.cookie = `comet_visitor=${value}; ${path}${value ? "" : "; max-age=0"}`;
  introduce();
}

/** Connect by the name: the server asks who a visitor is only then.  What waits is stored first. */
function introduce() {
  if (!people || waiting || myName === knownName) return;
  knownName = people.me = myName;
  comet.close();
  comet.connect();
  people.enter(current.name);
}

form.elements.name.addEventListener("change", rename);

// -- The connection

const connection = document.getElementById("connection");

function showConnection(state, text) {
  connection.dataset.state = state;
  if (connection.textContent !== text) connection.textContent = text;
}

function tell({ code, message }) {
  // It is closed only for a moment, to take another name.
  if (code !== "closed") document.getElementById("status").textContent = message;
}

comet.addEventListener("open", () => showConnection("open", "Connected"));

comet.addEventListener("close", ({ code, retry }) => {
  if (code === "closed") return;
  showConnection("lost", retry === null ? "Disconnected" : "Disconnected, coming back …");
});

// The server has dropped messages meanwhile: it restarted, or this page was away for long.
comet.addEventListener("gap", ({ names }) => {
  for (const name of names) {
    // That of who is there is asked for again.
    const room = rooms.get(name.replace(/^chat\//, ""));
    if (room) show(room, room.note("Something may be missing here."));
  }
});

// -- The beginning

function enterHash() {
  enter(decodeURIComponent(location.hash.slice(1)) || ROOMS[0]);
}

/** Let the visitor write, if this server lets anyone do so; and show who is there, if it knows. */
async function begin() {
  const { open: isOpen, presence } = await (await fetch(new URL("chat/state", base))).json();
  document.getElementById("closed").hidden = isOpen;
  document.getElementById("invitation").hidden = !isOpen;
  for (const each of form.elements) each.disabled = !isOpen;
  if (!presence) return;
  const note = (name, text) => show(rooms.get(name), rooms.get(name).note(text, "coming"));
  people = new People(comet, document.getElementById("present"), note);
  people.me = knownName;
  people.enter(current.name);
  // The visitor may have typed another meanwhile.
  introduce();
}

form.elements.name.value = localStorage.getItem("chat-name") ?? "";
rename();
knownName = myName;
for (const name of ROOMS) join(name);
addEventListener("hashchange", enterHash);
enterHash();
begin().catch(() => showConnection("lost", "The server does not answer. Reload when it does."));
