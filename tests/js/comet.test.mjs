import assert from "node:assert/strict";
import test, { afterEach, beforeEach } from "node:test";
import { reported, requests, settle, sockets, storage, world } from "./globals.mjs";
import { Comet } from "../../comet/static/client/src/comet.js";

const EVENTS = ["open", "close", "gap", "transport", "error"];
let open = [];

/** A client that records its events and messages. */
const make = (options) => {
  const comet = new Comet("http://a.example/push", options);
  comet.heard = [];
  comet.told = [];
  for (const type of EVENTS) comet.addEventListener(type, (event) => comet.told.push(event));
  comet.read = (name, since) =>
    comet.subscribe(name, ({ data }) => comet.heard.push(data), { since });
  open.push(comet);
  return comet;
};

const told = (comet, type) => comet.told.filter((event) => event.type === type);
const message = (position, more) =>
  ({ channel: "a", cursor: `e-${position}`, data: position, ...more });

const pass = (seconds) => world.pass(seconds);

beforeEach(() => world.begin());

afterEach(() => {
  open.forEach((comet) => comet.close());
  for (const list of [open, sockets, requests, reported]) list.length = 0;
  for (const key in storage) delete storage[key];
  world.end();
});

test("a client without subscriptions sends nothing", async () => {
  const comet = make();
  await settle();
  assert.deepEqual([sockets.length, requests.length], [0, 0]);
  assert.equal(comet.readyState, Comet.CONNECTING);
  assert.equal(comet.cursor, null);
  assert.equal(comet.url, "http://a.example/push/");
});

test("one connection reads all names, each from its own position", async () => {
  const comet = make({ parameters: { account: "x" } });
  const ready = [comet.read("a"), comet.read("b/*", "-5")];
  await settle();
  const [socket, another] = sockets;
  assert.equal(another, undefined);
  assert.equal(socket.url, "ws://a.example/push/socket?account=x");
  assert.equal(socket.protocol, "comet.v1");
  socket.begin("e-7");
  assert.deepEqual(socket.sent, [
    { id: 1, subscribe: ["a", "b/*"], since: { a: "now", "b/*": "-5" } },
  ]);
  await Promise.all(ready);
  assert.deepEqual(comet.told.map(({ type, transport }) => [type, transport]), [
    ["transport", "websocket"],
    ["open", "websocket"],
  ]);
  assert.deepEqual([comet.readyState, comet.cursor], [Comet.OPEN, "e-7"]);
  socket.say(message(8));
  comet.read("c");
  await settle();
  assert.deepEqual(socket.sent[1], { id: 2, subscribe: ["c"], since: { c: "now" } });
  comet.unsubscribe("b/*");
  await settle();
  assert.deepEqual(socket.sent[2], { id: 3, unsubscribe: ["b/*"] });
  assert.deepEqual(comet.heard, [8]);
});

test("a WebSocket shows the token first, by a command and not in its URL", async () => {
  const comet = make({ token: "t t" });
  comet.read("a");
  await settle();
  assert.equal(sockets[0].url, "ws://a.example/push/socket?");
  sockets[0].open();
  assert.deepEqual(sockets[0].sent.map((sent) => sent.token ?? Object.keys(sent)[1]), [
    "t t",
    "subscribe",
  ]);
  sockets[0].answer("token", { ok: { expires: null } });
  sockets[0].answer("subscribe", { ok: { cursor: "e-1" } });
  assert.equal(comet.readyState, Comet.OPEN);
});

test("a token that is refused is an error event, and nothing goes on without it", async () => {
  const comet = make({ token: "bad" });
  const refused = assert.rejects(comet.read("a"), { code: "unauthorized" });
  await settle();
  sockets[0].open();
  sockets[0].answer("token", { error: { code: "unauthorized", message: "not the key" } });
  await refused;
  const [{ code, message, names }] = told(comet, "error");
  assert.deepEqual([code, message, names], ["unauthorized", "not the key", []]);
  assert.ok(sockets[0].isClosed);
  assert.equal(told(comet, "close")[0].retry, 30);
  assert.equal(requests.length, 0);
});

