/**
 * Scenario: a page calls the backend, and is spared what it publishes itself.
 */

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { Tab } from "./stage.mjs";

/** A backend that says what it was asked, but refuses one method. */
export class Backend {
  async start() {
    this.server = createServer(async (request, response) => {
      let body = "";
      for await (const part of request) body += part;
      const { type, client, method, data } = JSON.parse(body);
      const error = { code: "forbidden", message: "not today" };
      const told = method === "game/cheat" ? { error } : { data: { type, client, method, data } };
      response.end(JSON.stringify(told));
    });
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
    this.url = `http://127.0.0.1:${this.server.address().port}/`;
    return this;
  }
}

const asking = async ({ browser, meddler, number }) => {
  const channel = `test/asking${number}`;
  const others = await Tab.open(browser, meddler.url, { transports: ["sse"] });
  await others.read(channel);
  let heard = 0;
  // A WebSocket publishes by commands, the others by requests.
  for (const transport of ["websocket", "longpoll"]) {
    const reader = `reader-of-${transport}`;
    const options = { transports: [transport], parameters: { reader } };
    // The refused call is in the browser's log.
    const tab = await Tab.open(browser, meddler.url, options, { isCut: true });
    await tab.read(channel);
    const told = await tab.page.evaluate(async (channel, reader) => {
      const answer = await comet.call("game/move", { to: ["e", 4] });
      const refused = await comet.call("game/cheat").catch((error) => error);
      await comet.publish(channel, "mine", { exclude: reader });
      await comet.publish(channel, "everybody's");
      return [answer, refused instanceof CometError, refused.code, refused.message];
    }, channel, reader);
    const asked = { type: "call", client: null, method: "game/move", data: { to: ["e", 4] } };
    assert.deepEqual(told, [asked, true, "forbidden", "not today"]);
    await tab.hears(1);
    assert.deepEqual(await tab.heard(), ["everybody's"]);
    await others.hears((heard += 2));
    assert.deepEqual((await others.heard()).slice(-2), ["mine", "everybody's"]);
    await tab.close();
  }
  await others.close();
};

export const scenarios = [["a page calls the backend, and is spared what it publishes", asking]];
