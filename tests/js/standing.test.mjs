import assert from "node:assert/strict";
import test from "node:test";
import { world } from "./globals.mjs";
import { Standing } from "../../comet/static/client/src/standing.js";

/** A client that records its messages. */
class Reader {
  standing = new Standing();
  held = new Map();
  heard = [];

  read(name, since = "now") {
    const it = this.standing.add(name, since);
    const heard = (message) => this.heard.push(`${name}:${message.data}`);
    it.handlers.set(heard, heard);
    return it;
  }

  /** Open another connection for all names. */
  connect(cursor, more) {
    const asked = this.standing.places(this.standing.subscribed);
    this.held = new Map();
    this.take({ cursor, ...more }, new Map(this.standing.subscribed));
    return asked;
  }

  take(value, begun) {
    this.standing.take(this.held, value, begun);
  }

  message(channel, position, more) {
    this.take({ channel, cursor: `e-${position}`, data: position, ...more });
  }

  /** The query with which the next connection would begin. */
  get places() {
    return this.standing.places(this.standing.subscribed);
  }

  drain() {
    return this.heard.splice(0);
  }
}

test("a message that arrives twice is delivered once", () => {
  const reader = new Reader();
  reader.read("a");
  assert.deepEqual(reader.connect("e-5"), { a: "now" });
  for (const position of [6, 7, 7, 6, 8]) reader.message("a", position);
  assert.deepEqual(reader.drain(), ["a:6", "a:7", "a:8"]);
  assert.deepEqual(reader.connect("e-7"), { a: "e-8" });
  for (const position of [8, 9]) reader.message("a", position);
  assert.deepEqual(reader.drain(), ["a:9"]);
});

test("a bare cursor moves the position", () => {
  const reader = new Reader();
  reader.read("a");
  reader.connect("e-5");
  reader.take({ cursor: "e-9" });
  assert.equal(reader.standing.cursor, "e-9");
  reader.message("a", 8);
  assert.deepEqual(reader.drain(), []);
});

test("a client that is cut in a replay resumes each name at its own position", () => {
  const reader = new Reader();
  reader.read("a");
  reader.read("b", "e-2");
  assert.deepEqual(reader.connect("e-10"), { a: "now", b: "e-2" });
  assert.deepEqual(reader.places, { a: "e-10", b: "e-2" });
  reader.message("b", 4, { replay: true });
  assert.equal(reader.standing.cursor, "e-10");
  assert.deepEqual(reader.connect("e-10"), { a: "e-10", b: "e-4" });
  reader.message("b", 4, { replay: true });
  reader.message("b", 6, { replay: true });
  reader.take({ cursor: "e-10" });
  assert.deepEqual(reader.places, { a: "e-10", b: "e-10" });
  reader.message("a", 11);
  assert.deepEqual(reader.drain(), ["b:4", "b:6", "a:11"]);
});

test("a replay goes to the names that are behind, and moves all of them", () => {
  const reader = new Reader();
  reader.read("a/*", "e-3");
  reader.read("a/b", "e-6");
  reader.read("**");
  reader.connect("e-10");
  reader.message("a/b", 5, { replay: true });
  assert.deepEqual(reader.places, { "a/*": "e-5", "a/b": "e-6", "**": "e-10" });
  reader.message("a/b", 7, { replay: true });
  assert.deepEqual(reader.places, { "a/*": "e-7", "a/b": "e-7", "**": "e-10" });
  assert.deepEqual(reader.drain(), ["a/*:5", "a/*:7", "a/b:7"]);
});

test("a handler that several names reach is called once for a message", () => {
  const reader = new Reader();
  const handler = ({ data }) => reader.heard.push(data);
  for (const name of ["a/*", "a/b"]) reader.standing.add(name, "now").handlers.set(handler, handler);
  reader.connect("e-1");
  reader.message("a/b", 2);
  assert.deepEqual(reader.drain(), [2]);
});

test("a name that begins behind a jump forward still gets its messages, as a replay", () => {
  const reader = new Reader();
  reader.read("a");
  reader.connect("e-5");
  reader.message("a", 6);
  reader.read("b");
  // The server begins at the position of b.
  assert.deepEqual(reader.connect("e-20"), { a: "e-6", b: "now" });
  assert.deepEqual(reader.places, { a: "e-6", b: "e-20" });
  reader.message("a", 7, { replay: true });
  reader.message("b", 21);
  assert.deepEqual(reader.drain(), ["a:6", "a:7", "b:21"]);
});

test("a connection that begins further back repeats no message", () => {
  const reader = new Reader();
  reader.read("a");
  reader.connect("e-5");
  const slow = new Map(reader.standing.subscribed);
  reader.message("a", 6);
  reader.message("a", 7);
  const it = reader.read("b");
  reader.held = new Map();
  reader.take({ cursor: "e-5" }, new Map([...slow, ["b", it]]));
  for (const position of [6, 7, 8]) reader.message("a", position);
  reader.message("b", 9);
  assert.deepEqual(reader.drain(), ["a:6", "a:7", "a:8", "b:9"]);
});

test("a name that the connection does not carry yet keeps its position", () => {
  const reader = new Reader();
  reader.read("a");
  reader.connect("e-5");
  reader.read("b", "-3");
  reader.message("a", 6);
  reader.take({ cursor: "e-7" });
  assert.deepEqual(reader.places, { a: "e-7", b: "-3" });
  reader.message("b", 8);
  assert.deepEqual(reader.drain(), ["a:6"]);
});

