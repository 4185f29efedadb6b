/**
 * Scenarios: the client cannot connect at all.
 */

import assert from "node:assert/strict";
import { freePort } from "../pages/site.mjs";
import { Tab } from "./stage.mjs";

const ALL = ["websocket", "sse", "stream", "longpoll", "jsonp", "iframe", "poll"];

/** Seconds: so long that a page is told before only because the client has noticed. */
const timeout = 50;

/** On every transport, and on all of them, the page hears that the first round has failed. */
const first = (urlOf) => async ({ browser, server, meddler }) => {
  const url = await urlOf(server);
  const tab = await Tab.open(browser, meddler.url, { transports: ["poll"] }, { isCut: true });
  const told = await tab.page.evaluate(
    (url, choices, timeout) => {
      const listen = async (transports) => {
        const other = new Comet(url, { transports, timeout, backoff: [30, 30] });
        const closed = new Promise((done) => other.addEventListener("close", done));
        const refused = other.subscribe("test/a", () => {}).catch(({ code }) => code);
        const begun = performance.now();
        const { code, message, retry } = await closed;
        const took = Math.round(performance.now() - begun);
        const promised = await refused;
        other.close();
        return { transports, took, code, message, retry, promised };
      };
      return Promise.all(choices.map(listen));
    },
    url,
    [...ALL.map((transport) => [transport]), ALL],
    timeout,
  );
  console.log(`told after ms: ${told.map(({ transports, took }) => `${transports} ${took}`)}`);
  for (const { transports, took, code, message, retry, promised } of told) {
    assert.ok(took < (timeout * 1000) / 2, `${transports}: ${took} ms`);
    assert.equal(promised, code);
    assert.ok(message && retry > 0 && retry <= 30, `${transports}: ${message}; ${retry}`);
  }
  await tab.close();
};

const nowhere = async () => `http://127.0.0.1:${await freePort()}/`;

export const scenarios = [
  ["no server: told on every transport", first(nowhere)],
  // The page is of the meddler's origin.
  ["an origin that is not allowed: told on every transport", first(({ url }) => url)],
];
