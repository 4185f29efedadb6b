/**
 * Cut the connections of an EventSource at random moments while messages are
 * published, and compare what it has heard with what was published:
 *
 *     node moments.mjs firefox|chromium|eventsource [CUTS [polyfill]]
 *
 * `eventsource` is npm's, in Node.  With `polyfill` the browser uses npm's
 * event-source-polyfill, which comes back with a parameter, not with a header.
 */

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";
import { Server, openBrowser, openPage, until } from "../pages/site.mjs";
import { Cutter, Meddler } from "./proxies.mjs";

const require = createRequire(new URL("../../client/package.json", import.meta.url));
const [client, count = "200", polyfill] = process.argv.slice(2);
const READERS = 50;

// Milliseconds between two messages, at most.  On the second channel most cuts come before the
// first message.
const PAUSES = { "test/often": 60, "test/seldom": 4000 };
const CHANNELS = Object.keys(PAUSES);

// After two refusals the polyfill waits for 8 s.
const PATIENCE = 60_000;

/** Read these URLs, in the page or here. */
const read = (urls) => {
  globalThis.opened = urls.map((url) => {
    const source = new EventSource(url);
    const events = [];
    for (const type of ["$at", "message", "$gap", "$close"])
      source.addEventListener(type, ({ lastEventId, data }) => {
        events.push({ type, lastEventId, data });
      });
    return { source, events };
  });
};

/** What each reader has heard, and whether it still reads. */
const told = () => opened.map(({ source, events }) => ({ state: source.readyState, events }));

/** Start the client. */
const start = async (page) => {
  if (client === "eventsource") {
    globalThis.EventSource = (await import(require.resolve("eventsource"))).EventSource;
    return {
      call: async (run, value) => run(value),
      stop: () => opened.forEach(({ source }) => source.close()),
    };
  }
  const browser = await openBrowser(client);
  const tab = await openPage(browser, page);
  if (polyfill) {
    await tab.addScriptTag({ path: require.resolve("event-source-polyfill") });
    await tab.evaluate(() => (window.EventSource = EventSourcePolyfill));
  }
  return { call: (run, value) => tab.evaluate(run, value), stop: () => browser.close() };
};

const positionOf = (cursor) => Number(cursor.split("-")[1]);

const server = new Server("--open", "test/**", "--heartbeat", "1", "--allow-origin", "*");
await server.start();
const meddler = await new Meddler(server.port).start();
const budget = { left: Number(count) };
const cutters = [];
for (let index = 0; index < READERS; index++)
  cutters.push(await new Cutter(server.port, budget).start());
const channelOf = (index) => CHANNELS[index % CHANNELS.length];
const published = Object.fromEntries(CHANNELS.map((channel) => [channel, []]));

const publish = async (channel, data) => {
  const url = `${server.url}channels/${channel}`;
  const answer = await fetch(url, { method: "POST", body: data });
  const { cursor } = await answer.json();
  published[channel].push({ data, cursor });
};

let isPublishing = true;
const publishAll = async (channel) => {
  for (let number = 0; isPublishing; number++) {
    await publish(channel, String(number));
    await sleep(Math.random() * PAUSES[channel]);
  }
};

/** The messages that a reader has heard. */
const messagesOf = ({ events }) =>
  events
    .filter(({ type }) => type === "message")
    .map(({ data, lastEventId }) => ({ data, cursor: lastEventId }));

/** The messages that a reader should have heard, up to the last that it has. */
const dueOf = (reader, channel) => {
  const [{ type, lastEventId }] = reader.events;
  assert.equal(type, "$at");
  const after = positionOf(lastEventId);
  const upTo = positionOf(messagesOf(reader).at(-1).cursor);
  return published[channel].filter(({ cursor }) => {
    const position = positionOf(cursor);
    return after < position && position <= upTo;
  });
};

const begun = Date.now();
const { call, stop } = await start(`${meddler.url}page`);
const publishing = CHANNELS.map(publishAll);
await call(read, cutters.map(({ url }, index) => `${url}channels/${channelOf(index)}`));
const countOf = ({ cuts }) => Object.values(cuts).reduce((sum, each) => sum + each, 0);
const isCut = () => cutters.reduce((sum, each) => sum + countOf(each), 0) >= Number(count);
await until("all are cut", isCut, 200_000);
const ends = CHANNELS.map((channel) => positionOf(published[channel].at(-1).cursor));
let readers;
await until(
  "all readers are back",
  async () => {
    readers = await call(told);
    return readers.every((reader, index) => {
      const last = messagesOf(reader).at(-1);
      return last && positionOf(last.cursor) > ends[index % CHANNELS.length];
    });
  },
  PATIENCE,
).catch((error) => {
  const states = readers.map((reader) => [reader.state, messagesOf(reader).length]);
  throw new Error(`${error.message}: ${JSON.stringify(states)}`);
});
isPublishing = false;
await Promise.all(publishing);

let [due, lost, repeated, gaps] = [0, 0, 0, 0];
for (const [index, reader] of readers.entries()) {
  const expected = dueOf(reader, channelOf(index));
  const cursors = messagesOf(reader).map(({ cursor }) => cursor);
  const known = new Set(cursors);
  due += expected.length;
  lost += expected.filter(({ cursor }) => !known.has(cursor)).length;
  repeated += cursors.length - known.size;
  gaps += reader.events.filter(({ type }) => type === "$gap").length;
  if (!lost && !repeated) assert.deepEqual(messagesOf(reader), expected);
}
const cuts = {};
for (const cutter of cutters)
  for (const [when, number] of Object.entries(cutter.cuts)) cuts[when] = (cuts[when] ?? 0) + number;
await stop();
await meddler.stop();
cutters.forEach((cutter) => cutter.stop());
await server.stop();
const where = Object.entries(cuts).map(([when, number]) => `${number} ${when}`);
console.log(`cut: ${where.join(", ")}`);
console.log(`${due} messages due, ${lost} lost, ${repeated} repeated, ${gaps} gaps`);
console.log(`${Math.round((Date.now() - begun) / 1000)} s`);
process.exitCode = lost || repeated || gaps ? 1 : 0;