test("subscribe and the options refuse invalid values", () => {
  const comet = make();
  for (const [bad, message] of [
    [["a,b", () => {}], /"a,b" is no channel or pattern/],
    [["a", null], /null is not a handler/],
    [["a", () => {}, { since: "yesterday" }], /since: "yesterday"/],
    [["a", () => {}, { since: -0.5 }], /since: "-0.5"/],
    [["a", () => {}, { sinse: "now" }], /no option "sinse"; there are since/],
  ])
    assert.throws(() => comet.subscribe(...bad), { name: "TypeError", message });
  for (const [bad, message] of [
    [{ transports: ["telepathy"] }, /bad option transports: telepathy/],
    [{ transports: [] }, /bad option transports/],
    [{ tranports: ["sse"] }, /no option "tranports"; there are transports,/],
    [{ heartbeat: -1 }, /bad option heartbeat: -1/],
    [{ timeout: "soon" }, /bad option timeout: soon/],
    [{ backoff: [0] }, /bad option backoff: 0/],
    [{ credentials: true }, /bad option credentials: true/],
    [{ transports: ["websocket"], credentials: "omit" }, /no transport works here/],
  ])
    assert.throws(() => make(bad), { name: "TypeError", message });
  make({ token: undefined, heartbeat: undefined });
});

test("the last messages may be asked for by a number", async () => {
  const comet = make();
  comet.subscribe("a", () => {}, { since: -10 });
  await settle();
  sockets[0].open();
  assert.deepEqual(sockets[0].sent[0].since, { a: "-10" });
});

test("a script that no server of comet serves has to be told the server", () => {
  const message = /^name the server: new Comet/;
  for (const url of [undefined, null, "", "localhost:8080", "file:///x"])
    assert.throws(() => new Comet(url), { name: "TypeError", message });
  assert.equal(new Comet("/push").url, "http://a.example/push/");
});

test("the URL of a channel is not that of a server", () => {
  const message = /^name the server: new Comet/;
  for (const url of ["/channels", "/channels/", "https://b.example/push/channels/a?since=now"])
    assert.throws(() => new Comet(url), { name: "TypeError", message });
  assert.equal(new Comet("/channels-2?a=/channels/").url, "http://a.example/channels-2/");
});

test("the delays before a retry grow, with full jitter, up to a bound", async () => {
  const comet = make({ transports: ["websocket"], backoff: [1, 8] });
  comet.read("a");
  await settle();
  for (const wait of [1, 2, 4, 8, 8]) {
    const count = sockets.length;
    sockets.at(-1).fail();
    await pass(wait - 0.01);
    assert.equal(sockets.length, count);
    await pass(0.02);
    assert.equal(sockets.length, count + 1);
  }
  world.chance = 0.25;
  sockets.at(-1).fail();
  await pass(2.01);
  const count = sockets.length;
  sockets.at(-1).begin("e-1");
  // After a connection that lasted, the delays begin again with the shortest.
  await pass(6);
  sockets.at(-1).fail();
  assert.equal(told(comet, "close").at(-1).retry, 0.25);
  await pass(0.26);
  assert.equal(sockets.length, count + 1);
  assert.deepEqual(sockets.at(-1).sent, []);
  sockets.at(-1).open();
  assert.deepEqual(sockets.at(-1).sent[0].since, { a: "e-1" });
});

test("the client reconnects at once when the network is back or the page is visible", async () => {
  const comet = make({ transports: ["websocket"] });
  comet.read("a");
  await settle();
  for (const type of ["online", "visibilitychange"]) {
    const count = sockets.length;
    sockets.at(-1).fail();
    dispatchEvent(new Event(type));
    await settle();
    assert.equal(sockets.length, count + 1);
  }
  document.hidden = true;
  sockets.at(-1).fail();
  const count = sockets.length;
  dispatchEvent(new Event("visibilitychange"));
  delete document.hidden;
  await settle();
  assert.equal(sockets.length, count);
});

