import assert from "node:assert/strict";
import test, { afterEach, beforeEach } from "node:test";
import { requests, settle, sockets, sources, storage, world } from "./globals.mjs";
import { Comet } from "../../comet/static/client/src/comet.js";
import "../../comet/static/client/src/tabs.js";

const EVENTS = ["open", "close", "error"];
let open = [];

/** A JWT that the server's clock gives so many seconds, whatever the clock here says. */
const jwt = (seconds, claims, skew = 0) => {
  const iat = Date.now() / 1000 + skew;
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "HS256" })}.${part({ iat, exp: iat + seconds, ...claims })}.c2ln`;
};

/** A client whose page gives these tokens, one after the other, and the last one again. */
const make = (tokens, options) => {
  const comet = new Comet("http://a.example/", {
    token: async () => {
      comet.calls++;
      const [token] = tokens.length > 1 ? tokens.splice(0, 1) : tokens;
      return typeof token == "function" ? token() : token;
    },
    transports: ["websocket"],
    ...options,
  });
  Object.assign(comet, { calls: 0, heard: [], told: [] });
  for (const type of EVENTS)
    comet.addEventListener(type, ({ code, names, retry }) =>
      comet.told.push(JSON.parse(JSON.stringify({ type, code, names, retry }))),
    );
  comet.read = (name, since) => comet.subscribe(name, ({ data }) => comet.heard.push(data), { since });
  open.push(comet);
  return comet;
};

const shown = (socket) => socket.sent.filter(({ token }) => token).map(({ token }) => token);
const bearer = ({ options }) => options.headers.Authorization;
const message = (position, more) => ({ channel: "a", cursor: `e-${position}`, data: position, ...more });
const body = (position, ...messages) => ({ cursor: `e-${position}`, messages });
const error = (code) => ({ code, message: `${code}!` });

/** Let time pass on an open WebSocket, which would else be taken for silent. */
const pass = async (seconds, socket) => {
  // Other tabs answer in between.
  for (; seconds > 0; seconds -= 2) {
    socket?.say({ cursor: "e-1" });
    await world.pass(Math.min(seconds, 2));
  }
  await settle();
};

beforeEach(() => world.begin());

afterEach(async () => {
  open.forEach((comet) => comet.close());
  await settle();
  for (const list of [open, sockets, requests, sources]) list.length = 0;
  for (const key in storage) delete storage[key];
  world.end();
});

test("a WebSocket gets the next token by a command, after four fifths of the life of this one", async () => {
  const tokens = [];
  const comet = make([() => tokens[tokens.push(jwt(100)) - 1]]);
  comet.read("a");
  await settle();
  const [socket] = sockets;
  assert.equal(socket.url, "ws://a.example/socket?");
  socket.begin("e-1");
  assert.deepEqual(shown(socket), tokens);
  socket.answer("token", { ok: { expires: 100 } });
  await pass(79, socket);
  assert.equal(comet.calls, 1);
  await pass(2, socket);
  assert.deepEqual([comet.calls, shown(socket)], [2, tokens]);
  socket.answer("token", { ok: { expires: 100 } });
  socket.say(message(2));
  assert.deepEqual([comet.heard, sockets.length, comet.told.length], [[2], 1, 1]);
  await pass(81, socket);
  assert.equal(comet.calls, 3);
});

test("a wrong clock here, and a token that is not new, change when the next is asked for", async () => {
  for (const [token, earliest, latest] of [
    // An hour ahead, so that the token seems to be over; and an hour behind.
    [() => jwt(600, {}, -3600), 90, 100],
    [() => jwt(600, {}, 3600), 475, 485],
    // Made five minutes ago; without iat; and that with a clock that is ahead.
    [() => jwt(600, {}, -300), 235, 245],
    [() => jwt(600, { iat: undefined }), 475, 485],
    [() => jwt(600, { iat: undefined }, -3600), 4.5, 5],
    [() => jwt(2), 1.5, 1.7],
  ]) {
    const comet = make([token]);
    comet.read("a");
    await settle();
    sockets.at(-1).begin("e-1");
    await pass(earliest, sockets.at(-1));
    assert.equal(comet.calls, 1, token);
    await pass(latest - earliest, sockets.at(-1));
    assert.equal(comet.calls, 2, token);
    comet.close();
  }
});

for (const token of ["no-jwt", "ey.ey.ey", jwt(NaN), jwt(1e9)])
  test(`a token that does not tell its end, or is endless, is not replaced: ${token}`, async () => {
    const comet = make([token]);
    comet.read("a");
    await settle();
    sockets[0].begin("e-1");
    await pass(1000, sockets[0]);
    assert.equal(comet.calls, 1);
  });

test("a token of another client opens a new WebSocket before the old one ends", async () => {
  const comet = make([jwt(100, { sub: "ada" }), jwt(100, { sub: "bob" })]);
  comet.read("a");
  const published = comet.publish("a", 1);
  await settle();
  const [old] = sockets;
  old.begin("e-1");
  await pass(81, old);
  old.answer("token", { error: error("forbidden") });
  assert.deepEqual([sockets.length, old.isClosed], [2, false]);
  old.say(message(2));
  sockets[1].begin("e-1");
  sockets[1].say(message(2));
  sockets[1].say(message(3));
  assert.deepEqual([comet.heard, old.isClosed, comet.told.length], [[2, 3], true, 1]);
  // What the old one has not answered is sent again.
  await settle();
  sockets[1].answer("publish", { ok: { cursor: "e-4" } });
  assert.equal(await published, "e-4");
});

test("a long poll goes on until the next one, with another token, is answered", async () => {
  const tokens = [jwt(100), jwt(100)];
  const comet = make([...tokens], { transports: ["longpoll"] });
  comet.read("a");
  await settle();
  const answer = async (...of) => {
    requests.at(-1).answer(200, body(...of));
    await settle();
  };
  await answer(1);
  for (const position of [2, 3, 4]) {
    await world.pass(24);
    await answer(position, message(position));
  }
  const held = requests.at(-1);
  await world.pass(9);
  assert.equal(bearer(held), `Bearer ${tokens[0]}`);
  const next = requests.at(-1);
  assert.deepEqual([bearer(next), next.query.since, held.isAborted()], [`Bearer ${tokens[1]}`, "e-4", false]);
  held.answer(200, body(5, message(5)));
  await settle();
  next.answer(200, body(6, message(5), message(6)));
  await settle();
  assert.deepEqual([comet.heard, comet.told.length], [[2, 3, 4, 5, 6], 1]);
  assert.deepEqual([requests.at(-1).query.since, bearer(requests.at(-1))], ["e-6", `Bearer ${tokens[1]}`]);
});

test("an EventSource with another token is open before the old one ends", async () => {
  const tokens = [jwt(100), jwt(100)];
  const comet = make([...tokens], { transports: ["sse"] });
  comet.read("a");
  await settle();
  const [old] = sources;
  old.say({ cursor: "e-1" });
  await world.pass(0.5);
  old.say({ cursor: "e-1" });
  await world.pass(45);
  old.say({ cursor: "e-1" });
  await world.pass(36);
  await settle();
  const fresh = sources[1];
  assert.deepEqual([old, fresh].map(({ query }) => query.token), tokens);
  old.say(message(2));
  assert.equal(old.isClosed, false);
  fresh.say({ cursor: "e-1" });
  fresh.say(message(2));
  fresh.say(message(3));
  assert.deepEqual([comet.heard, old.isClosed, comet.told.length], [[2, 3], true, 1]);
});

test("after expired the client comes back at once, with another token", async () => {
  const comet = make(["one", "two"]);
  comet.read("a");
  await settle();
  sockets[0].begin("e-1");
  await pass(30, sockets[0]);
  sockets[0].say({ cursor: "e-1", close: { code: "expired", message: "", retry: 0 } });
  await world.pass(0.01);
  sockets[1].begin("e-1");
  assert.deepEqual([shown(sockets[1]), comet.calls], [["two"], 2]);
  assert.deepEqual(comet.told.map(({ type, code, retry }) => [type, code, retry]), [
    ["open", undefined, undefined],
    ["close", "expired", 0],
    ["open", undefined, undefined],
  ]);
});

test("names that only the expired token permitted come back with the next one", async () => {
  const comet = make(["one", "two"]);
  comet.read("a");
  comet.read("open");
  await settle();
  sockets[0].begin("e-1");
  await pass(30, sockets[0]);
  sockets[0].say({ cursor: "e-1", ended: { names: ["a"], code: "expired" } });
  await world.pass(0.01);
  sockets[1].begin("e-3");
  assert.deepEqual(sockets[1].sent[1], { id: 2, subscribe: ["a", "open"], since: { a: "e-1", open: "e-1" } });
  sockets[1].say(message(2, { replay: true }));
  assert.deepEqual([shown(sockets[1]), comet.heard], [["two"], [2]]);
});

test("a token that grew old while the computer slept is replaced without a wait", async () => {
  const comet = make(["one", "two"], { transports: ["longpoll"] });
  const ready = comet.read("a");
  await settle();
  await world.pass(3);
  requests[0].answer(200, body(1));
  await ready;
  world.time += 3600e3;
  requests[1].answer(401, { code: "unauthorized", detail: "over" });
  await settle();
  await world.pass(0.01);
  assert.deepEqual([comet.calls, bearer(requests[2])], [2, "Bearer two"]);
  // One that is refused although it is new would be asked for without end.
  requests[2].answer(401, { code: "unauthorized", detail: "no" });
  await settle();
  await pass(29);
  assert.deepEqual([comet.calls, requests.length], [2, 3]);
  await pass(2);
  assert.deepEqual([comet.calls, requests.length], [3, 4]);
  assert.deepEqual(comet.told.map(({ type, code, retry }) => [type, code, retry]), [
    ["open", undefined, undefined],
    ["close", "unauthorized", 0],
    ["error", "unauthorized", undefined],
    ["close", "unauthorized", 30],
  ]);
});

test("a function that fails is told, and called again later or by connect()", async () => {
  const comet = make([() => Promise.reject(new Error("away")), () => 5, "good"]);
  const failed = assert.rejects(comet.read("a"), { code: "unauthorized", message: "Error: away", retry: 1 });
  await failed;
  assert.deepEqual(comet.told, [
    { type: "error", code: "unauthorized", names: [] },
    { type: "close", code: "unauthorized", retry: 1 },
  ]);
  await assert.rejects(comet.history("a", { before: "e-1" }), { message: "the token is no string" });
  assert.deepEqual([comet.calls, sockets.length], [2, 0]);
  comet.connect();
  await settle();
  sockets[0].begin("e-1");
  assert.deepEqual([comet.calls, shown(sockets[0])], [3, ["good"]]);
});

test("a function that fails in time leaves the connection, and is called again", async () => {
  const comet = make([jwt(1000), () => Promise.reject("away"), jwt(1000)]);
  comet.read("a");
  await settle();
  sockets[0].begin("e-1");
  await pass(810, sockets[0]);
  assert.deepEqual([comet.calls, comet.told.at(-1)], [2, { type: "error", code: "unauthorized", names: [] }]);
  await pass(31, sockets[0]);
  assert.deepEqual([comet.calls, shown(sockets[0]).length, comet.readyState], [3, 2, 1]);
});

test("a publication and a page of history are asked for again with another token", async () => {
  const comet = make(["one", "two", "three"]);
  const published = comet.publish("a", 1);
  const page = comet.history("a", { before: "e-9" });
  await settle();
  assert.deepEqual([comet.calls, requests.length], [1, 2]);
  await world.pass(60);
  for (const { answer } of requests.splice(0)) answer(401, { code: "unauthorized" });
  await settle();
  assert.deepEqual([comet.calls, ...requests.map(bearer)], [2, "Bearer two", "Bearer two"]);
  for (const request of requests)
    if (request.options.body) request.answer(201, { cursor: "e-2" });
    else request.answer(200, body(9));
  assert.deepEqual([await published, (await page).messages], ["e-2", []]);
  const refused = assert.rejects(comet.history("a", { before: "e-9" }), { code: "unauthorized" });
  await settle();
  requests.at(-1).answer(401, { code: "unauthorized" });
  await refused;
});

test("a page that is closed while it waits for a token sends nothing", async () => {
  let give;
  const comet = make([() => new Promise((done) => (give = done))]);
  comet.read("a");
  await settle();
  comet.close();
  give("late");
  await settle();
  assert.equal(sockets.length, 0);
  comet.connect();
  await settle();
  give("again");
  await settle();
  sockets[0].begin("e-1");
  assert.deepEqual(shown(sockets[0]), ["again"]);
});

test("a call and a publication that wait for a token are not made once the page is closed", async () => {
  let give;
  const comet = make([() => new Promise((done) => (give = done))]);
  const refused = [comet.call("m"), comet.publish("a", 1)].map((each) =>
    assert.rejects(each, { code: "closed" }),
  );
  await settle();
  comet.close();
  give("late");
  await settle();
  await Promise.all(refused);
  assert.equal(requests.length, 0);
});

test("a function that fails for calls leads to no connection without names", async () => {
  const no = () => Promise.reject(new Error("no"));
  const comet = make([no, no, "t"]);
  for (let tries = 0; tries < 2; tries++) await assert.rejects(comet.call("m"), { code: "unauthorized" });
  const called = comet.call("m");
  await settle();
  requests[0].answer(200, { data: 1 });
  assert.equal(await called, 1);
  await world.pass(60);
  assert.deepEqual([sockets.length, requests.length, comet.calls], [0, 1, 3]);
});

test("connect() after close() asks for another token", async () => {
  const comet = make(["one", "two"]);
  comet.read("a");
  await settle();
  sockets[0].begin("e-1");
  comet.close();
  comet.connect();
  await settle();
  sockets[1].begin("e-1");
  assert.deepEqual([comet.calls, shown(sockets[1])], [2, ["two"]]);
});

test("names that end are told, and the others go on", async () => {
  for (const token of ["text", undefined]) {
    const comet = make([], { token });
    const gone = ["expired", "revoked"].map((code) =>
      assert.rejects(comet.messages(code).next(), { code }),
    );
    comet.read("c");
    await settle();
    const socket = sockets.at(-1);
    socket.begin("e-1");
    for (const code of ["expired", "revoked"])
      socket.say({ cursor: "e-1", ended: { names: [code, "z"], code } });
    await Promise.all(gone);
    await settle();
    socket.say(message(2, { channel: "expired" }));
    socket.say(message(3, { channel: "c" }));
    assert.deepEqual([comet.heard, comet.readyState], [[3], 1]);
    assert.deepEqual(comet.told.slice(1), [
      { type: "error", code: "expired", names: ["expired"] },
      { type: "error", code: "revoked", names: ["revoked"] },
    ]);
    comet.close();
  }
});

for (const code of ["forbidden", "revoked"])
  test(`a connection that ends with ${code} does not come back`, async () => {
    const comet = make(["one", "two"], { transports: ["longpoll"] });
    comet.read("a");
    await settle();
    requests[0].answer(200, body(1));
    await settle();
    requests[1].answer(200, { ...body(1), close: { code, message: "", retry: null } });
    await settle();
    await world.pass(1000);
    assert.deepEqual([comet.calls, requests.length, comet.readyState], [1, 2, Comet.CLOSED]);
    assert.deepEqual(comet.told.at(-1), { type: "close", code, retry: null });
  });

test("of several names in a request, only those that the server refuses are given up", async () => {
  const comet = make([], { transports: ["longpoll"], token: "t" });
  const ready = ["a", "b", "c"].map((name) => comet.read(name));
  const refused = assert.rejects(ready[1], { code: "forbidden", message: "not b", retry: null });
  await settle();
  requests[0].answer(403, { code: "forbidden", detail: "not all" });
  await settle();
  assert.deepEqual(requests.map(({ names }) => names), ["a,b,c", "a", "b", "c"]);
  requests[1].answer(200, body(1));
  requests[2].answer(403, { code: "forbidden", detail: "not b" });
  requests[3].answer(200, body(1));
  await refused;
  await settle();
  assert.equal(requests[4].names, "a,c");
  requests[4].answer(200, body(1));
  await ready[0];
  assert.deepEqual(comet.told, [{ type: "error", code: "forbidden", names: ["b"] }, { type: "open" }]);
  // Later, and when names are added to others.
  const more = ["d", "e"].map((name) => comet.read(name));
  await settle();
  assert.equal(requests[6].names, "a,c,d,e");
  requests[6].answer(403, { code: "forbidden", detail: "not all" });
  await settle();
  requests[7].answer(403, { code: "forbidden", detail: "not d" });
  requests[8].answer(200, body(1));
  await assert.rejects(more[0], { code: "forbidden" });
  await settle();
  assert.deepEqual([requests[9].names, requests[5].isAborted()], ["a,c,e", false]);
  requests[9].answer(200, body(1));
  await more[1];
  requests.at(-1).answer(403, { code: "forbidden", detail: "not all" });
  await settle();
  for (const request of requests.slice(-3)) request.answer(403, { code: "forbidden", detail: "none" });
  await settle();
  assert.deepEqual(comet.told.slice(-3).map(({ code, names }) => [code, ...names]), [
    ["forbidden", "a"],
    ["forbidden", "c"],
    ["forbidden", "e"],
  ]);
});

test("if the server refuses no single name, the client waits as long as possible", async () => {
  const comet = make([], { transports: ["longpoll"], token: "t" });
  const ready = ["a", "b"].map((name) => assert.rejects(comet.read(name), { code: "forbidden", retry: 30 }));
  await settle();
  requests[0].answer(403, { code: "forbidden", detail: "no" });
  await settle();
  for (const request of requests.slice(1)) request.answer(200, body(1));
  await Promise.all(ready);
  assert.deepEqual(comet.told.map(({ type, code }) => [type, code]), [
    ["error", "forbidden"],
    ["close", "forbidden"],
  ]);
  await world.pass(29);
  assert.equal(requests.length, 3);
  await world.pass(2);
  assert.equal(requests[3].names, "a,b");
});

test("an EventSource does not tell why it failed: a poll finds out", async () => {
  const comet = make([], { transports: ["sse"], token: undefined });
  const refused = assert.rejects(comet.read("a"), { code: "unauthorized", message: "who are you?" });
  await settle();
  sources[0].onerror({});
  await settle();
  requests[0].answer(401, { code: "unauthorized", detail: "who are you?" });
  await refused;
  assert.deepEqual(comet.told, [{ type: "error", code: "unauthorized", names: ["a"] }]);
});

/** Two tabs of one client that share a connection; the first leads. */
const pair = async (...tokens) => {
  const tabs = [];
  for (const [index, token] of tokens.entries()) {
    const tab = make([token, jwt(100, { jti: "new" })], { shared: true });
    tab.read("a");
    await settle();
    if (index) requests.at(-1)?.answer(200, body(1));
    else sockets[0].begin("e-1");
    await settle();
    tabs.push(tab);
    await world.pass(1);
  }
  return tabs;
};

test("one tab asks for the next token of all", async () => {
  const [leader, guest] = await pair(jwt(100, { jti: "1" }), jwt(100, { jti: "2" }));
  assert.deepEqual([leader.transport, guest.transport], ["websocket", "shared"]);
  await pass(90, sockets[0]);
  assert.deepEqual([leader.calls, guest.calls, sockets.length], [2, 1, 1]);
  const [, token] = shown(sockets[0]);
  const page = guest.history("a", { before: "e-9" });
  await settle();
  assert.equal(bearer(requests.at(-1)), `Bearer ${token}`);
  requests.at(-1).answer(200, body(9));
  await page;
  sockets[0].say(message(2));
  await settle();
  assert.deepEqual([leader.heard, guest.heard], [[2], [2]]);
});

test("tabs of other clients, and of other rights, do not share", async () => {
  const tokens = [{ sub: "ada" }, { sub: "bob" }, { sub: "ada", comet: { subscribe: ["b"] } }];
  for (const claims of tokens) make([jwt(100, claims)], { shared: true }).read("a");
  await settle();
  assert.equal(sockets.length, 3);
});

test("a name that the leading tab is refused for another is told there, and asked for once", async () => {
  const [leader, guest] = await pair(jwt(1000), jwt(1000));
  const refused = assert.rejects(guest.read("b"), { code: "forbidden", message: "forbidden!" });
  await settle();
  sockets[0].answer("subscribe", { error: error("forbidden") });
  await refused;
  await settle();
  assert.deepEqual(sockets[0].sent.filter(({ subscribe }) => subscribe?.includes("b")).length, 1);
  assert.deepEqual(guest.told.at(-1), { type: "error", code: "forbidden", names: ["b"] });
  sockets[0].say(message(2));
  await settle();
  requests.at(-1).answer(200, body(2, message(2)));
  await settle();
  assert.deepEqual([leader.heard, guest.heard], [[2], [2]]);
});
