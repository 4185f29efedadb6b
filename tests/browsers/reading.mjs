/**
 * Scenarios: each transport alone.
 */

import assert from "node:assert/strict";
import { until } from "../pages/site.mjs";
import { Tab, publish } from "./stage.mjs";

const ALL = ["websocket", "sse", "stream", "longpoll", "jsonp", "iframe", "poll"];
const COUNT = 200;

/** The client hears 200 messages, some held and some live, in order and once each. */
const alone = (transport, classic = false) => async (stage) => {
  const { browser, server, meddler } = stage;
  const channel = `test/${transport}${stage.number}`;
  await publish(server, 0, 50, channel);
  const options = { transports: [transport], interval: 0.2 };
  const tab = await Tab.open(browser, meddler.url, options, { classic });
  await tab.read(channel, "earliest");
  for (let number = 50; number < COUNT; number += 10)
    await publish(server, number, number + 10, channel);
  await tab.heardAll(COUNT);
  assert.deepEqual(await tab.transports(), [transport]);
  assert.equal((await tab.events("gap")).length, 0);
  await tab.close();
};

/** A name that is subscribed later is heard from then on, and the others lose no message. */
const changing = (transport) => async ({ browser, server, meddler, number }) => {
  const name = (each) => `test/${each}${number}${transport}`;
  await publish(server, 0, 30, name("b"));
  const options = { transports: [transport], interval: 0.2 };
  const tab = await Tab.open(browser, meddler.url, options);
  await tab.read(name("a"));
  await tab.page.evaluate((name) => {
    window.others = [];
    window.listen = ({ data }) => others.push(data);
    window.subscribed = comet.subscribe(name, listen, { since: "-20" });
  }, name("b"));
  await publish(server, 0, 100, name("a"));
  await tab.page.evaluate(() => subscribed);
  await publish(server, 30, 60, name("b"));
  await publish(server, 100, COUNT, name("a"));
  await tab.heardAll(COUNT);
  const last = () => tab.page.evaluate(() => others);
  await until("the other name is heard", async () => (await last()).length >= 50);
  assert.deepEqual(await last(), Array.from({ length: 50 }, (_, index) => index + 10));
  await tab.page.evaluate((name) => comet.unsubscribe(name, listen), name("b"));
  await publish(server, 60, 70, name("b"));
  await publish(server, COUNT, COUNT + 10, name("a"));
  await tab.heardAll(COUNT + 10);
  assert.equal((await last()).length, 50);
  await tab.close();
};

/** Publishing, patterns, events and iteration work on every transport. */
const both = (transport) => async ({ browser, meddler, number }) => {
  const options = { transports: [transport], interval: 0.2 };
  const tab = await Tab.open(browser, meddler.url, options);
  const found = await tab.page.evaluate(async (number) => {
    const found = [];
    const iterator = comet.messages(`test/${number}/*`);
    await comet.subscribe(`test/${number}/ü b`, () => {});
    const cursors = await Promise.all([
      comet.publish(`test/${number}/ü b`, { a: [1, null, "<\u2028"] }, { event: "sä id" }),
      comet.publish(`test/${number}/c`, "aGk=", { encoding: "base64" }),
    ]);
    const refused = await comet.publish("closed", 1).catch(({ code }) => code);
    for await (const message of iterator) if (found.push(message) === 2) break;
    return { found, cursors, refused };
  }, number);
  assert.deepEqual(
    found.found.map(({ channel, data, event, encoding }) => [channel, data, event, encoding]),
    [
      [`test/${number}/ü b`, { a: [1, null, "<\u2028"] }, "sä id", undefined],
      [`test/${number}/c`, "aGk=", undefined, "base64"],
    ],
  );
  assert.ok(found.cursors.every((cursor) => /^\w+-\d+$/.test(cursor)));
  assert.equal(found.refused, "unauthorized");
  // A browser logs each error response.
  tab.isCut = true;
  await tab.close();
};

export const scenarios = [
  ...ALL.map((transport) => [`${transport} alone`, alone(transport)]),
  ["the classic script", alone("websocket", true)],
  ...ALL.map((transport) => [`${transport} while names change`, changing(transport)]),
  ...["websocket", "sse"].map((transport) => [`publishing beside ${transport}`, both(transport)]),
];