test("the client comes back when the server's close says", async () => {
  const comet = make();
  comet.read("a");
  await settle();
  sockets[0].begin("e-1");
  sockets[0].say({ cursor: "e-1", close: { code: "draining", message: "bye", retry: 2.5 } });
  const [{ code, message, retry }] = told(comet, "close");
  assert.deepEqual([code, message, retry], ["draining", "bye", 2.5]);
  assert.ok(sockets[0].isClosed);
  await pass(2.4);
  assert.equal(sockets.length, 1);
  await pass(0.2);
  assert.equal(sockets.length, 2);
  sockets[1].begin("e-1");
  sockets[1].say({ cursor: "e-1", close: { code: "revoked", message: "", retry: null } });
  assert.equal(told(comet, "close")[1].retry, null);
  assert.equal(comet.readyState, Comet.CLOSED);
  await pass(1000);
  assert.equal(sockets.length, 2);
  await assert.rejects(comet.publish("a", 1), { code: "closed" });
});

test("after two heartbeats of silence the connection is lost", async () => {
  const comet = make({ transports: ["websocket"], heartbeat: 10 });
  comet.read("a");
  await settle();
  sockets[0].begin("e-1");
  for (let beat = 0; beat < 5; beat++) {
    await pass(19);
    sockets[0].say({ cursor: "e-1" });
  }
  assert.deepEqual(told(comet, "close"), []);
  await pass(23);
  assert.equal(told(comet, "close")[0].code, "silent");
  assert.ok(sockets[0].isClosed);
});

test("a connection that does not open in time is given up", async () => {
  const comet = make({ transports: ["websocket", "longpoll"], timeout: 3 });
  comet.read("a");
  await settle();
  await pass(2.9);
  assert.equal(requests.length, 0);
  await pass(0.2);
  assert.ok(sockets[0].isClosed);
  assert.equal(requests[0].query.transport, "longpoll");
});

test("a gap event carries the names", async () => {
  const comet = make();
  comet.read("a");
  await settle();
  sockets[0].begin("e-5", { gap: ["a"] });
  sockets[0].say({ cursor: "e-6", gap: ["a", "never"] });
  assert.deepEqual(told(comet, "gap").map(({ names }) => names), [["a"], ["a"]]);
});

test("a handler that throws does not stop the others", async () => {
  const comet = make();
  comet.subscribe("a", () => {
    throw new Error("mine");
  });
  comet.read("a");
  await settle();
  sockets[0].begin("e-1");
  sockets[0].say(message(2));
  sockets[0].say(message(3));
  assert.deepEqual(comet.heard, [2, 3]);
  assert.deepEqual(reported.map((error) => error.message), ["mine", "mine"]);
});

test("an unreadable envelope ends the connection with an error event", async () => {
  const comet = make({ transports: ["websocket"] });
  comet.read("a");
  await settle();
  sockets[0].begin("e-1");
  sockets[0].say({ cursor: "nonsense" });
  assert.equal(told(comet, "error")[0].code, "badMessage");
  assert.ok(sockets[0].isClosed);
  await pass(1.1);
  assert.equal(sockets.length, 2);
});

test("names that are refused together are asked for again one by one", async () => {
  const comet = make();
  const [good, bad] = [comet.read("a"), comet.read("b")];
  await settle();
  const [socket] = sockets;
  const error = { code: "forbidden", message: "not b" };
  socket.open();
  socket.answer("subscribe", { error });
  const [, first, second] = socket.sent;
  assert.deepEqual([first.subscribe, second.subscribe], [["a"], ["b"]]);
  socket.say({ id: first.id, ok: { cursor: "e-1" } });
  socket.say({ id: second.id, error });
  await good;
  await assert.rejects(bad, { code: "forbidden", message: "not b" });
  assert.equal(told(comet, "error")[0].code, "forbidden");
  await settle();
  assert.equal(socket.sent.filter(({ subscribe }) => subscribe).length, 3);
});

