/**
 * Scenarios: a page whose token is a function, and the server ends what has no token.
 */

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Server, until } from "../pages/site.mjs";
import { Meddler } from "./proxies.mjs";
import { Tab } from "./stage.mjs";

/** Seconds: the life of a token.  The server takes it for five seconds more. */
const LIFE = 4;

/** A server that permits what a token says, and how pages reach it. */
class Guarded {
  async start(folder) {
    this.secret = randomBytes(32).toString("hex");
    const path = join(folder, "secret");
    await writeFile(path, this.secret, { mode: 0o600 });
    this.server = new Server("--token-key", path, "--heartbeat", "5", "--open-read", "test/open");
    await this.server.start();
    this.key = (await readFile("comet.key", "utf8")).trim();
    this.meddler = await new Meddler(this.server.port).start();
    return this;
  }

  async stop() {
    await this.meddler.stop();
    await this.server.stop();
  }

  async post(path, value) {
    const headers = { "Content-Type": "application/json", Authorization: `Bearer ${this.key}` };
    const body = JSON.stringify(value);
    const answer = await fetch(`${this.server.url}${path}`, { method: "POST", headers, body });
    assert.ok(answer.ok, await answer.text());
  }

  publish(channel, data) {
    return this.post(`channels/${channel}`, data);
  }

  /** Disconnect or revoke. */
  act(what, value) {
    return this.post(`admin/${what}`, value);
  }

  /** A page that makes tokens itself, as its backend would, and counts them. */
  async open(browser, rest = {}) {
    const tab = await Tab.open(browser, this.meddler.url, { transports: ["poll"] }, rest);
    await tab.page.evaluate(
      async (secret, life) => {
        comet.close();
        const bytes = (text) => new TextEncoder().encode(text);
        const algorithm = { name: "HMAC", hash: "SHA-256" };
        const key = await crypto.subtle.importKey("raw", bytes(secret), algorithm, false, ["sign"]);
        const base64 = (text) =>
          btoa(text).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
        window.makeToken = async (client, seconds = life) => {
          const iat = Date.now() / 1000;
          const claims = { sub: client, iat, exp: iat + seconds, comet: { subscribe: ["test/*"] } };
          const head = ["HS256", claims].map((each, index) =>
            base64(JSON.stringify(index ? each : { alg: each })),
          );
          const signed = new Uint8Array(
            await crypto.subtle.sign("HMAC", key, bytes(head.join("."))),
          );
          return [...head, base64(String.fromCharCode(...signed))].join(".");
        };
        /** A client that keeps what it hears, how it was refused, and how often it asked. */
        window.begin = async (options) => {
          const it = { calls: 0, heard: [], events: [] };
          const token = () => {
            it.calls++;
            return makeToken("ada");
          };
          it.comet = new Comet("/", { token, backoff: [0.2, 1], interval: 0.3, ...options });
          for (const type of ["open", "close", "error"])
            it.comet.addEventListener(type, ({ code, names }) =>
              it.events.push([type, code, names].filter(Boolean).join(" ")),
            );
          // A busy machine may be late, which looks like a proxy that holds everything back.
          const read = (name, hear) =>
            it.comet.subscribe(name, hear).catch((error) => {
              if (error.code == "buffered") return read(name, hear);
              throw error;
            });
          const refused = read("secret/a", () => {}).catch(({ code }) => code);
          await read("test/a", ({ data }) => it.heard.push(data));
          it.refused = await refused;
          (window.clients ??= []).push(it);
        };
        window.report = () =>
          clients.map(({ calls, heard, events, refused }) => ({ calls, heard, events, refused }));
      },
      this.secret,
      LIFE,
    );
    return tab;
  }
}

/** Publish numbers until a condition holds, and return how many. */
const publishUntil = async (guarded, isOver) => {
  let count = 0;
  await until("enough tokens are used", async () => {
    for (let each = 0; each < 3; each++) await guarded.publish("test/a", count++);
    return isOver();
  });
  return count;
};

/** Tokens end and are replaced: nothing is lost, and nothing comes twice. */
const renewed = (...transports) => async ({ browser, folder }) => {
  const guarded = await new Guarded().start(folder);
  const tab = await guarded.open(browser, { isCut: true });
  const report = () => tab.page.evaluate(() => report());
  await tab.page.evaluate(
    (transports) => Promise.all(transports.map((each) => begin({ transports: [each] }))),
    transports,
  );
  const count = await publishUntil(guarded, async () =>
    (await report()).every(({ calls }) => calls >= 4),
  );
  const expected = Array.from({ length: count }, (_, index) => index);
  await until("all are heard", async () =>
    (await report()).every(({ heard }) => heard.length >= count),
  ).catch(async (error) => {
    throw new Error(`${error.message}\n${JSON.stringify(await report())}`);
  });
  for (const { heard, events, refused } of await report()) {
    assert.deepEqual(heard, expected);
    assert.equal(refused, "forbidden");
    // A busy machine may be late with a token.
    const late = /^(open|close (expired|buffered))$/;
    const others = events.filter((each) => !late.test(each));
    assert.deepEqual(others, ["error forbidden secret/a"], `${transports}`);
  }
  await tab.close();
  await guarded.stop();
};

