import assert from "node:assert/strict";
import test, { afterEach, beforeEach } from "node:test";
import { requests, settle, sockets, world } from "./globals.mjs";
import { Comet } from "../../comet/static/client/src/comet.js";

let comet;

const bodies = () => requests.map(({ options }) => JSON.parse(options.body));
const pass = (seconds) => world.pass(seconds);

beforeEach(() => world.begin());

afterEach(() => {
  comet.close();
  sockets.length = requests.length = 0;
  world.end();
});

test("a client without subscriptions publishes by one request after the other", async () => {
  comet = new Comet("http://a.example/", { token: "t", parameters: { account: "x" } });
  const published = [comet.publish("a", { b: 1 }), comet.publish("c", "d", { event: "é" })];
  await settle();
  assert.equal(requests.length, 1);
  const [{ url, options }] = requests;
  assert.equal(url, "http://a.example/publish?account=x");
  assert.equal(options.headers.Authorization, "Bearer t");
  assert.equal(options.headers["Content-Type"], "application/x-ndjson");
  requests[0].answer(201, { cursor: "e-1", cursors: ["e-1"] });
  await settle();
  requests[1].answer(201, { cursor: "e-2", cursors: ["e-2"] });
  assert.deepEqual(await Promise.all(published), ["e-1", "e-2"]);
  const [first, second] = bodies();
  assert.match(first.key, /^[a-z0-9]{10,128}$/);
  assert.notEqual(first.key, second.key);
  assert.deepEqual([first, second], [
    { channel: "a", data: { b: 1 }, key: first.key },
    { channel: "c", data: "d", event: "é", key: second.key },
  ]);
});

test("a publication is sent again with its key if it may be lost, and refused otherwise", async () => {
  comet = new Comet("http://a.example/");
  const published = comet.publish("a", 1);
  await settle();
  requests[0].fail();
  await settle();
  await pass(1.1);
  requests[1].answer(504, { code: "unknown" });
  await settle();
  await pass(2.1);
  requests[2].answer(429, { code: "tooMany" }, { "Retry-After": "9" });
  await settle();
  await pass(8.9);
  assert.equal(requests.length, 3);
  await pass(0.2);
  requests[3].answer(201, { cursor: "e-1" });
  assert.equal(await published, "e-1");
  assert.equal(new Set(bodies().map(({ key }) => key)).size, 1);
  const refused = comet.publish("a", 2);
  await settle();
  requests[4].answer(413, { code: "tooLarge", detail: "much" });
  await assert.rejects(refused, { code: "tooLarge", message: "much", name: "CometError" });
});

test("a publication is not sent again when the server has forgotten its key", async () => {
  comet = new Comet("http://a.example/");
  const refused = assert.rejects(comet.publish("a", 1), { code: "lost" });
  await settle();
  for (let seconds = 0; seconds < 400; seconds += 10) {
    requests.at(-1).fail();
    await settle();
    await pass(10);
  }
  await refused;
  const count = requests.length;
  await pass(100);
  assert.equal(requests.length, count);
});

test("a publication that nothing could carry is given up", async () => {
  comet = new Comet("http://a.example/", { transports: ["websocket"] });
  comet.subscribe("a", () => {});
  const refused = assert.rejects(comet.publish("a", 1), { code: "unsent" });
  for (let seconds = 0; seconds < 280; seconds += 10) {
    await settle();
    if (!sockets.at(-1).isClosed) sockets.at(-1).fail();
    await pass(10);
  }
  await refused;
});

test("publications wait for a connection, up to the size of the queue", async () => {
  comet = new Comet("http://a.example/", { queue: 2, transports: ["websocket"] });
  comet.subscribe("a", () => {});
  const published = [comet.publish("a", 1), comet.publish("a", 2)];
  await assert.rejects(comet.publish("a", 3), { code: "full" });
  await settle();
  assert.equal(requests.length, 0);
  const [socket] = sockets;
  socket.begin("e-0");
  await settle();
  const sent = () => socket.sent.filter((each) => "publish" in each);
  assert.deepEqual(sent().map(({ publish, data }) => [publish, data]), [["a", 1], ["a", 2]]);
  socket.say({ id: sent()[0].id, ok: { cursor: "e-1" } });
  assert.equal(await published[0], "e-1");
  // The unanswered publication is sent again over the next connection.
  socket.fail();
  await pass(1.1);
  sockets[1].begin("e-1");
  await settle();
  const [again] = sockets[1].sent.filter((each) => "publish" in each);
  assert.deepEqual([again.data, again.key], [2, sent()[1].key]);
  sockets[1].say({ id: again.id, error: { code: "forbidden", message: "no" } });
  await assert.rejects(published[1], { code: "forbidden" });
});

test("a publication over a WebSocket is tried again after a passing error", async () => {
  comet = new Comet("http://a.example/");
  comet.subscribe("a", () => {});
  const published = comet.publish("a", 1);
  await settle();
  const [socket] = sockets;
  socket.begin("e-0");
  await settle();
  socket.answer("publish", { error: { code: "unknown", message: "" } });
  await settle();
  await pass(1.1);
  const sent = socket.sent.filter((each) => "publish" in each);
  assert.deepEqual([sent.length, sent[0].key], [2, sent[1].key]);
  socket.answer("publish", { ok: { cursor: "e-1" } });
  assert.equal(await published, "e-1");
});

test("waiting publications are refused when the client closes", async () => {
  comet = new Comet("http://a.example/", { transports: ["websocket"] });
  comet.subscribe("a", () => {});
  const published = comet.publish("a", 1);
  comet.close();
  await assert.rejects(published, { code: "closed" });
});