test("a refused name leaves the others subscribed", async () => {
  const comet = make({ transports: ["longpoll"] });
  comet.read("a");
  await settle();
  requests[0].answer(200, { cursor: "e-4", messages: [] });
  await settle();
  const refused = assert.rejects(comet.read("b"), { code: "forbidden", message: "not b" });
  await settle();
  requests[2].answer(403, { code: "forbidden", detail: "not b" });
  await refused;
  await settle();
  assert.deepEqual(comet.told.map(({ type }) => type), ["transport", "open", "error"]);
  requests[1].answer(200, { cursor: "e-5", messages: [message(5)] });
  await settle();
  assert.deepEqual([comet.heard, requests.length, requests[3].names], [[5], 4, "a"]);
});

test("a refused request is an error event, and the client waits as long as possible", async () => {
  const comet = make({ transports: ["longpoll"], backoff: [1, 30] });
  comet.read("a");
  await settle();
  requests[0].answer(421, { code: "wrongHost", detail: "not here" });
  await settle();
  const [{ code, message }] = told(comet, "error");
  assert.deepEqual([code, message], ["wrongHost", "not here"]);
  await pass(29);
  assert.equal(requests.length, 1);
  await pass(2);
  assert.equal(requests.length, 2);
  requests[1].answer(503, { code: "unavailable" }, { "Retry-After": "7" });
  await settle();
  await pass(6.9);
  assert.equal(requests.length, 2);
  await pass(0.2);
  assert.equal(requests.length, 3);
});

test("a transport is given up only if polling works; else the server is away", async () => {
  const comet = make({ transports: ["websocket", "longpoll", "poll"], interval: 100 });
  comet.read("a");
  await settle();
  sockets[0].fail();
  await settle();
  assert.deepEqual(requests.map(({ query }) => query.transport), ["poll"]);
  requests[0].fail();
  await settle();
  await pass(1.1);
  // The server was away: the client tries the best transport again.
  assert.equal(sockets.length, 2);
  assert.deepEqual(told(comet, "close").map(({ code, retry }) => [code, retry]), [["lost", 1]]);
  sockets[1].fail();
  await settle();
  requests[1].answer(200, { cursor: "e-4", messages: [] });
  await settle();
  assert.equal(comet.transport, "poll");
  // The transport fails a second time, and the client takes the next.
  assert.equal(sockets.length, 3);
  sockets[2].fail();
  await settle();
  assert.equal(requests[2].query.transport, "longpoll");
  assert.deepEqual(requests[2].query.since, "e-4");
  requests[2].answer(200, { cursor: "e-5", messages: [message(5)] });
  await settle();
  assert.equal(comet.transport, "longpoll");
  assert.deepEqual(comet.heard, [5]);
  assert.equal(told(comet, "close").length, 1);
  assert.deepEqual([requests[3].query.wait, requests[3].query.since], ["25", "e-5"]);
});

test("the client tries a better transport beside the one that works", async () => {
  const comet = make({ transports: ["websocket", "longpoll"], upgrade: 60 });
  const answer = async () => {
    requests.at(-1).answer(200, { cursor: "e-4", messages: [] });
    await settle();
  };
  const minute = async () => {
    for (const seconds of [20, 20, 21]) {
      await pass(seconds);
      await answer();
    }
  };
  comet.read("a");
  await settle();
  sockets[0].fail();
  await settle();
  await answer();
  await minute();
  assert.equal(sockets.length, 2);
  sockets[1].fail();
  assert.equal(comet.transport, "longpoll");
  await minute();
  const polling = requests.at(-1);
  assert.equal(polling.isAborted(), false);
  sockets[2].begin("e-4");
  assert.equal(comet.transport, "websocket");
  assert.ok(polling.isAborted());
  assert.deepEqual(told(comet, "close"), []);
});

