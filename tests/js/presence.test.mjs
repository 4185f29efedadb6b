import assert from "node:assert/strict";
import test, { afterEach, beforeEach } from "node:test";
import { requests, settle, sockets, storage, world } from "./globals.mjs";
import { Comet } from "../../comet/static/client/src/comet.js";
// Imported here, so that import() has it at once.
import "../../comet/static/client/src/presence.js";

const EVENTS = "$presence/room";
let comet, socket, told, errors;

const join = (client, position, more) => event("join", client, position, more);
const leave = (client, position, more) => event("leave", client, position, more);
const event = (event, client, position, { info, ...more } = {}) => ({
  channel: EVENTS, cursor: `e-${position}`, event, data: { client, ...(info && { info }) }, ...more,
});
const list = (position, clients, more) => ({
  cursor: `e-${position}`, count: clients.length, anonymous: 0,
  members: clients.map((client) => ({ client, connections: 1, since: 5 })), ...more,
});
const names = ({ members }) => members.map(({ client }) => client);
const follow = (options) =>
  comet.presence("room", (presence, change) => told.push([names(presence), change?.event]), options);

/** Follow the room, read its events from 10 on, and have the list asked for. */
const begin = async (options) => {
  const presence = follow(options);
  presence.catch(() => {});
  await settle();
  [socket] = sockets;
  socket.begin("e-10");
  await settle();
  return presence;
};

/** Answer the last request for the list. */
const answer = async (value, status = 200, headers) => {
  requests.at(-1).answer(status, value, headers);
  await settle();
};

/** Follow the room, with this list. */
const shown = async (clients, options, more) => {
  const presence = begin(options);
  await settle();
  await answer(list(10, clients, more));
  return presence;
};

beforeEach(() => {
  world.begin();
  told = [];
  errors = [];
  comet = new Comet("http://a.example/", { token: "t", transports: ["websocket"] });
  comet.addEventListener("error", ({ code, names }) => errors.push([code, names]));
});

afterEach(async () => {
  comet.close();
  await settle();
  sockets.length = requests.length = 0;
  for (const key in storage) delete storage[key];
  world.end();
});

test("the list is asked for once its events are read, and is changed by them", async () => {
  const presence = await shown(["ada", "bob"], {}, { anonymous: 3 });
  const [{ url, options }] = requests;
  assert.equal(url, "http://a.example/presence/room?limit=1000");
  assert.equal(options.headers.Authorization, "Bearer t");
  assert.deepEqual([presence.count, presence.anonymous, presence.more], [2, 3, false]);
  assert.deepEqual(presence.members[0], { client: "ada", since: 5 });
  socket.say(join("cy", 11, { info: { role: "host" }, time: 7.5 }));
  assert.deepEqual(presence.members[2], { client: "cy", info: { role: "host" }, since: 7.5 });
  socket.say(event("update", "ada", 12, { info: { away: true } }));
  assert.deepEqual(presence.members[0], { client: "ada", info: { away: true }, since: 5 });
  socket.say(leave("bob", 13));
  assert.deepEqual(told, [
    [["ada", "bob"], undefined],
    [["ada", "bob", "cy"], "join"],
    [["ada", "bob", "cy"], "update"],
    [["ada", "cy"], "leave"],
  ]);
  assert.deepEqual([presence.count, requests.length], [2, 1]);
});

test("events before the list's cursor are in it, and those after it are not", async () => {
  const following = begin();
  await settle();
  for (const each of [join("ada", 11), leave("bob", 12), join("cy", 13), leave("ada", 14)])
    socket.say(each);
  await answer(list(12, ["ada"]));
  assert.deepEqual(names(await following), ["cy"]);
  assert.deepEqual(told, [[["cy"], undefined]]);
});

test("the members are another array after each change, and else the same", async () => {
  const presence = await shown(["ada"]);
  const before = presence.members;
  assert.equal(presence.members, before);
  socket.say(join("bob", 11));
  assert.notEqual(presence.members, before);
  assert.equal(before.length, 1);
});

test("what is no event of presence changes nothing", async () => {
  const presence = await shown(["ada"]);
  for (const data of [null, 5, "ada", [], { client: 5 }])
    socket.say({ channel: EVENTS, cursor: "e-11", event: "leave", data });
  socket.say(event("flap", "ada", 12));
  socket.say(event("update", "bob", 13));
  assert.deepEqual([names(presence), presence.count], [["ada"], 1]);
});

test("after a gap the list is asked for again, and an older answer does not count", async () => {
  const presence = await shown(["ada"]);
  const old = presence.refresh();
  await settle();
  const late = requests.at(-1);
  socket.say({ cursor: "e-20", gap: [EVENTS] });
  socket.say(join("dan", 22));
  await settle();
  assert.deepEqual(names(presence), ["ada"]);
  await answer(list(21, ["bob", "cy"]));
  late.answer(200, list(19, ["old"]));
  await old;
  assert.deepEqual(names(presence), ["bob", "cy", "dan"]);
});