test("a resolved start is adopted when the server reports it, or could have", async (context) => {
  world.begin();
  context.after(() => world.end());
  const reader = new Reader();
  reader.read("a");
  reader.read("b", "-3");
  reader.connect("e-9");
  assert.deepEqual(reader.places, { a: "e-9", b: "-3" });
  reader.message("b", 4, { replay: true });
  assert.deepEqual(reader.places, { a: "e-9", b: "e-4" });
  reader.read("c", "earliest");
  reader.connect("e-9");
  await world.pass(3);
  assert.deepEqual(reader.places, { a: "e-9", b: "e-4", c: "e-9" });
  // A late message is delivered even then.
  reader.message("c", 2, { replay: true });
  assert.deepEqual(reader.drain(), ["b:4", "c:2"]);
});

test("a new epoch discards all positions", () => {
  const reader = new Reader();
  reader.read("a");
  reader.read("b", "f-2");
  reader.connect("e-90");
  reader.take({ cursor: "f-0", gap: ["a", "b"] });
  assert.deepEqual(reader.places, { a: "earliest", b: "f-2" });
  reader.message("a", 1, { cursor: "f-1" });
  reader.message("b", 2, { cursor: "f-2" });
  reader.message("b", 3, { cursor: "f-3" });
  assert.deepEqual(reader.drain(), ["a:1", "b:3"]);
  assert.deepEqual(reader.places, { a: "f-3", b: "f-3" });
});

test("a body moves all names, and one that ends in a replay only those that are behind", () => {
  const reader = new Reader();
  const late = reader.read("b", "e-2");
  reader.read("a");
  reader.held = new Map(reader.standing.subscribed);
  const b = (position) => ({ channel: "b", cursor: `e-${position}`, data: position, replay: true });
  reader.take({ cursor: "e-9", messages: [] });
  assert.equal(late.at, null);
  late.at = 3;
  reader.take({ cursor: "e-6", messages: [b(3), b(4), b(6)], more: true });
  assert.deepEqual(reader.places, { b: "e-6", a: "e-9" });
  reader.take({ cursor: "e-12", messages: [b(8), { channel: "a", cursor: "e-11", data: 11 }] });
  assert.deepEqual(reader.places, { b: "e-12", a: "e-12" });
  assert.deepEqual(reader.drain(), ["b:4", "b:6", "b:8", "a:11"]);
});

test("a replay for one name does not reach another name that begins now", () => {
  const reader = new Reader();
  reader.read("a/b");
  reader.read("a/*", "e-2");
  reader.held = new Map(reader.standing.subscribed);
  const old = { channel: "a/b", cursor: "e-4", data: 4, replay: true };
  reader.take({ cursor: "e-9", messages: [old] });
  assert.deepEqual(reader.drain(), ["a/*:4"]);
});

test("a name that begins on an open connection moves all others to its position", () => {
  const reader = new Reader();
  reader.read("a");
  reader.connect("e-5");
  const it = reader.read("b");
  reader.take({ cursor: "e-9" }, new Map([["b", it]]));
  assert.deepEqual(reader.places, { a: "e-9", b: "e-9" });
});

test("isBehind says whether messages before a cursor were missed", () => {
  const reader = new Reader();
  assert.ok(reader.standing.isBehind("e-0"));
  reader.read("a");
  reader.connect("e-5");
  assert.deepEqual(
    ["e-4", "e-5", "e-6", "f-1"].map((cursor) => reader.standing.isBehind(cursor)),
    [false, false, true, true],
  );
});

/** A seeded generator of random numbers. */
const random = (seed) => () => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return seed / 2 ** 32;
};

/** The envelopes that the server writes for names that begin at these positions. */
function* stream(log, places) {
  const names = Object.keys(places);
  const cursor = Math.max(...Object.values(places));
  yield { cursor: `e-${cursor}` };
  for (const message of log.slice(0, cursor))
    if (message.data > places[message.channel]) yield { ...message, replay: true };
  if (names.some((name) => places[name] < cursor)) yield { cursor: `e-${cursor}` };
  for (const message of log.slice(cursor)) if (names.includes(message.channel)) yield message;
  yield { cursor: `e-${log.length}` };
}

test("wherever connections are cut, each message is delivered once and in order", () => {
  for (let seed = 1; seed <= 2000; seed++) {
    const next = random(seed);
    const pick = (count) => Math.floor(next() * count);
    const reader = new Reader();
    const log = [];
    const begun = {};
    let old = [];
    const take = (envelopes, count) => {
      for (const [value, names] of envelopes.splice(0, count)) reader.take(value, names);
    };
    for (let round = 0; round < 12; round++) {
      for (let count = pick(5); count; count--) {
        const data = log.length + 1;
        log.push({ channel: "abc"[pick(3)], cursor: `e-${data}`, data });
      }
      const name = "abc"[pick(3)];
      if (!(name in begun)) {
        begun[name] = pick(2) ? log.length : pick(log.length + 1);
        reader.read(name, `e-${begun[name]}`);
      }
      const names = new Map(reader.standing.subscribed);
      const asked = Object.entries(reader.standing.places(names));
      const places = Object.fromEntries(asked.map(([each, at]) => [each, +at.split("-")[1]]));
      // Until the new connection is open, the old one may still bring messages.
      if (pick(2)) take(old, pick(old.length + 1));
      reader.held = new Map();
      old = [...stream(log, places)].map((value, index) => [value, index ? undefined : names]);
      take(old, round === 11 ? old.length : pick(old.length + 1));
    }
    for (const [name, from] of Object.entries(begun))
      assert.deepEqual(
        reader.heard.filter((each) => each.startsWith(name)),
        log
          .filter(({ channel, data }) => channel === name && data > from)
          .map(({ data }) => `${name}:${data}`),
        `seed ${seed}`,
      );
  }
});