test("new names open a new request, and the old one goes on until it is answered", async () => {
  const comet = make({ transports: ["longpoll"] });
  comet.read("a");
  await settle();
  requests[0].answer(200, { cursor: "e-4", messages: [] });
  await settle();
  comet.read("b", "-2");
  await settle();
  const { names, query } = requests[2];
  assert.deepEqual([names, query.since, query["since.b"]], ["a,b", "e-4", "-2"]);
  assert.equal(query.wait, "0");
  requests[1].answer(200, { cursor: "e-5", messages: [message(5)] });
  await settle();
  assert.deepEqual(comet.heard, [5]);
  requests[2].answer(200, { cursor: "e-6", messages: [message(5), message(6)] });
  await settle();
  assert.deepEqual(comet.heard, [5, 6]);
  assert.ok(requests[3].isAborted());
  comet.unsubscribe("a");
  comet.unsubscribe("b");
  await settle();
  assert.ok(requests.every((request) => request.isAborted() || request !== requests.at(-1)));
  assert.equal(comet.readyState, Comet.CONNECTING);
});

test("an iterator yields messages, and ends with the client", async () => {
  const comet = make();
  const iterator = comet.messages("a");
  await settle();
  sockets[0].begin("e-1");
  sockets[0].say(message(2));
  sockets[0].say(message(3));
  assert.equal((await iterator.next()).value.data, 2);
  assert.equal((await iterator.next()).value.data, 3);
  const last = iterator.next();
  comet.close();
  assert.deepEqual(await last, { value: undefined, done: true });
});

test("an iterator that is left unsubscribes", async () => {
  const comet = make();
  const iterator = comet.messages("a");
  await settle();
  sockets[0].begin("e-1");
  sockets[0].say(message(2));
  for await (const { data } of iterator) if (data === 2) break;
  await settle();
  assert.ok(sockets[0].isClosed);
});

for (const transports of [["websocket"], ["longpoll"], ["websocket", "longpoll", "poll"]])
  test(`each failed round is told, also the first: ${transports}`, async () => {
    const comet = make({ transports, backoff: [2, 3] });
    const ready = comet.read("a");
    const rejected = assert.rejects(ready, { code: "lost", retry: 2, message: /^no connection/ });
    const fail = async () => {
      await settle();
      if (transports[0] === "websocket") sockets.at(-1).fail();
      await settle();
      if (transports.length !== 1 || transports[0] !== "websocket") requests.at(-1).fail();
      await settle();
    };
    await fail();
    await rejected;
    // The name stays, and the next to ask for it waits for the next round.
    const again = assert.rejects(comet.read("a"), { code: "lost", retry: 3 });
    await pass(2.01);
    await fail();
    await again;
    assert.deepEqual(
      comet.told.map(({ type, code, retry }) => [type, code, retry]),
      [2, 3].map((retry) => ["close", "lost", retry]),
    );
    for (const { message } of comet.told) assert.match(message, /^no connection: the server/);
    const last = comet.read("a");
    assert.equal(comet.readyState, Comet.CONNECTING);
    await pass(3.01);
    if (transports[0] === "websocket") sockets.at(-1).begin("e-1");
    else requests.at(-1).answer(200, { cursor: "e-1", messages: [] });
    await last;
  });

test("connect() ends the wait before the next try", async () => {
  const comet = make({ transports: ["websocket"] });
  comet.read("a");
  await settle();
  comet.connect();
  await settle();
  assert.equal(sockets.length, 1);
  sockets[0].fail();
  comet.connect();
  assert.equal(sockets.length, 2);
  await pass(2);
  assert.equal(sockets.length, 2);
});

test("connect() after close() resumes where the client was", async () => {
  const comet = make();
  const events = [];
  comet.read("a");
  comet.addEventListener("close", ({ code, retry }) => events.push([code, retry]));
  await settle();
  sockets[0].begin("e-1");
  sockets[0].say(message(2));
  comet.close();
  comet.close();
  assert.deepEqual(events, [["closed", null]]);
  assert.equal(comet.readyState, Comet.CLOSED);
  await assert.rejects(comet.read("b"), { code: "closed", message: "the client is closed" });
  await assert.rejects(comet.publish("b", 1), { code: "closed" });
  assert.deepEqual(await comet.messages("a").next(), { value: undefined, done: true });
  await pass(100);
  assert.equal(sockets.length, 1);
  comet.connect();
  await settle();
  assert.equal(comet.readyState, Comet.CONNECTING);
  sockets[1].open();
  assert.deepEqual(sockets[1].sent[0].since, { a: "e-2", b: "now" });
  sockets[1].answer("subscribe", { ok: { cursor: "e-2" } });
  sockets[1].say(message(3));
  assert.deepEqual(comet.heard, [2, 3]);
  const published = comet.publish("a", 1);
  await settle();
  sockets[1].answer("publish", { ok: { cursor: "e-4" } });
  assert.equal(await published, "e-4");
  dispatchEvent(new Event("pagehide"));
  assert.ok(sockets[1].isClosed);
});

