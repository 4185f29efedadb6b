/**
 * Scenarios: who is in a channel, by each transport, while connections are cut.
 */

import assert from "node:assert/strict";
import { Server, until } from "../pages/site.mjs";
import { Meddler } from "./proxies.mjs";
import { Tab } from "./stage.mjs";

const QUICK = { backoff: [0.2, 1], interval: 0.3 };

/** A server that keeps presence, and believes visitors what they are called, as pages reach it. */
class Watched {
  async start(grace = 1) {
    this.server = new Server("--demo", "--heartbeat", "5", "--presence-grace", `${grace}`);
    await this.server.start();
    this.meddler = await new Meddler(this.server.port).start();
    return this;
  }

  async stop() {
    await this.meddler.stop();
    await this.server.stop();
  }

  /**
   * A page whose client has a name, in a context with cookies of its own.
   * @param among Another page: this one is in its context.
   */
  async open(browser, client, options, among) {
    const context = among?.page.browserContext() ?? (await browser.createBrowserContext());
    const own = { newPage: () => context.newPage(), version: () => browser.version() };
    const tab = await Tab.open(own, this.meddler.url, { ...QUICK, ...options }, { isCut: true });
    await tab.page.evaluate((client) => {
      document.cookie = `comet_visitor=${client}; path=/`;
      window.changes = [];
      window.follow = async () => {
        window.presence = await comet.presence("chat/a", (presence, change) => {
          if (change) changes.push(`${change.event} ${change.client}`);
        });
      };
    }, client);
    return tab;
  }
}

const namesOf = ({ page }) =>
  page.evaluate(() => presence.members.map(({ client }) => client).sort().join());

/** One page follows, others come and go, and the follower's connection is cut in between. */
const following = (transport, rest) => async ({ browser }) => {
  const watched = await new Watched().start();
  const ada = await watched.open(browser, "ada", { transports: [transport] });
  await ada.read("chat/a");
  await ada.page.evaluate(() => follow());
  const shows = (names) =>
    until(`${names} are there`, async () => (await namesOf(ada)) === names);
  await shows("ada");
  const bob = await watched.open(browser, "bob", { transports: [rest] });
  await bob.read("chat/a");
  await shows("ada,bob");
  // What happens while the follower is cut off, it learns by its cursor.
  watched.meddler.cut();
  await bob.page.evaluate(() => comet.close());
  await shows("ada");
  await bob.page.evaluate(() => comet.connect());
  await shows("ada,bob");
  await bob.close();
  await shows("ada");
  // On a slow machine the follower itself may be away for longer than the grace.
  const told = (await ada.page.evaluate(() => changes)).filter((each) => each.endsWith("bob"));
  assert.deepEqual(told, ["join bob", "leave bob", "join bob", "leave bob"]);
  await ada.close();
  await watched.stop();
};

/** Tabs that share a connection are one member, until the last of them is closed. */
const sharing = (transport) => async ({ browser }) => {
  const grace = 5;
  const watched = await new Watched().start(grace);
  const bob = await watched.open(browser, "bob", { transports: ["sse"] });
  await bob.page.evaluate(() => follow());
  const shared = { transports: [transport], shared: true };
  const first = await watched.open(browser, "ada", shared);
  await first.read("chat/a");
  const second = await watched.open(browser, "ada", shared, first);
  await second.read("chat/a");
  assert.deepEqual([await first.transport(), await second.transport()], [transport, "shared"]);
  const member = () =>
    bob.page.evaluate(async () => {
      const answer = await fetch("/presence/chat/a");
      return (await answer.json()).members.map(({ client, connections }) => [client, connections]);
    });
  assert.deepEqual(await member(), [["ada", 1]]);
  const begun = performance.now();
  await first.close();
  await second.reads(transport);
  await until("the other tab's connection counts", async () => {
    const [[, connections] = []] = await member();
    return connections === 1;
  });
  const wasQuick = performance.now() - begun < grace * 1000;
  await second.close();
  const told = () => bob.page.evaluate(() => changes);
  await until("ada has left", async () => (await namesOf(bob)) === "");
  // On a slow machine the other tab may take longer than the grace to connect.
  if (wasQuick) assert.deepEqual(await told(), ["join ada", "leave ada"]);
  await bob.close();
  await watched.stop();
};

/** A list that the server does not keep is refused, and the page hears why. */
const refused = async ({ browser, meddler }) => {
  const tab = await Tab.open(browser, meddler.url, QUICK, { isCut: true });
  const found = await tab.page.evaluate(async () => {
    const told = await comet.presence("test/none").catch((error) => error);
    return [told instanceof CometError, told.code];
  });
  assert.deepEqual(found, [true, "notFound"]);
  await tab.close();
};

export const scenarios = [
  ["who is there, by a WebSocket and an EventSource", following("websocket", "sse")],
  ["who is there, by an EventSource and a WebSocket", following("sse", "websocket")],
  ["who is there, by a long poll and a stream", following("longpoll", "stream")],
  ["who is there in tabs that share a WebSocket", sharing("websocket")],
  ["presence that is not kept", refused],
];
