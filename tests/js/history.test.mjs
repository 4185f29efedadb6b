import assert from "node:assert/strict";
import test, { afterEach, beforeEach } from "node:test";
import { requests, settle, world } from "./globals.mjs";
import { Comet } from "../../comet/static/client/src/comet.js";

let comet;

beforeEach(() => {
  world.begin();
  comet = new Comet("http://a.example/push", { token: "t", parameters: { account: "x" } });
});

afterEach(() => {
  comet.close();
  requests.length = 0;
  world.end();
});

const message = (position) => ({ channel: "a/b", cursor: `e-${position}`, data: position });

test("history reads a page before a cursor, without a subscription", async () => {
  const page = comet.history("a/b", { before: "e-9", limit: 2 });
  await settle();
  assert.equal(requests.length, 1);
  const [{ url, names, query, options, answer }] = requests;
  assert.ok(url.startsWith("http://a.example/push/channels/a/b?"), url);
  assert.equal(names, "a/b");
  assert.deepEqual(query, { account: "x", transport: "poll", before: "e-9", limit: "2" });
  assert.equal(options.headers.Authorization, "Bearer t");
  const messages = [message(7), message(8)];
  answer(200, { cursor: "e-9", messages, more: true });
  assert.deepEqual(await page, { messages, more: true, gap: false });
  assert.equal(comet.cursor, null);
});

test("history tells that older messages are gone", async () => {
  const page = comet.history("a", { before: "e-9" });
  await settle();
  assert.equal(requests[0].query.limit, "50");
  requests[0].answer(200, { cursor: "e-9", messages: [], gap: ["a"] });
  assert.deepEqual(await page, { messages: [], more: false, gap: true });
});

test("history fails with a CometError, and asks once", async () => {
  for (const [code, reply] of [
    ["badCursor", (request) => request.answer(400, { code: "badCursor", detail: "no cursor" })],
    ["unavailable", (request) => request.answer(200, {
      cursor: "e-9", messages: [], close: { code: "unavailable", message: "the bus", retry: 2 },
    })],
    ["lost", (request) => request.fail()],
    ["closed", (request) => {
      comet.close();
      request.answer(200, { cursor: "e-9", messages: [] });
    }],
  ]) {
    const page = comet.history("a", { before: "e-9" });
    await settle();
    reply(requests.at(-1));
    await assert.rejects(page, { name: "CometError", code });
  }
  await assert.rejects(comet.history("a", { before: "e-9" }), { code: "closed" });
  await assert.rejects(comet.history("a", { since: "e-9" }), TypeError);
  assert.equal(requests.length, 4);
});