test("in a new epoch the list is asked for again", async () => {
  const presence = await shown(["ada"]);
  // What waits for a list is not of the new epoch, though its position is beyond the next list's.
  presence.refresh();
  socket.say(join("old", 30));
  socket.fail();
  await world.pass(2);
  socket = sockets.at(-1);
  socket.begin("f-3", { gap: [EVENTS] });
  socket.say({ ...join("bob", 5), cursor: "f-5" });
  await settle();
  await answer({ ...list(4, ["cy"]), cursor: "f-4" });
  assert.deepEqual(names(presence), ["cy", "bob"]);
});

test("a long list is asked for page by page, and is that of the last", async () => {
  const clients = Array.from({ length: 1500 }, (_, index) => `c${index}`);
  const following = begin({ limit: Infinity });
  await settle();
  await answer(list(10, clients.slice(0, 1000), { count: 1500, more: true }));
  assert.deepEqual(requests.at(-1).query, { limit: "1000", after: "c999" });
  // One of the first page leaves, and one comes, who is on the second page.
  socket.say(leave("c0", 11));
  socket.say(join("new", 12));
  await answer(list(12, [...clients.slice(1000), "new"], { count: 1500 }));
  const presence = await following;
  assert.deepEqual(names(presence), [...clients.slice(1), "new"]);
  assert.deepEqual([presence.count, presence.more], [1500, false]);
});

test("if the last of a page is gone, the list is asked for from the beginning", async () => {
  const following = begin({ limit: 2000 });
  await settle();
  await answer(list(10, ["ada"], { count: 2, more: true }));
  await answer({ code: "badRequest", detail: "'ada' is no member" }, 400);
  await world.pass(1.1);
  assert.deepEqual(requests.at(-1).query, { limit: "1000" });
  await answer(list(12, ["bob"]));
  assert.deepEqual(names(await following), ["bob"]);
});

test("with a limit all members are counted, and the first are listed", async () => {
  const presence = await shown(["a", "b", "c", "d"], { limit: 4 }, { count: 6, more: true });
  assert.equal(requests[0].query.limit, "4");
  socket.say(join("g", 11));
  assert.deepEqual([names(presence), presence.count, presence.more], [["a", "b", "c", "d"], 7, true]);
  for (const [index, client] of ["e", "a", "b"].entries()) socket.say(leave(client, 12 + index));
  await settle();
  assert.deepEqual([names(presence), presence.count, requests.length], [["c", "d"], 4, 1]);
  // When less than half of them are left, it is asked for again.
  socket.say(leave("c", 15));
  await settle();
  assert.deepEqual([names(presence), requests.length], [["d"], 2]);
  await answer(list(15, ["d", "f", "g"]));
  assert.deepEqual([names(presence), presence.count, presence.more], [["d", "f", "g"], 3, false]);
});

test("a list is no longer than its limit, and complete again when fewer are there", async () => {
  const presence = await shown(["a"], { limit: 2 });
  const is = () => [names(presence), presence.count, presence.more];
  socket.say(join("b", 11));
  assert.deepEqual(is(), [["a", "b"], 2, false]);
  socket.say(join("c", 12));
  assert.deepEqual(is(), [["a", "b"], 3, true]);
  socket.say(leave("c", 13));
  assert.deepEqual(is(), [["a", "b"], 2, false]);
  socket.say(leave("a", 14));
  socket.say(join("d", 15));
  assert.deepEqual(is(), [["b", "d"], 2, false]);
  assert.equal(requests.length, 1);
});

test("a list that is away for now is asked for again", async () => {
  const following = begin();
  await settle();
  requests.at(-1).fail();
  await settle();
  await world.pass(1.1);
  await answer({ code: "unavailable" }, 503, { "Retry-After": "9" });
  await world.pass(8.9);
  assert.equal(requests.length, 2);
  await world.pass(0.2);
  await answer({});
  await world.pass(2.1);
  await answer(list(12, ["ada"]));
  assert.deepEqual(names(await following), ["ada"]);
});

test("without a connection it waits for one", async () => {
  const following = follow();
  await settle();
  sockets[0].fail();
  await world.pass(1.1);
  assert.equal(sockets.length, 2);
  sockets[1].begin("e-10");
  await settle();
  await answer(list(10, ["ada"]));
  assert.deepEqual(names(await following), ["ada"]);
});

test("what the server refuses is not asked for again", async () => {
  for (const code of ["notFound", "forbidden"]) {
    const following = follow();
    following.catch(() => {});
    await settle();
    if (sockets.length < 2 && code === "notFound") sockets[0].begin("e-10");
    else sockets.at(-1).begin("e-10");
    await settle();
    await answer({ code, detail: "no" }, code === "notFound" ? 404 : 403);
    await assert.rejects(following, { name: "CometError", code });
  }
  assert.deepEqual([told, errors], [[], []]);
  // Nothing is read any more.
  assert.equal(sockets.at(-1).isClosed, true);
});

