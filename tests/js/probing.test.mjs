import assert from "node:assert/strict";
import test, { afterEach, beforeEach } from "node:test";
import { requests, settle, sources, storage, world } from "./globals.mjs";
import { Comet } from "../../comet/static/client/src/comet.js";

let comet;

const start = async (options) => {
  comet = new Comet("http://a.example/", { transports: ["sse", "longpoll"], ...options });
  comet.heard = [];
  comet.subscribe("a", ({ data }) => comet.heard.push(data));
  await settle();
};
const pass = (seconds) => world.pass(seconds);

beforeEach(() => world.begin());

afterEach(() => {
  comet.close();
  sources.length = requests.length = 0;
  for (const key in storage) delete storage[key];
  world.end();
});

test("a stream is used once the second of two chunks has arrived on its own", async () => {
  await start();
  const [source] = sources;
  assert.deepEqual(source.query, {
    transport: "sse",
    envelope: "1",
    unnamed: "1",
    probe: "1",
  });
  source.say({ cursor: "e-1" });
  source.say({ channel: "a", cursor: "e-2", data: 2 });
  await pass(0.5);
  assert.deepEqual([comet.readyState, comet.heard], [0, []]);
  source.say({ cursor: "e-2" });
  assert.deepEqual([comet.readyState, comet.heard], [1, [2]]);
  await pass(20);
  assert.ok(!source.isClosed);
});

test("a stream whose chunks arrive together is given up", async () => {
  await start();
  const [source] = sources;
  source.say({ cursor: "e-1" });
  source.say({ cursor: "e-1" });
  await pass(2.4);
  assert.ok(!source.isClosed);
  await pass(0.2);
  assert.ok(source.isClosed);
  assert.equal(requests[0].query.transport, "longpoll");
  assert.equal(requests[0].query.since, undefined);
});

test("a token is in a URL only if it is no key", async () => {
  for (const [token, sent] of [
    ["0123456789abcdef", undefined],
    ["my.secret.publish-key", undefined],
    ["eyJh.eyJzdWIiOiJhIn0.c2ln", "eyJh.eyJzdWIiOiJhIn0.c2ln"],
  ]) {
    await start({ token });
    assert.equal(sources.at(-1).query.token, sent);
    comet.close();
  }
});

test("a silent stream is given up", async () => {
  await start({ timeout: 2 });
  await pass(2.1);
  assert.ok(sources[0].isClosed);
  assert.equal(requests[0].query.transport, "longpoll");
});

test("a stream that has passed the probe is not probed again for other names", async () => {
  await start();
  sources[0].say({ cursor: "e-1" });
  await pass(0.5);
  sources[0].say({ cursor: "e-1" });
  comet.subscribe("b", () => {});
  await settle();
  assert.deepEqual(sources[1].query, {
    transport: "sse",
    envelope: "1",
    unnamed: "1",
    since: "e-1",
    "since.b": "now",
  });
  sources[1].say({ cursor: "e-1" });
  assert.ok(sources[0].isClosed);
});

test("an event whose id is behind its cursor says that some names still catch up", async () => {
  await start({ transports: ["sse"] });
  sources[0].say({ cursor: "e-1" });
  await pass(0.5);
  sources[0].say({ cursor: "e-1" });
  comet.subscribe("b", ({ data }) => comet.heard.push(data), { since: "e-0" });
  await settle();
  sources[1].say({ cursor: "e-9" }, "e-0");
  sources[1].say({ cursor: "e-9" }, "e-0");
  sources[1].onerror({});
  dispatchEvent(new Event("online"));
  await settle();
  assert.equal(sources[2].query["since.b"], "e-0");
});

test("the transport that worked is remembered for a limited time", async () => {
  await start({ upgrade: 60 });
  sources[0].onerror({});
  await settle();
  // It asks for the reason, which the browser does not tell; there is none.
  requests[0].answer(200, { cursor: "e-1", messages: [] });
  await settle();
  requests[1].answer(200, { cursor: "e-1", messages: [] });
  await settle();
  assert.deepEqual(storage, { "comet http://a.example/": "longpoll 1000000000000" });
  comet.close();
  await pass(40);
  await start({ upgrade: 60 });
  assert.equal(sources.length, 1);
  requests.at(-1).answer(200, { cursor: "e-1", messages: [] });
  await settle();
  await pass(15);
  assert.equal(sources.length, 1);
  await pass(6);
  assert.equal(sources.length, 2);
});

test("invalid remembered values are ignored", async () => {
  for (const value of ["", "null", "telepathy 5", "longpoll", "longpoll x", "{}"]) {
    storage["comet http://a.example/"] = value;
    await start();
    comet.close();
  }
  assert.equal(sources.length + requests.length, 6);
});
