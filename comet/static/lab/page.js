/**
 * The lab page: all techniques on one channel, and what they cost.
 */

import { Comet } from "../comet.js";
import { fillIn, makeCopyable } from "./code.js";
import { Costs } from "./costs.js";
import { Total } from "./count.js";
import { Link } from "./link.js";
import { Publisher } from "./publisher.js";
import { Row } from "./row.js";
import { SEATS, Seats } from "./seats.js";
import { TCPLink } from "./tcp.js";
import * as techniques from "./techniques.js";

const NAMES = [
  ...["poll", "longpoll", "jsonp"],
  ...["stream", "sse", "multipart", "iframe"],
  ...["websocket", "tcp"],
];

/** These keep one of the browser's few connections for long. */
const HOLDS = new Set(["longpoll", "stream", "sse", "multipart", "iframe"]);

/** For how many milliseconds it is told what has happened. */
const TOLD = 15_000;

const base = new URL("../", import.meta.url);
const visit = crypto.getRandomValues(new Uint32Array(1))[0].toString(36);
const channel = `lab/${visit}`;
const account = `lab-${visit}`;

/** For all that is not measured: publishing, and the server's figures. */
const comet = new Comet(base, { transports: ["websocket", "longpoll"], backoff: [1, 4] });
const seats = new Seats();
const total = new Total();
const rows = NAMES.map((name) => new Row(name, total, switched));
const givesBack = new Map();
let isAsleep = document.hidden;
/** Whether the page's own connection is lost. */
let isLost = false;
/** The timer until what is told is taken away. */
let forgetting;

/** Show what has happened, for a while; what is still so stays. */
function tell(text) {
  document.getElementById("status").textContent = text;
  clearTimeout(forgetting);
  if (!isLost) forgetting = setTimeout(tell, TOLD, "");
}

// -- Which of them run

async function settle(row) {
  const { link } = row;
  const reason = row.isOn ? (isAsleep ? "asleep" : null) : "cut";
  if (reason) {
    if (link.state !== reason) link.stop(reason);
    giveBack(row);
  } else if (!link.isRunning && (await hasSeat(row))) {
    link.start();
  } else if (!link.isRunning && link.state !== "waiting") {
    link.stop("waiting");
  } else {
    link.check();
  }
}

/** Whether it may run: it holds no connection for long, or there is one for it. */
async function hasSeat(row) {
  if (!HOLDS.has(row.name) || givesBack.has(row)) return true;
  if (row.isTaking) return false;
  row.isTaking = true;
  const give = await seats.take();
  row.isTaking = false;
  if (!give) return false;
  givesBack.set(row, give);
  // It may have been cut meanwhile.
  if (row.isOn && !isAsleep) return true;
  giveBack(row);
  return false;
}

function giveBack(row) {
  givesBack.get(row)?.();
  givesBack.delete(row);
}

function switched(row) {
  row.missed = row.isOn ? total.count - row.count.received : null;
  row.mendedAt = performance.now();
  tell(
    row.isOn
      ? `${row.label}: connects again.`
      : `${row.label}: cut off. What is published now reaches it later.`,
  );
  settle(row);
}

/** Whether a technique has got all that it missed while it was cut off. */
function tellCaughtUp(row) {
  if (!row.missed || row.count.received < total.count) return;
  tell(`${row.label}: back. ${row.missed} missed, all of them received, none lost.`);
  row.missed = null;
}

document.addEventListener("visibilitychange", () => {
  isAsleep = document.hidden;
  for (const row of rows) if (row.link) settle(row);
  // In the background nothing is drawn any more.
  for (const row of rows) row.draw();
});

addEventListener("pagehide", () => {
  for (const row of rows) row.link?.stop("asleep");
});

comet.addEventListener("close", () => {
  const wasLost = isLost;
  isLost = true;
  if (!wasLost) tell("The server does not answer. The page tries again until it does.");
  for (const row of rows) row.link?.serverLost();
});

comet.addEventListener("open", () => {
  const wasLost = isLost;
  isLost = false;
  if (wasLost) tell("The server is back.");
  for (const row of rows) row.link?.serverBack();
});

// -- What they hear

function heard(row, { cursor, data }, delay) {
  total.seen(cursor);
  if (row.count.heard(cursor)) {
    const isOwn = data?.visit === visit;
    const sentAt = isOwn ? total.sentAt(data.n) : undefined;
    if (delay === undefined) delay = sentAt === undefined ? null : performance.now() - sentAt;
    const isLate = sentAt !== undefined && sentAt < (row.mendedAt ?? 0);
    row.message(textOf(data), delay, isLate);
  }
  tellCaughtUp(row);
}

function textOf(data) {
  const text = data?.text ?? data;
  return typeof text === "string" ? text : JSON.stringify(text);
}

function makeLink(row, place) {
  const told = {
    changed: () => undefined,
    gap: () => row.gap(),
    message: (message, delay) => heard(row, message, delay),
    counted: (reader, traffic) => row.traffic.counted(reader, traffic),
  };
  if (row.name === "tcp") return new TCPLink(comet, row.lane, place, told);
  return new Link(techniques[row.name], row.lane, place, told);
}

// -- What they cost

function counted({ node, transports }) {
  for (const row of rows) {
    const traffic = transports[row.name];
    if (traffic && row.name !== "tcp") row.traffic.counted(node, traffic);
  }
}

function tellSeats() {
  const used = rows.filter((row) => givesBack.has(row)).length;
  document.getElementById("seats").textContent = seats.isUnlimited
    ? "Your browser speaks HTTP/2 or later with this server: nothing here has to wait."
    : `At this moment ${used} of the ${SEATS + 1} are held by this tab, and one is left for the rest.`;
}

// -- The page

/** Link the book, which this server serves. */
function linkBook() {
  document.querySelector("#read a").href = new URL("book/", base);
  document.getElementById("read").hidden = false;
  document.getElementById("make").hidden = true;
}

async function begin() {
  const state = await (await fetch(new URL("lab/state", base))).json();
  const now = await fetch(new URL(`channels/${channel}?transport=poll`, base));
  const { cursor } = await now.json();
  const { open: isOpen, heartbeat } = state;
  const place = { base, channel, account, visit, cursor, isOpen, heartbeat };
  const costs = new Costs(rows);
  for (const row of rows) {
    row.link = makeLink(row, place);
    row.link.isCrowded = !seats.isUnlimited;
    await settle(row);
  }
  await comet.subscribe(`$stats/${account}`, ({ data }) => counted(data));
  if (state.book) linkBook();
  document.getElementById("steady").hidden = !isOpen;
  document.getElementById("closed").hidden = isOpen;
  if (isOpen) new Publisher(comet, channel, visit, total, tell).begin();
  setInterval(() => {
    for (const row of rows) settle(row);
    costs.note();
    tellSeats();
  }, 1000);
}

document.querySelector(".crowded").hidden = seats.isUnlimited;
fillIn(base, channel);
makeCopyable();
begin().catch(() => tell("The server does not answer. Reload the page when it does."));
