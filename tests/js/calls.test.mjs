import assert from "node:assert/strict";
import test, { afterEach, beforeEach } from "node:test";
import { requests, settle, sockets, storage, world } from "./globals.mjs";
import { Comet } from "../../comet/static/client/src/comet.js";

let comet;

beforeEach(() => {
  world.begin();
  comet = new Comet("http://a.example/push", { token: "t", parameters: { account: "x" } });
});

afterEach(() => {
  comet.close();
  sockets.length = requests.length = 0;
  for (const key in storage) delete storage[key];
  world.end();
});

test("a call is one request, and its answer is any JSON value", async () => {
  for (const [given, data] of [[{ page: 2 }, null], [undefined, { code: "forbidden" }], [0, [1]]]) {
    const called = comet.call("rooms/lists of ü", given);
    await settle();
    const { url, options, answer } = requests.pop();
    assert.equal(url, "http://a.example/push/call/rooms/lists%20of%20%C3%BC?account=x");
    assert.equal(options.method, "POST");
    assert.equal(options.headers["Content-Type"], "application/json");
    assert.equal(options.headers.Authorization, "Bearer t");
    assert.deepEqual(JSON.parse(options.body), given ?? null);
    answer(200, { data });
    assert.deepEqual(await called, data);
  }
  assert.deepEqual([sockets.length, requests.length], [0, 0]);
});

test("a call that is refused or lost is not repeated", async () => {
  for (const [code, reply] of [
    ["notFound", (request) => request.answer(404, { code: "notFound", detail: "none" })],
    ["unavailable", (request) => request.answer(503, { code: "unavailable" }, { "Retry-After": "3" })],
    ["lost", (request) => request.fail()],
    ["closed", (request) => {
      comet.close();
      request.answer(200, { data: 1 });
    }],
  ]) {
    const called = comet.call("a");
    await settle();
    reply(requests.at(-1));
    await assert.rejects(called, { name: "CometError", code });
  }
  await world.pass(60);
  await assert.rejects(comet.call("a"), { code: "closed" });
  assert.equal(requests.length, 4);
});

test("a call whose token has ended is made with the next", async () => {
  const tokens = ["first", "second"];
  comet.close();
  comet = new Comet("http://a.example/", { token: async () => tokens.shift() });
  const called = comet.call("a");
  await settle();
  await world.pass(6);
  requests[0].answer(401, { code: "unauthorized" });
  await settle();
  assert.equal(requests[1].options.headers.Authorization, "Bearer second");
  requests[1].answer(200, { data: "done" });
  assert.equal(await called, "done");
});

test("with an id for its readers, a page excludes them from what it publishes", async () => {
  const reader = "0f8c1f0e-7a52";
  const stored = { a: "e-7" };
  storage["comet http://a.example/ {}"] = JSON.stringify(stored);
  comet.close();
  comet = new Comet("http://a.example/", { parameters: { reader }, store: {
    getItem: (key) => storage[key] ?? null,
    setItem: (key, value) => (storage[key] = value),
  } });
  comet.subscribe("a", () => {});
  await settle();
  const [socket] = sockets;
  assert.equal(socket.url, `ws://a.example/socket?reader=${reader}`);
  socket.open();
  // The positions are found again, though the id is another each time.
  assert.deepEqual(socket.sent[0].since, stored);
  socket.answer("subscribe", { ok: { cursor: "e-7" } });
  const published = [comet.publish("a", 1, { exclude: reader }), comet.publish("a", 2)];
  await settle();
  assert.deepEqual(socket.sent.slice(1).map(({ publish, exclude }) => [publish, exclude]), [
    ["a", reader],
    ["a", undefined],
  ]);
  for (const [index, position] of [8, 9].entries())
    socket.say({ id: index + 2, ok: { cursor: `e-${position}` } });
  assert.deepEqual(await Promise.all(published), ["e-8", "e-9"]);
});
