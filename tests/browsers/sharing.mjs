/**
 * Scenarios: tabs that share a connection.
 */

import assert from "node:assert/strict";
import { until } from "../pages/site.mjs";
import { Tab, publish } from "./stage.mjs";

const QUICK = { backoff: [0.2, 1], interval: 0.3, shared: true };

/** One tab leads; each tab hears its own names; when the leader closes, another tab takes over. */
const takeover = (transports) => async ({ browser, server, meddler, number }) => {
  const name = (each) => `test/share${number}${each}`;
  const options = { ...QUICK, transports };
  await publish(server, 0, 10, name("a"));
  const tabs = [];
  for (const each of [["a"], ["a", "b"], ["b"]]) {
    const tab = await Tab.open(browser, meddler.url, options);
    await tab.page.evaluate(() => {
      window.others = [];
      window.readOther = (name) => comet.subscribe(name, ({ data }) => others.push(data));
    });
    if (each.includes("a")) await tab.read(name("a"), "earliest");
    if (each.includes("b")) await tab.page.evaluate((name) => readOther(name), name("b"));
    tabs.push(tab);
  }
  const others = (tab) => tab.page.evaluate(() => others);
  const heardOthers = async (tab, count) => {
    await until("the others are heard", async () => (await others(tab)).length >= count);
    assert.deepEqual(await others(tab), Array.from({ length: count }, (_, index) => index));
  };
  const [first, second, third] = tabs;
  assert.deepEqual(
    await Promise.all(tabs.map((tab) => tab.transport())),
    [transports[0], "shared", "shared"],
  );
  await publish(server, 10, 50, name("a"));
  await publish(server, 0, 50, name("b"));
  for (const tab of [first, second]) await tab.heardAll(50);
  for (const tab of [second, third]) await heardOthers(tab, 50);
  assert.deepEqual([await others(first), await third.heard()], [[], []]);
  // Only one of the tabs has a connection.
  if (transports[0] === "websocket") assert.equal(meddler.seen.get("websocket"), 1);
  // Messages keep coming while the leader closes.
  const closing = first.close();
  for (let from = 50; from < 150; from += 10) {
    await publish(server, from, from + 10, name("a"));
    await publish(server, from, from + 10, name("b"));
  }
  await closing;
  await second.heardAll(150);
  for (const tab of [second, third]) await heardOthers(tab, 150);
  await until("one of them leads", async () =>
    (await Promise.all([second.transport(), third.transport()])).includes(transports[0]),
  );
  assert.equal((await second.events("gap")).length + (await third.events("gap")).length, 0);
  await publish(server, 150, 160, name("a"));
  await second.heardAll(160);
  // The leader goes last: the other one would begin to connect, and be closed meanwhile.
  const secondLeads = (await second.transport()) === transports[0];
  for (const tab of secondLeads ? [third, second] : [second, third]) await tab.close();
};

export const scenarios = [
  ["tabs that share a WebSocket, the first one closed", takeover(["websocket", "poll"])],
  ["tabs that share a long poll, the first one closed", takeover(["longpoll"])],
];