/** One of the tabs that share a connection asks for the next token of all. */
const shared = async ({ browser, folder }) => {
  const guarded = await new Guarded().start(folder);
  const tabs = [];
  for (let each = 0; each < 2; each++) {
    const tab = await guarded.open(browser, { isCut: true });
    await tab.page.evaluate(() => begin({ shared: true, transports: ["websocket"] }));
    tabs.push(tab);
  }
  const reports = () => Promise.all(tabs.map((tab) => tab.page.evaluate(() => report()[0])));
  const count = await publishUntil(guarded, async () =>
    (await reports()).some(({ calls }) => calls >= 5),
  );
  await until("all are heard", async () =>
    (await reports()).every(({ heard }) => heard.length >= count),
  );
  const told = await reports();
  const expected = Array.from({ length: count }, (_, index) => index);
  for (const { heard, refused } of told) assert.deepEqual([heard, refused], [expected, "forbidden"]);
  // The other asks only if this one is late.
  const [few, many] = told.map(({ calls }) => calls).toSorted((one, other) => one - other);
  assert.ok(2 * few <= many, `${few} and ${many}`);
  const used = await Promise.all(
    tabs.map((tab) => tab.page.evaluate(() => clients[0].comet.transport)),
  );
  assert.deepEqual(used.toSorted(), ["shared", "websocket"]);
  for (const tab of tabs) await tab.close();
  await guarded.stop();
};

/** Names that may no longer be read end alone, and the client reads the others. */
const ended = async ({ browser, folder }) => {
  const guarded = await new Guarded().start(folder);
  const tab = await guarded.open(browser, { isCut: true });
  await tab.page.evaluate(async () => {
    const token = await makeToken("ada", 600);
    const transports = ["websocket", "sse", "longpoll"];
    window.clients = await Promise.all(
      transports.map(async (each) => {
        const it = { heard: [], events: [] };
        it.comet = new Comet("/", { token, transports: [each], backoff: [0.2, 0.5] });
        for (const type of ["close", "error"])
          it.comet.addEventListener(type, ({ code, names }) => it.events.push([code, names]));
        const read = (name) => it.comet.subscribe(name, ({ data }) => it.heard.push(data));
        await Promise.all([read("test/a"), read("test/open")]);
        return it;
      }),
    );
  });
  await guarded.publish("test/a", 0);
  const report = () => tab.page.evaluate(() => clients.map(({ heard, events }) => ({ heard, events })));
  const allHeard = (count) =>
    until(`${count} are heard`, async () => (await report()).every(({ heard }) => heard.length >= count));
  await allHeard(1);
  await guarded.act("revoke", { client: "ada", channels: ["test/a"] });
  const hasEnded = ({ events }) => events.some(([, names]) => names?.includes("test/a"));
  await until("the name ends", async () => (await report()).every(hasEnded)).catch(async (error) => {
    throw new Error(`${error.message}\n${JSON.stringify(await report())}`);
  });
  await guarded.publish("test/a", 1);
  await guarded.publish("test/open", 2);
  await allHeard(2);
  const [websocket, sse, longpoll] = await report();
  for (const { heard } of [websocket, sse, longpoll]) assert.deepEqual(heard, [0, 2]);
  assert.deepEqual([websocket.events, sse.events], [[["revoked", ["test/a"]]], [["revoked", ["test/a"]]]]);
  // A poll that is held is closed as a whole, and the next one is refused for this name.
  const last = longpoll.events.pop();
  assert.deepEqual(last, ["forbidden", ["test/a"]]);
  for (const [code] of longpoll.events) assert.equal(code, "revoked");
  await tab.close();
  await guarded.stop();
};

/** Clients that are disconnected come back by themselves, and those that are revoked do not. */
const removed = async ({ browser, folder }) => {
  const guarded = await new Guarded().start(folder);
  const tab = await guarded.open(browser, { isCut: true });
  const report = () => tab.page.evaluate(() => report());
  await tab.page.evaluate(async () => {
    // A browser opens six connections to a server, and each of these needs a second now and then.
    for (const each of ["websocket", "sse", "longpoll", "iframe"])
      await begin({ transports: [each] });
  });
  const countOf = ({ events }, text) => events.filter((each) => each === text).length;
  await guarded.act("disconnect", { client: "ada" });
  const isBack = (each) => countOf(each, "close disconnected") && countOf(each, "open") > 1;
  await until("all are back", async () => (await report()).every(isBack)).catch(async (error) => {
    throw new Error(`${error.message}\n${JSON.stringify(await report())}`);
  });
  for (let data = 0; data < 10; data++) await guarded.publish("test/a", data);
  await until("all is heard", async () => (await report()).every(({ heard }) => heard.length >= 10));
  await guarded.act("revoke", { client: "ada" });
  const states = () => tab.page.evaluate(() => clients.map(({ comet }) => comet.readyState));
  await until("all are closed", async () => (await states()).every((state) => state === 2));
  for (const each of await report()) {
    assert.deepEqual(each.heard, Array.from({ length: 10 }, (_, index) => index));
    assert.equal(each.events.at(-1), "close revoked");
  }
  await tab.close();
  await guarded.stop();
};

export const scenarios = [
  ["tokens are replaced on a WebSocket and a long poll", renewed("websocket", "longpoll")],
  ["tokens are replaced on an EventSource and by JSONP", renewed("sse", "jsonp")],
  ["tokens are replaced on a stream and in a frame", renewed("stream", "iframe")],
  ["tabs that share a connection share the next token", shared],
  ["of the names that a token permits, one is revoked", ended],
  ["a client is disconnected, and then revoked", removed],
];
