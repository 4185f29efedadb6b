/**
 * The stage of every scenario: a page with the client in it, what that page has
 * heard, and functions to publish.
 */

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openPage, until } from "../pages/site.mjs";

export const CHANNEL = "test/a";

/**
 * What a browser logs about a connection that was cut or refused, which no page
 * can prevent.  It is allowed only in scenarios that cut or refuse.
 */
const CUT = [
  // Chromium, about requests and the handshake of a WebSocket.
  /^error: Failed to load resource: (net::ERR_\w+|the server responded with a status of \d+ .*)$/,
  /^error: WebSocket connection to '\S+' failed/,
  // The page itself closed it before that was done: another tab was quicker, or there is a newer token.
  /^warn(ing)?: WebSocket connection to '\S+' failed: WebSocket is closed before the connection is established\.$/,
  /^error: Refused to execute script from '\S+' because its MIME type \('application\/problem\+json'\)/,
  // Firefox, about a WebSocket, an EventSource, and a script.
  /^[eE]rror: Firefox can’t establish a connection to the server at \S+$/,
  /^error: Access to \w+ at '\S+' from origin '\S+' has been blocked by CORS policy: /,
  /^Error: Cross-Origin Request Blocked: .* \(Reason: CORS (request did not succeed|header ‘Access-Control-Allow-Origin’ missing)\)/,
  /^Error: The resource from “\S+” was blocked due to MIME type \(“application\/problem\+json”\)/,
  /^[eE]rror: The connection to \S+ was interrupted while the page was loading\.$/,
  /^warn(ing)?: Loading failed for the <script> with source/,
];

/** Make a folder; its `remove` deletes it. */
export async function folder() {
  const path = await mkdtemp(join(tmpdir(), "comet-browsers-"));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

/** Publish numbers to a channel, in order, with one request. */
export async function publish(server, from, to, channel = CHANNEL) {
  let body = "";
  for (let data = from; data < to; data++) body += `${JSON.stringify({ channel, data })}\n`;
  const answer = await fetch(`${server.url}publish`, {
    method: "POST",
    headers: { "Content-Type": "application/x-ndjson" },
    body,
  });
  assert.equal(answer.status, 201, await answer.text());
}

let last = Promise.resolve();

/** One after the other: Firefox confuses pages that are opened and closed at the same time. */
const inTurn = (run) => {
  const done = last.then(run);
  last = done.catch(() => {});
  return done;
};

/** A page with a client in it. */
export class Tab {
  /**
   * @param url The URL of the page and of the server.
   * @param options The client's options; `classic` loads the script that is no module.
   */
  static async open(browser, url, options, { isCut = false, name = "page", classic } = {}) {
    const page = await inTurn(() => openPage(browser, `${url}${name}`));
    const tab = new Tab(page, isCut);
    await page.evaluate(
      async (options, classic) => {
        if (classic) {
          const script = document.createElement("script");
          script.src = "/comet.classic.js";
          const loaded = new Promise((done) => (script.onload = done));
          document.head.append(script);
          await loaded;
        } else Object.assign(window, await import("/comet.js"));
        window.heard = [];
        window.events = [];
        window.comet = new Comet(classic ? null : "/", options);
        for (const type of ["open", "close", "gap", "transport", "error"])
          comet.addEventListener(type, (event) => {
            const { code, names, transport, message } = event;
            events.push({ type, code, names, transport, message });
          });
        window.read = async (name, since) => {
          const hear = ({ data }) => heard.push(data);
          for (let ready = comet.subscribe(name, hear, { since }); ; )
            try {
              return await ready;
            } catch (error) {
              // A busy machine is late, which looks like a proxy that holds everything back.
              // The client tries again by itself.
              if (error.code != "buffered") throw error;
              ready = comet.subscribe(name, hear);
            }
        };
      },
      options,
      classic,
    );
    return tab;
  }

  constructor(page, isCut) {
    this.page = page;
    this.isCut = isCut;
  }

  /** Subscribe, and wait until the client is subscribed. */
  async read(name = CHANNEL, since = "now") {
    await this.page.evaluate((name, since) => read(name, since), name, since);
  }

  heard() {
    return this.page.evaluate(() => heard);
  }

  events(type) {
    return this.page.evaluate((type) => events.filter((each) => each.type === type), type);
  }

  /** The transports that were used, in order. */
  async transports() {
    return (await this.events("transport")).map(({ transport }) => transport);
  }

  transport() {
    return this.page.evaluate(() => (comet.readyState === 1 ? comet.transport : null));
  }

  /** Wait until so many messages have been heard. */
  async hears(count) {
    await until(`${count} are heard`, async () => (await this.heard()).length >= count);
  }

  /** Wait until all numbers below this have been heard, each once and in order. */
  async heardAll(count) {
    const expected = Array.from({ length: count }, (_, index) => index);
    let heard;
    await until(`all ${count} are heard`, async () => {
      heard = await this.heard();
      return heard.length >= count;
    }).catch(async (error) => {
      const events = JSON.stringify(await this.page.evaluate(() => events));
      throw new Error(`${error.message}: ${heard.length} were; ${heard.slice(-5)}\n${events}`);
    });
    assert.deepEqual(heard, expected);
  }

  async reads(transport) {
    await until(`it reads by ${transport}`, async () => (await this.transport()) === transport)
      .catch(async (error) => {
        throw new Error(`${error.message}\n${JSON.stringify(await this.page.evaluate(() => events))}`);
      });
  }

  /** Close the page, and check that it has logged nothing that is not allowed. */
  async close() {
    const { complaints } = this.page;
    await inTurn(() => this.page.close());
    const strange = complaints.filter(
      (each) => !this.isCut || !CUT.some((allowed) => allowed.test(each)),
    );
    assert.deepEqual(strange, []);
  }
}