test("what is no list is refused", async () => {
  for (const wrong of [{ members: null }, { members: [{}, null] }, { count: "2" }, { anonymous: undefined }]) {
    sockets.length = 0;
    const following = begin();
    following.catch(() => {});
    await settle();
    await answer({ ...list(10, ["ada"]), ...wrong });
    await assert.rejects(following, { code: "badMessage" });
  }
  assert.deepEqual(told, []);
});

test("a list that is refused later is closed, and the client's event says so", async () => {
  const presence = await shown(["ada"]);
  socket.say({ cursor: "e-20", gap: [EVENTS] });
  await settle();
  await answer({ code: "forbidden", detail: "no" }, 403);
  assert.deepEqual([presence.closed, errors], [true, [["forbidden", [EVENTS]]]]);
});

test("a list that the page asks for, and is refused, is closed", async () => {
  const presence = await shown(["ada"]);
  const refreshed = presence.refresh();
  refreshed.catch(() => {});
  await settle();
  await answer({ code: "forbidden", detail: "no" }, 403);
  await assert.rejects(refreshed, { code: "forbidden" });
  assert.deepEqual([presence.closed, errors, socket.isClosed], [true, [], true]);
});

test("a list whose events are ended is closed", async () => {
  const presence = await shown(["ada"]);
  socket.say({ cursor: "e-11", ended: { names: [EVENTS], code: "revoked" } });
  assert.deepEqual([presence.closed, errors], [true, [["revoked", [EVENTS]]]]);
  assert.deepEqual(names(presence), ["ada"]);
});

test("it ends when it is closed, or its signal is aborted", async () => {
  const control = new AbortController();
  const presence = await shown(["ada"], { signal: control.signal });
  control.abort();
  await settle();
  assert.deepEqual([presence.closed, socket.isClosed], [true, true]);
  await assert.rejects(follow({ signal: control.signal }), { name: "AbortError" });
  assert.equal(sockets.length, 1);
});

test("a signal that is aborted before the list is complete ends it", async () => {
  const control = new AbortController();
  const following = begin({ signal: control.signal });
  following.catch(() => {});
  await settle();
  control.abort();
  await answer(list(10, ["ada"]));
  await assert.rejects(following, { name: "AbortError" });
  assert.deepEqual([told, socket.isClosed], [[], true]);
});

test("a signal that is aborted without a connection ends it", async () => {
  const control = new AbortController();
  const following = follow({ signal: control.signal });
  await settle();
  control.abort();
  await assert.rejects(following, { name: "AbortError" });
});

test("a client that is closed and opened again goes on with the list", async () => {
  const presence = await shown(["ada"]);
  comet.close();
  comet.connect();
  await settle();
  socket = sockets.at(-1);
  socket.open();
  assert.deepEqual(socket.sent.find(({ subscribe }) => subscribe).since, { [EVENTS]: "e-10" });
  socket.answer("subscribe", { ok: { cursor: "e-10" } });
  socket.say(join("bob", 11));
  assert.deepEqual(names(presence), ["ada", "bob"]);
});

test("a list that is due while the client is closed is asked for once it is open", async () => {
  const presence = await shown(["ada"]);
  socket.say({ cursor: "e-20", gap: [EVENTS] });
  await settle();
  comet.close();
  await answer(list(20, ["old"]));
  assert.deepEqual(names(presence), ["ada"]);
  comet.connect();
  await settle();
  sockets.at(-1).begin("e-20");
  await settle();
  await answer(list(21, ["bob"]));
  assert.deepEqual([names(presence), errors], [["bob"], []]);
});

test("options that do not exist are refused", async () => {
  await assert.rejects(comet.presence("room", () => {}, { limits: 5 }), TypeError);
  await assert.rejects(comet.presence("room", () => {}, { limit: 0 }), TypeError);
  assert.deepEqual([sockets.length, requests.length], [0, 0]);
});

test("the list is that of the server, whatever happens meanwhile", async () => {
  let seed = 1;
  const random = (below) => (seed = (seed * 48271) % 2147483647) % below;
  const presence = await shown([]);
  const members = new Map();
  let position = 10;
  for (let step = 0; step < 3000; step++) {
    const chance = random(20);
    if (chance < 14) {
      const client = `c${random(8)}`;
      const isIn = members.has(client);
      const message = isIn ? leave(client, ++position) : join(client, ++position);
      if (isIn) members.delete(client);
      else members.set(client, 1);
      // Before a gap, events are lost.
      if (chance === 13) socket.say({ cursor: `e-${position}`, gap: [EVENTS] });
      else socket.say(message);
    } else if (chance < 17) await settle();
    else if (requests.length > 1) {
      const [request] = requests.splice(1 + random(requests.length - 1), 1);
      request.answer(200, list(position, [...members.keys()]));
    }
  }
  await settle();
  for (const { answer } of requests.slice(1)) answer(200, list(position, [...members.keys()]));
  await settle();
  assert.deepEqual([names(presence).sort(), presence.count], [[...members.keys()].sort(), members.size]);
});
