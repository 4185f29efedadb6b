/**
 * Scenarios: the client changes its transport when the network forces it to.
 */

import assert from "node:assert/strict";
import { Server, until } from "../pages/site.mjs";
import { Meddler, Nginx } from "./proxies.mjs";
import { Tab, publish } from "./stage.mjs";

const ALL = ["websocket", "sse", "stream", "longpoll", "jsonp", "iframe", "poll"];
const QUICK = { backoff: [0.2, 1], interval: 0.3, timeout: 2 };

/**
 * The transports are blocked one after the other in the middle of a stream, until
 * only polling is left.
 */
const down = async ({ browser, number }) => {
  // Only silence shows the client that a frame was cut off.
  const server = new Server("--open", "test/**", "--heartbeat", "1");
  await server.start();
  const meddler = await new Meddler(server.port).start();
  const channel = `test/down${number}`;
  const options = { ...QUICK, heartbeat: 1 };
  const tab = await Tab.open(browser, meddler.url, options, { isCut: true });
  const blocked = new Set();
  meddler.refuses = ({ transport }) => blocked.has(transport);
  await tab.read(channel);
  let count = 0;
  for (const [index, transport] of ALL.entries()) {
    await tab.reads(transport);
    for (const _ of [0, 1]) {
      await publish(server, count, count + 10, channel);
      count += 10;
    }
    if (index === ALL.length - 1) break;
    blocked.add(transport);
    // The transport is blocked while messages are on their way.
    meddler.cut();
    await publish(server, count, count + 10, channel);
    count += 10;
  }
  await tab.heardAll(count);
  assert.equal((await tab.events("gap")).length, 0);
  await tab.close();
  await meddler.stop();
  await server.stop();
};

/**
 * The client remembers which transport worked, and probes a better one beside it,
 * without a break.
 */
const up = async ({ browser, server, meddler, number }) => {
  const channel = `test/up${number}`;
  let isBlocked = true;
  meddler.refuses = ({ transport }) => isBlocked && transport === "websocket";
  const first = await Tab.open(browser, meddler.url, QUICK, { isCut: true });
  await first.read(channel);
  await first.reads("sse");
  await first.close();
  const options = { ...QUICK, upgrade: 2 };
  const second = await Tab.open(browser, meddler.url, options, { isCut: true });
  await second.read(channel);
  assert.equal(await second.transport(), "sse");
  isBlocked = false;
  let count = 0;
  await until("the better one is used", async () => {
    await publish(server, count, ++count, channel);
    return (await second.transport()) === "websocket";
  });
  await publish(server, count, count + 10, channel);
  await second.heardAll(count + 10);
  assert.deepEqual(await second.transports(), ["sse", "websocket"]);
  assert.equal((await second.events("close")).length, 0);
  await second.close();
};

/** Transports on which a proxy holds messages back for a while are given up. */
const lumps = async ({ browser, server, meddler, number }) => {
  const channel = `test/lumps${number}`;
  meddler.holds = 800;
  const transports = ["sse", "iframe", "stream", "longpoll", "poll"];
  const tab = await Tab.open(browser, meddler.url, { ...QUICK, transports }, { isCut: true });
  await tab.read(channel);
  await publish(server, 0, 20, channel);
  await tab.reads("longpoll");
  await publish(server, 20, 40, channel);
  await tab.heardAll(40);
  assert.deepEqual(await tab.transports(), ["poll", "longpoll"]);
  await tab.close();
};

/** Behind nginx, which passes bytes on, or buffers whole responses. */
const nginx = (isBuffering, expected) => async ({ browser, server, folder, number }) => {
  const channel = `test/nginx${number}`;
  const proxy = await new Nginx(server.port, folder, isBuffering).start();
  const transports = ["websocket", "sse", "stream", "longpoll", "poll"];
  if (!isBuffering) transports.shift();
  const tab = await Tab.open(browser, proxy.url, { ...QUICK, transports }, { isCut: isBuffering });
  await tab.read(channel);
  await publish(server, 0, 50, channel);
  await tab.reads(expected);
  for (let from = 50; from < 200; from += 50) await publish(server, from, from + 50, channel);
  await tab.heardAll(200);
  await tab.close();
  await proxy.stop();
};

export const scenarios = [
  ["blocked one after the other, down to poll", down],
  ["remembered, and better again", up],
  ["a proxy that holds back for a while", lumps],
  ["nginx that passes on", nginx(false, "sse")],
  ["nginx that keeps everything", nginx(true, "longpoll")],
];

