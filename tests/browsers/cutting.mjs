/**
 * Scenarios: connections that break.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Server, until } from "../pages/site.mjs";
import { Forgetful, Meddler } from "./proxies.mjs";
import { Tab, publish } from "./stage.mjs";

const QUICK = { backoff: [0.2, 1], interval: 0.3 };

/**
 * A proxy cuts connections that are idle for 5 s. Heartbeats keep them; without
 * heartbeats the client resumes without loss.
 */
const idle = async ({ browser, number }) => {
  const often = new Server("--open", "test/**", "--heartbeat", "2");
  const seldom = new Server("--open", "test/**");
  await Promise.all([often.start(), seldom.start()]);
  const channel = `test/idle${number}`;
  const tabs = [];
  for (const [server, isCut] of [
    [often, false],
    [seldom, true],
  ]) {
    const meddler = await new Meddler(server.port).start();
    for (const transport of ["websocket", "sse", "longpoll"]) {
      const proxy = await new Forgetful(meddler.port, 5000).start();
      const options = { ...QUICK, heartbeat: isCut ? 25 : 2, transports: [transport] };
      const tab = await Tab.open(browser, proxy.url, options, { isCut });
      await tab.read(channel);
      tabs.push({ tab, proxy, meddler });
    }
  }
  for (let from = 0; from < 30; from += 10) {
    await Promise.all([often, seldom].map((server) => publish(server, from, from + 10, channel)));
    if (from < 20) await sleep(6000);
  }
  for (const { tab } of tabs) await tab.heardAll(30);
  for (const [index, { tab, proxy, meddler }] of tabs.entries()) {
    const closed = (await tab.events("close")).length;
    // The client is not told: a browser repeats a long poll by itself.
    const expected = [0, 0, 0, 2, 2, 0][index];
    assert.ok(closed >= expected && (expected || !closed), `${index}: ${closed} times`);
    await tab.close();
    proxy.stop();
    if (index % 3 === 2) await meddler.stop();
  }
  await Promise.all([often.stop(), seldom.stop()]);
};

/** The server is killed and started again. */
const restart = (transport, isKept) => async ({ browser, folder, number }) => {
  const bus = isKept ? ["--bus", `sqlite:${join(folder, "comet.db")}`] : [];
  const server = new Server("--open", "test/**", ...bus);
  await server.start();
  const channel = `test/restart${number}`;
  const meddler = await new Meddler(server.port).start();
  const options = { ...QUICK, transports: [transport] };
  const tab = await Tab.open(browser, meddler.url, options, { isCut: true });
  await tab.read(channel);
  await publish(server, 0, 50, channel);
  await tab.heardAll(50);
  await server.stop("SIGKILL");
  await until("it is noticed", async () => (await tab.events("close")).length > 0);
  // This message waits for the server, and is sent once.
  await tab.page.evaluate((channel) => {
    window.published = Promise.all([50, 51, 52].map((each) => comet.publish(channel, each)));
  }, channel);
  await server.start();
  const cursors = await tab.page.evaluate(() => published);
  assert.equal(new Set(cursors).size, 3);
  await publish(server, 53, 100, channel);
  await tab.heardAll(100);
  const gaps = (await tab.events("gap")).map(({ names }) => names);
  assert.deepEqual(gaps, isKept ? [] : [[channel]]);
  await tab.close();
  await meddler.stop();
  await server.stop();
};

/** The server drains, and tells the client when to come back. */
const drain = async ({ browser, folder, number }) => {
  const server = new Server("--open", "test/**", "--bus", `sqlite:${join(folder, "comet.db")}`);
  await server.start();
  const channel = `test/drain${number}`;
  const meddler = await new Meddler(server.port).start();
  const tab = await Tab.open(browser, meddler.url, QUICK, { isCut: true });
  await tab.read(channel);
  await publish(server, 0, 10, channel);
  await tab.heardAll(10);
  await server.stop();
  const [close] = await tab.events("close");
  assert.equal(close.code, "draining");
  await server.start();
  await publish(server, 10, 20, channel);
  await tab.heardAll(20);
  await tab.reads("websocket");
  await tab.close();
  await meddler.stop();
  await server.stop();
};

/** The connection of a page ends when the user leaves the page, and the console stays empty. */
const leaving = async ({ browser, server, meddler, number }) => {
  for (const transport of ["websocket", "sse", "stream", "longpoll", "iframe"]) {
    const options = { transports: [transport] };
    const tab = await Tab.open(browser, meddler.url, options);
    await tab.read(`test/leaving${number}`);
    await tab.page.goto(`${meddler.url}page?again`, { waitUntil: "load" });
    await tab.close();
  }
};

export const scenarios = [
  ["a proxy that forgets idle connections", idle],
  ...["websocket", "sse"].map((each) => [`${each}: killed, and back empty`, restart(each, false)]),
  ...["websocket", "stream"].map((each) => [`${each}: killed, and back`, restart(each, true)]),
  ["drained, and back", drain],
  ["a page that is left", leaving],
];