test("the promise of a name fails when the client closes or the name is given up", async () => {
  const comet = make();
  const given = assert.rejects(comet.read("a"), { code: "unsubscribed" });
  comet.unsubscribe("a");
  const closed = assert.rejects(comet.read("b"), { code: "closed", retry: null });
  await given;
  comet.close();
  await closed;
});

test("an iterator fails when its name is refused, or the server ends the client", async () => {
  const comet = make();
  const [refused, ended] = ["a", "b"].map((name) => comet.messages(name).next());
  await settle();
  const error = { code: "forbidden", message: "not a" };
  const [socket] = sockets;
  socket.open();
  socket.answer("subscribe", { error });
  socket.say({ id: 2, error });
  socket.say({ id: 3, ok: { cursor: "e-1" } });
  await assert.rejects(refused, { code: "forbidden", message: "not a" });
  assert.deepEqual(told(comet, "error")[0].names, ["a"]);
  socket.say({ cursor: "e-1", close: { code: "revoked", message: "go", retry: null } });
  await assert.rejects(ended, { code: "revoked", message: "go" });
});

/** A body of the poll with which a late handler catches up. */
const body = (positions, cursor, more) => ({
  cursor: `e-${cursor}`,
  messages: positions.map((position) => message(position)),
  ...more,
});

test("a second handler gets what it asks for, and then what the others get", async () => {
  const comet = make({ token: "t", parameters: { account: "x" } });
  comet.read("a");
  await settle();
  sockets[0].begin("e-5");
  sockets[0].say(message(6));
  const late = [];
  const handler = ({ data }) => late.push(data);
  const ready = comet.subscribe("a", handler, { since: "-3" });
  await settle();
  const [first] = requests;
  assert.deepEqual(first.query, { account: "x", transport: "poll", since: "-3" });
  assert.equal(first.options.headers.Authorization, "Bearer t");
  sockets[0].say(message(7));
  assert.deepEqual(late, []);
  first.answer(200, body([4, 5], 5, { more: true, gap: ["a"] }));
  await settle();
  assert.deepEqual(told(comet, "gap")[0].names, ["a"]);
  sockets[0].say(message(8));
  sockets[0].say(message(9));
  assert.equal(requests[1].query.since, "e-5");
  requests[1].fail();
  await settle();
  await pass(1.1);
  requests[2].answer(200, body([6, 7, 8], 8));
  await ready;
  sockets[0].say(message(10));
  assert.deepEqual(late, [4, 5, 6, 7, 8, 9, 10]);
  assert.deepEqual(comet.heard, [6, 7, 8, 9, 10]);
  comet.unsubscribe("a", handler);
  sockets[0].say(message(11));
  assert.deepEqual([late.length, comet.heard.length], [7, 6]);
});

test("a second handler that is refused, given up, or closed says so", async () => {
  const comet = make();
  comet.read("a");
  await settle();
  sockets[0].begin("e-5");
  const ask = (handler) => comet.subscribe("a", handler, { since: "earliest" });
  const refused = assert.rejects(ask(() => {}), { code: "forbidden", message: "no" });
  const other = () => assert.fail("it was given up");
  const given = assert.rejects(ask(other), { code: "unsubscribed" });
  comet.unsubscribe("a", other);
  await settle();
  requests[0].answer(403, { code: "forbidden", detail: "no" });
  requests[1].answer(200, body([1], 5));
  await Promise.all([refused, given]);
  const closed = assert.rejects(ask(() => {}), { code: "closed" });
  await settle();
  comet.close();
  await closed;
});

