import assert from "node:assert/strict";
import test, { afterEach, beforeEach } from "node:test";
import { FakeBroadcastChannel, requests, settle, sockets, world } from "./globals.mjs";
import { Comet } from "../../comet/static/client/src/comet.js";
// The client loads it later, and then it is there at once.
import "../../comet/static/client/src/tabs.js";

let tabs = [];

const open = (options) => {
  const tab = new Comet("http://a.example/", { transports: ["websocket"], shared: true, ...options });
  tab.heard = [];
  tab.gaps = [];
  tab.addEventListener("gap", ({ names }) => tab.gaps.push(names));
  tab.read = (name, since) =>
    tab.subscribe(name, ({ data }) => tab.heard.push(data), { since });
  tabs.push(tab);
  return tab;
};

const message = (position, more) =>
  ({ channel: "a", cursor: `e-${position}`, data: position, ...more });

/** Two tabs that read the same names.  The first leads. */
const pair = async () => {
  const leader = open();
  leader.read("a");
  await settle();
  sockets[0].begin("e-1");
  const guest = open();
  guest.read("a");
  await settle();
  requests[0].answer(200, { cursor: "e-1", messages: [] });
  await settle();
  return [leader, guest];
};

beforeEach(() => {
  sockets.length = requests.length = 0;
});

afterEach(async () => {
  tabs.forEach((tab) => tab.close());
  tabs = [];
  await settle();
});

test("one tab leads, and the others get its messages", async () => {
  const [leader, guest] = await pair();
  assert.equal(sockets.length, 1);
  assert.deepEqual([leader.transport, guest.transport], ["websocket", "shared"]);
  assert.deepEqual([leader.readyState, guest.readyState], [1, 1]);
  for (const position of [2, 3]) sockets[0].say(message(position));
  sockets[0].say({ cursor: "e-9" });
  await settle();
  assert.deepEqual([leader.heard, guest.heard], [[2, 3], [2, 3]]);
  assert.equal(guest.cursor, "e-9");
  assert.equal(requests.length, 1);
});

test("each tab gets the messages of its own subscriptions", async () => {
  const [leader, guest] = await pair();
  guest.read("b", "-3");
  await settle();
  const { id, subscribe } = sockets[0].sent.at(-1);
  assert.deepEqual(subscribe, ["b"]);
  // The tab asks for what it missed, once the leading tab has subscribed to the name.
  assert.equal(requests.length, 1);
  sockets[0].say({ id, ok: { cursor: "e-5" } });
  await settle();
  const { names, query } = requests[1];
  assert.deepEqual([names, query.transport, query["since.b"]], ["a,b", "poll", "-3"]);
  sockets[0].say(message(8, { channel: "b" }));
  await settle();
  requests[1].answer(200, {
    cursor: "e-6",
    messages: [message(3, { channel: "b", replay: true }), message(6)],
  });
  await settle();
  assert.equal(requests.length, 2);
  assert.deepEqual(guest.heard, [3, 6, 8]);
  assert.deepEqual(leader.heard, []);
  guest.unsubscribe("b");
  await settle();
  assert.deepEqual(sockets[0].sent.at(-1).unsubscribe, ["b"]);
});

test("a joining tab gets no message twice that arrived while it caught up", async () => {
  const [, guest] = await pair();
  const third = open();
  third.read("a", "earliest");
  await settle();
  sockets[0].say(message(2));
  sockets[0].say(message(3));
  await settle();
  requests[1].answer(200, { cursor: "e-2", messages: [message(1), message(2)] });
  await settle();
  assert.deepEqual([third.heard, guest.heard], [[1, 2, 3], [2, 3]]);
});

test("names subscribed to while a tab catches up are asked for, too", async () => {
  const [, guest] = await pair();
  guest.read("b");
  await settle();
  sockets[0].answer("subscribe", { ok: { cursor: "e-5" } });
  await settle();
  guest.read("c", "earliest");
  await settle();
  sockets[0].answer("subscribe", { ok: { cursor: "e-5" } });
  await settle();
  assert.deepEqual([requests.length, requests[1].names], [2, "a,b"]);
  requests[1].answer(200, { cursor: "e-5", messages: [] });
  await settle();
  assert.deepEqual([requests.length, requests[2].names], [3, "a,b,c"]);
  requests[2].answer(200, { cursor: "e-6", messages: [message(6, { channel: "c" })] });
  await settle();
  assert.deepEqual(guest.heard, [6]);
});

test("a joining tab that is refused a name reads the others at once", async () => {
  await pair();
  const third = open();
  const refused = third.read("secret").catch(({ code }) => code);
  third.read("a");
  await settle();
  sockets[0].answer("subscribe", { error: { code: "forbidden", message: "no" } });
  await settle();
  requests[1].answer(200, { cursor: "e-1", messages: [] });
  await settle();
  assert.equal(await refused, "forbidden");
  assert.deepEqual([third.readyState, third.transport], [1, "shared"]);
});

test("names that change before a joining tab is open are asked for, too", async () => {
  await pair();
  const third = open();
  third.read("b");
  await settle();
  third.read("c");
  await settle();
  sockets[0].answer("subscribe", { ok: { cursor: "e-1" } });
  await settle();
  sockets[0].answer("subscribe", { ok: { cursor: "e-1" } });
  await settle();
  assert.equal(requests[1].names, "b,c");
  requests[1].answer(200, { cursor: "e-1", messages: [] });
  await settle();
  assert.deepEqual([third.readyState, third.transport], [1, "shared"]);
});

