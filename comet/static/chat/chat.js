/**
 * A chat of several rooms, each a channel.  The calls of comet are in `join`, in the
 * form's `submit`, and in the handlers of the connection's events.
 */

import { Comet } from "../comet.js";

const ROOMS = ["lobby", "kitchen", "garden"];

/** How many earlier messages a visitor sees. */
const HISTORY = 50;

const comet = new Comet(new URL("../", import.meta.url), { parameters: { time: 1 } });
const list = document.getElementById("messages");
const status = document.getElementById("status");
const form = document.getElementById("say");
const clock = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit" });

/** The rooms that were joined: `{ lines, unread, link }` by their names. */
const rooms = new Map();
let current;

// -- Rooms

function join(name) {
  const room = { lines: [], unread: 0, link: document.createElement("a") };
  room.link.href = `#${encodeURIComponent(name)}`;
  document.getElementById("rooms").append(room.link);
  rooms.set(name, room);
  showLink(name);

  // The last messages first, and then each new one, also after an interruption.
  const heard = ({ data, time }) => add(name, makeLine(data, time));
  comet.subscribe(`chat/${name}`, heard, { since: `-${HISTORY}` }).catch(refused);
}

function enter(name) {
  if (!rooms.has(name)) join(name);
  const before = current;
  current = name;
  const room = rooms.get(name);
  room.unread = 0;
  for (const each of [before, name]) if (each) showLink(each);
  document.getElementById("room").textContent = name;
  list.replaceChildren(...room.lines);
  list.scrollTop = list.scrollHeight;
}

function showLink(name) {
  const { link, unread } = rooms.get(name);
  link.textContent = unread ? `${name} (${unread})` : name;
  if (name === current) link.setAttribute("aria-current", "page");
  else link.removeAttribute("aria-current");
}

// -- Messages

/** What people send is only ever text: `textContent`, never `innerHTML`. */
function makeLine(data, time) {
  const line = document.createElement("li");
  const parts = { time: clock.format(time * 1000), b: data?.name ?? "?", span: data?.text ?? data };
  for (const [tag, value] of Object.entries(parts)) {
    const part = document.createElement(tag);
    part.textContent = typeof value === "string" ? value : JSON.stringify(value);
    line.append(part, " ");
  }
  return line;
}

function makeNote(text) {
  const line = document.createElement("li");
  line.className = "note";
  line.textContent = text;
  return line;
}

function add(name, line) {
  const room = rooms.get(name);
  room.lines.push(line);
  if (name !== current) {
    room.unread += 1;
    showLink(name);
    return;
  }
  const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  list.append(line);
  if (isAtEnd) list.scrollTop = list.scrollHeight;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const { name, text } = form.elements;
  localStorage.setItem("chat-name", name.value);
  // Without a connection the message waits, and is stored once.
  comet.publish(`chat/${current}`, { name: name.value, text: text.value }).catch(refused);
  text.value = "";
  text.focus();
});

// -- The connection

function refused(error) {
  status.textContent =
    error.code === "unauthorized"
      ? "You may not publish here: start the server with twistd -n comet --demo"
      : error.message;
}

comet.addEventListener("open", () => (status.textContent = ""));

comet.addEventListener("close", ({ retry }) => {
  status.textContent = retry === null ? "Disconnected." : "Disconnected; coming back …";
});

// The server has dropped messages meanwhile: it restarted, or this page was away for long.
comet.addEventListener("gap", ({ names }) => {
  for (const name of names) {
    add(name.slice("chat/".length), makeNote("Something may be missing here."));
  }
});

// -- The beginning

function enterHash() {
  enter(decodeURIComponent(location.hash.slice(1)) || ROOMS[0]);
}

form.elements.name.value = localStorage.getItem("chat-name") ?? "";
for (const name of ROOMS) join(name);
addEventListener("hashchange", enterHash);
enterHash();