test("an effect that runs twice, as in React's StrictMode, hears each message once", async () => {
  const comet = make();
  const heard = [];
  const effect = () => {
    const handler = ({ data }) => heard.push(data);
    comet.subscribe("a", handler, { since: "-2" }).catch(() => {});
    return () => comet.unsubscribe("a", handler);
  };
  effect()();
  const cleanUp = effect();
  await settle();
  sockets[0].begin("e-5");
  sockets[0].say(message(4, { replay: true }));
  sockets[0].say(message(6));
  assert.deepEqual([heard, requests.length], [[4, 6], 0]);
  cleanUp();
  await settle();
  assert.ok(sockets[0].isClosed);
});

test("with a store, a page that is loaded again continues where it was", async () => {
  const items = new Map();
  const store = {
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => items.set(key, value),
  };
  const first = make({ store, parameters: { account: "x" } });
  first.read("a");
  first.read("b", "-9");
  await settle();
  sockets[0].begin("e-5");
  sockets[0].say(message(6));
  await pass(1.1);
  assert.equal(items.size, 1);
  sockets[0].say(message(7));
  dispatchEvent(new Event("pagehide"));
  first.close();
  const second = make({ store, parameters: { account: "x" } });
  second.read("a", "-100");
  second.read("c");
  await settle();
  sockets.at(-1).open();
  assert.deepEqual(sockets.at(-1).sent[0].since, { a: "e-7", c: "now" });
  sockets.at(-1).answer("subscribe", { ok: { cursor: "e-9" } });
  second.close();
  // What the store holds may be anything, and another account has other messages.
  for (const [key] of items) items.set(key, '{"a":"telepathy","b":7}');
  for (const parameters of [{ account: "x" }, { account: "y" }]) {
    const comet = make({ store, parameters });
    comet.read("a", "-4");
    await settle();
    sockets.at(-1).open();
    assert.deepEqual(sockets.at(-1).sent[0].since, { a: "-4" });
  }
  const broken = { getItem: () => null, setItem: () => { throw new Error("full"); } };
  const last = make({ store: broken });
  last.read("a");
  await settle();
  sockets.at(-1).begin("e-1");
  await pass(1.1);
  assert.equal(last.readyState, Comet.OPEN);
});

test("credentials go with the requests of all transports, or with none", async () => {
  for (const [credentials, mode] of [[undefined, "same-origin"], ["include", "include"]]) {
    const comet = make({ transports: ["longpoll"], credentials });
    comet.read("a");
    comet.publish("a", 1).catch(() => {});
    await settle();
    requests.at(-1).answer(200, { cursor: "e-1", messages: [] });
    await settle();
    comet.subscribe("a", () => {}, { since: "-1" });
    await settle();
    assert.ok(requests.length > 3);
    assert.deepEqual([...new Set(requests.map(({ options }) => options.credentials))], [mode]);
    comet.close();
    requests.length = 0;
  }
  const comet = make({ credentials: "omit" });
  comet.read("a");
  await settle();
  assert.deepEqual([sockets.length, requests[0].query.transport], [0, "stream"]);
  assert.equal(requests[0].options.credentials, "omit");
});

test("what no JSON can express is not published", async () => {
  const comet = make();
  for (const bad of [undefined, () => 1, Symbol("x")])
    await assert.rejects(comet.publish("a", bad), { code: "badMessage" });
  await assert.rejects(comet.publish("a", 1, { evnt: "x" }), /no option "evnt"; there are event/);
  await assert.rejects(comet.publish("a", 1n), TypeError);
});

test("a hidden page closes its connection, and a restored one opens it again", async () => {
  const comet = make();
  comet.read("a");
  await settle();
  sockets[0].begin("e-1");
  dispatchEvent(new Event("pagehide"));
  assert.ok(sockets[0].isClosed);
  dispatchEvent(new Event("pageshow"));
  await settle();
  assert.equal(sockets.length, 2);
  sockets[1].begin("e-1");
  comet.close();
  dispatchEvent(new Event("pageshow"));
  await pass(100);
  assert.equal(sockets.length, 2);
});