test("a tab asks for messages that it has missed between two", async () => {
  const [, guest] = await pair();
  // The leading tab resumes further on, and gets a replay of what lies between.
  sockets[0].fail();
  const again = tabs[0];
  again.read("c");
  dispatchEvent(new Event("online"));
  await settle();
  sockets[1].begin("e-7");
  sockets[1].say(message(4, { replay: true }));
  sockets[1].say({ cursor: "e-7" });
  await settle();
  assert.deepEqual(again.heard, [4]);
  assert.equal(requests[1].query.since, "e-1");
  requests[1].answer(200, { cursor: "e-7", messages: [message(4)] });
  await settle();
  sockets[1].say(message(8));
  await settle();
  assert.deepEqual([again.heard, guest.heard], [[4, 8], [4, 8]]);
});

test("all tabs get the gap event", async () => {
  const [leader, guest] = await pair();
  sockets[0].say({ cursor: "e-5", gap: ["a"] });
  await settle();
  requests[1]?.answer(200, { cursor: "e-5", messages: [], gap: ["a"] });
  await settle();
  assert.deepEqual([leader.gaps, guest.gaps], [[["a"]], [["a"]]]);
});

test("when the leading tab goes, another takes over at its position", async () => {
  const [leader, guest] = await pair();
  const third = open();
  third.read("b");
  await settle();
  sockets[0].answer("subscribe", { ok: { cursor: "e-1" } });
  await settle();
  requests.at(-1).answer(200, { cursor: "e-1", messages: [] });
  sockets[0].say(message(2));
  await settle();
  leader.close();
  await settle();
  assert.ok(sockets[0].isClosed);
  assert.equal(sockets.length, 2);
  const count = requests.length;
  sockets[1].open();
  const { id, since } = sockets[1].sent[0];
  assert.deepEqual(since.a, "e-2");
  sockets[1].say({ id, ok: { cursor: "e-2" } });
  await settle();
  for (const { id, subscribe } of sockets[1].sent.slice(1))
    if (subscribe) sockets[1].say({ id, ok: { cursor: "e-2" } });
  await settle();
  for (const request of requests.slice(count)) request.answer(200, { cursor: "e-2", messages: [] });
  await settle();
  sockets[1].say(message(3));
  sockets[1].say(message(4, { channel: "b" }));
  await settle();
  assert.deepEqual([guest.heard, third.heard, leader.heard], [[2, 3], [4], [2]]);
  assert.deepEqual([guest.transport, third.transport], ["websocket", "shared"]);
});

test("a leading tab that is frozen is succeeded in a third of two heartbeats", async () => {
  world.begin();
  try {
    const [leader, guest] = await pair();
    const third = open();
    third.read("a");
    await settle();
    requests.at(-1).answer(200, { cursor: "e-1", messages: [] });
    await settle();
    // A leading tab that only has nothing to say stays.
    for (let seconds = 0; seconds < 60; seconds += 5) {
      if (seconds % 25 === 0) sockets[0].say({ cursor: "e-1" });
      await world.pass(5);
    }
    assert.equal(sockets.length, 1);
    const [frozen] = FakeBroadcastChannel.all;
    frozen.isFrozen = true;
    for (let seconds = 0; sockets.length < 2; seconds++) {
      assert.ok(seconds <= 16);
      await world.pass(1);
    }
    assert.equal(sockets.length, 2);
    sockets[1].begin("e-1");
    await settle();
    // The frozen tab wakes up, and follows.
    frozen.isFrozen = false;
    await settle();
    sockets[1].say(message(2));
    for (let round = 0; round < 10; round++) {
      await world.pass(1);
      for (const request of requests.splice(0))
        request.answer(200, { cursor: "e-2", messages: [message(2)] });
      await settle();
    }
    assert.deepEqual([leader.heard, guest.heard, third.heard], [[2], [2], [2]]);
    assert.ok(sockets[0].isClosed);
    const using = [leader, guest, third].map(({ transport }) => transport).sort();
    assert.deepEqual(using, ["shared", "shared", "websocket"]);
    assert.equal(leader.transport, "shared");
  } finally {
    tabs.forEach((tab) => tab.close());
    world.end();
  }
});

test("names that only a closed tab wanted are unsubscribed", async () => {
  const [, guest] = await pair();
  guest.read("b");
  await settle();
  sockets[0].answer("subscribe", { ok: { cursor: "e-1" } });
  guest.close();
  await settle();
  assert.deepEqual(sockets[0].sent.at(-1).unsubscribe, ["b"]);
});

test("without locks each tab has a connection of its own, and opens no channel", async () => {
  const { locks } = navigator;
  delete navigator.locks;
  const tab = open();
  tab.read("a");
  await settle();
  navigator.locks = locks;
  sockets[0].begin("e-1");
  sockets[0].say(message(2));
  assert.deepEqual([tab.transport, tab.heard, FakeBroadcastChannel.all.size], ["websocket", [2], 0]);
});

test("tabs with different rights do not share", async () => {
  const [one, other] = [open({ token: "x" }), open({ token: "y" })];
  one.read("a");
  other.read("a");
  await settle();
  assert.equal(sockets.length, 2);
});
