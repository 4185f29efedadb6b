/**
 * Scenarios: messages that the server compresses.
 */

import assert from "node:assert/strict";
import { Server, until } from "../pages/site.mjs";
import { Meddler } from "./proxies.mjs";
import { Tab } from "./stage.mjs";

const COUNT = 60;

/** Every third is below the bound from which on messages are compressed. */
const make = (number) => ({ number, text: `large, ${number}, ü 狐; `.repeat(number % 3 ? 40 : 1) });

const begin = async () => {
  const server = new Server("--open", "test/**", "--heartbeat", "1", "--compress-above", "100");
  await server.start();
  return server;
};

const publish = (server, channel, from, to) =>
  server.publishAll(channel, Array.from({ length: to - from }, (_, index) => make(from + index)));

/** The client hears all messages, small and large, held and live, in order and as they are. */
const alone = (transport) => async ({ browser, number }) => {
  const server = await begin();
  const channel = `test/compressed${number}`;
  await publish(server, channel, 0, 20);
  const meddler = await new Meddler(server.port).start();
  const options = { transports: [transport], interval: 0.2 };
  const tab = await Tab.open(browser, meddler.url, options);
  await tab.read(channel, "earliest");
  for (let from = 20; from < COUNT; from += 10) await publish(server, channel, from, from + 10);
  await tab.hears(COUNT);
  assert.deepEqual(await tab.heard(), Array.from({ length: COUNT }, (_, index) => make(index)));
  assert.deepEqual(await tab.transports(), [transport]);
  assert.equal((await tab.events("gap")).length, 0);
  await tab.close();
  await meddler.stop();
  await server.stop();
};

/** The browser takes compression without comet's client; each message is there at once. */
const bare = async ({ browser, number }) => {
  const server = await begin();
  const channel = `test/bare${number}`;
  const meddler = await new Meddler(server.port).start();
  const tab = await Tab.open(browser, meddler.url, {});
  await tab.page.evaluate((channel) => {
    const url = (transport) => `/channels/${channel}?transport=${transport}`;
    window.found = { stream: [], sse: [], socket: [], frame: [], ends: [] };
    window.framed = (envelope) => found.frame.push(envelope);
    const frame = document.createElement("iframe");
    frame.src = `${url("iframe")}&callback=framed`;
    document.body.append(frame);
    const socket = new WebSocket(url("websocket").replace(/^/, location.origin.replace("http", "ws")));
    socket.onopen = () => (found.extensions = socket.extensions);
    socket.onmessage = ({ data }) => found.socket.push(JSON.parse(data));
    socket.onclose = ({ code }) => found.ends.push(`socket ${code}`);
    const source = new EventSource(url("sse"));
    source.onmessage = ({ data }) => found.sse.push(JSON.parse(data));
    source.addEventListener("$close", ({ data }) => found.ends.push(`sse ${JSON.parse(data).code}`));
    source.onerror = () => (source.close(), found.ends.push("sse error"));
    (async () => {
      const response = await fetch(url("stream"));
      found.coding = response.headers.get("Content-Encoding");
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let rest = ""; ; ) {
        const { done, value } = await reader.read();
        if (done) break;
        const lines = (rest + value).split("\n");
        rest = lines.pop();
        found.stream.push(...lines.map((line) => JSON.parse(line)));
      }
      found.ends.push("stream done");
    })().catch((error) => found.ends.push(`stream ${error}`));
  }, channel);
  const found = () => tab.page.evaluate(() => found);
  await until("all are open", async () => {
    const { stream, frame, extensions } = await found();
    return stream.length > 0 && frame.length > 0 && extensions !== undefined;
  });
  // The EventSource tells nothing that could be waited for: $at is no message.
  await new Promise((done) => setTimeout(done, 1000));
  for (let each = 1; each < 10; each++) {
    await publish(server, channel, each, each + 1);
    const has = (envelopes) => envelopes.some(({ data }) => data?.number === each);
    await until(`${each} is there`, async () => {
      const { stream, sse, socket, frame } = await found();
      const isHeard = sse.some(({ number }) => number === each);
      return isHeard && [stream, socket, frame].every(has);
    });
  }
  const { coding, extensions, sse } = await found();
  assert.equal(coding, "gzip");
  assert.match(extensions, /^permessage-deflate/);
  assert.deepEqual(sse, Array.from({ length: 9 }, (_, index) => make(index + 1)));
  // The server ends all of them, without a trailer: that is no error.
  await server.stop();
  await until("all have ended", async () => (await found()).ends.length >= 4);
  const { ends, frame, stream } = await found();
  assert.equal(frame.at(-1).close.code, "draining");
  assert.deepEqual(ends.sort(), ["socket 1001", "sse draining", "sse error", "stream done"]);
  assert.equal(stream.at(-1).close.code, "draining");
  tab.isCut = true;
  await tab.close();
  await meddler.stop();
};

/** What the browser sends on a WebSocket with compression reaches the server. */
const sending = async ({ browser, number }) => {
  const server = await begin();
  const meddler = await new Meddler(server.port).start();
  const tab = await Tab.open(browser, meddler.url, { transports: ["websocket"] });
  const channel = `test/sent${number}`;
  await tab.read(channel);
  await tab.page.evaluate(
    (channel, all) => Promise.all(all.map((each) => comet.publish(channel, each))),
    channel,
    Array.from({ length: COUNT }, (_, index) => make(index)),
  );
  await tab.hears(COUNT);
  assert.deepEqual(await tab.heard(), Array.from({ length: COUNT }, (_, index) => make(index)));
  await tab.close();
  await meddler.stop();
  await server.stop();
};

export const scenarios = [
  ...["websocket", "sse", "stream", "longpoll", "poll"].map((transport) => [
    `${transport}, compressed`,
    alone(transport),
  ]),
  ["compressed without a client", bare],
  ["compressed by the browser", sending],
];
