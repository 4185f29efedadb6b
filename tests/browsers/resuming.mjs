/**
 * Scenarios: an EventSource without the client, the browser's own or npm's
 * event-source-polyfill, that is cut off and comes back by itself.
 */

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { Server, openPage, until } from "../pages/site.mjs";
import { Meddler } from "./proxies.mjs";
import { publish } from "./stage.mjs";

const require = createRequire(new URL("../../client/package.json", import.meta.url));

/** A page with an EventSource. */
class Reader {
  static async open(browser, url, path, isPolyfill) {
    const page = await openPage(browser, `${url}page`);
    if (isPolyfill) {
      await page.addScriptTag({ path: require.resolve("event-source-polyfill") });
      await page.evaluate(() => (window.EventSource = EventSourcePolyfill));
    }
    await page.evaluate((path) => {
      window.heard = [];
      window.ids = [];
      window.source = new EventSource(path);
      source.onmessage = ({ data }) => heard.push(Number(data));
      source.addEventListener("$at", ({ data, lastEventId }) => ids.push(data + lastEventId));
    }, path);
    return new Reader(page);
  }

  constructor(page) {
    this.page = page;
  }

  ids() {
    return this.page.evaluate(() => ids);
  }

  async heardAll(count) {
    const heard = () => this.page.evaluate(() => window.heard);
    await until(`all ${count} are heard`, async () => (await heard()).length >= count);
    assert.deepEqual(
      await heard(),
      Array.from({ length: count }, (_, index) => index),
    );
  }
}

/**
 * The connection is cut before the first message, and messages are published before
 * the browser is back.
 *
 * @param isBeating Whether the cursor comes from a heartbeat.
 * @param query Of the URL, which the browser repeats.
 */
const beforeFirst = (isBeating, isPolyfill, query) => async ({ browser, number }) => {
  const server = new Server("--open", "test/**", "--heartbeat", "1");
  await server.start();
  const meddler = await new Meddler(server.port).start();
  const channel = `test/first${number}`;
  const path = `/channels/${channel}?transport=sse${query}`;
  const reader = await Reader.open(browser, meddler.url, path, isPolyfill);
  await until("it has begun", async () => (await reader.ids()).length > 0);
  if (isBeating) {
    await publish(server, 0, 3, "test/other");
    await until("the cursor is told", async () => (await reader.ids()).at(-1).endsWith("-3"));
  }
  meddler.refuses = ({ transport }) => transport === "sse";
  meddler.cut();
  await publish(server, 0, 5, channel);
  meddler.refuses = () => false;
  await reader.heardAll(5);
  await publish(server, 5, 10, channel);
  await reader.heardAll(10);
  await reader.page.close();
  await meddler.stop();
  await server.stop();
};

/** A server that is full for a while refuses the browser when it comes back. */
const refused = async ({ browser, number }) => {
  const server = new Server("--open", "test/**", "--max-connections", "1");
  await server.start();
  const meddler = await new Meddler(server.port).start();
  const channel = `test/refused${number}`;
  const path = `/channels/${channel}?transport=sse`;
  const reader = await Reader.open(browser, meddler.url, path, false);
  await until("it has begun", async () => (await reader.ids()).length > 0);
  meddler.cut();
  // It takes the only place, as soon as the server has noticed the cut.  Node closes
  // the connection of a response that nothing refers to.
  const other = await until("the place is taken", async () => {
    const response = await fetch(`${server.url}channels/test/other?transport=stream`);
    if (response.status === 200) return response;
    await response.body.cancel();
    return null;
  });
  await publish(server, 0, 5, channel);
  const since = meddler.seen.get("sse");
  // It asks once more only when it has been refused.
  await until("it was refused again", () => meddler.seen.get("sse") > since + 1);
  await other.body.cancel();
  await reader.heardAll(5);
  await reader.page.close();
  await meddler.stop();
  await server.stop();
};

export const scenarios = [
  ["an EventSource cut off before the first message", beforeFirst(false, false, "")],
  ["an EventSource cut off after a heartbeat", beforeFirst(true, false, "")],
  ["an EventSource that repeats since", beforeFirst(true, false, "&since=now")],
  ["a polyfill cut off before the first message", beforeFirst(false, true, "")],
  ["a polyfill that repeats since", beforeFirst(true, true, "&since=now")],
  ["an EventSource that is refused for a while", refused],
];
