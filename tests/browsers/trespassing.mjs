/**
 * Scenarios: a page of another site sends requests to the port of raw TCP, with
 * commands in their bodies.
 */

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer as createSite } from "node:http";
import { connect, createServer } from "node:net";
import { Server, freePort, openPage, until } from "../pages/site.mjs";

/** Listen on a free port of this machine. */
const listen = async (server) => {
  server.listen(0, "127.0.0.1").unref();
  await once(server, "listening");
  return server.address().port;
};

/** All ways in which a page without permission sends a body: one request each, in turn. */
const trespass = async (url, line) => {
  const body = `${line}\n`;
  const settled = (promise) => promise.then(String, String);
  const options = { method: "POST", mode: "no-cors", body };
  await settled(fetch(url, options));
  await settled(fetch(url, { ...options, credentials: "include", body: new Blob([body]) }));
  const request = new XMLHttpRequest();
  request.open("POST", url);
  request.send(body);
  await new Promise((done) => (request.onloadend = done));
  navigator.sendBeacon(url, body);
  const frame = document.body.appendChild(document.createElement("iframe"));
  frame.name = "there";
  const form = document.body.appendChild(document.createElement("form"));
  Object.assign(form, { method: "POST", action: url, target: "there", enctype: "text/plain" });
  const field = form.appendChild(document.createElement("textarea"));
  Object.assign(field, { name: "x", value: `\n${body}` });
  form.submit();
};

/** Speak to a port as a program does, and return its first answer. */
const say = async (port, line) => {
  const socket = connect(port, "127.0.0.1");
  socket.write(line);
  const [answer] = await once(socket, "data");
  socket.destroy();
  return String(answer);
};

const rawTCP = (edge) => async ({ browser }) => {
  const port = await freePort();
  const tcp = `tcp:${port}:interface=127.0.0.1`;
  const server = new Server("--open", "test/**", "--tcp", tcp, "--edge", edge);
  await server.start();
  // What a port gets that answers nothing: it shows that the commands are sent.
  let seen = "";
  const other = createServer((socket) => {
    socket.on("data", (data) => (seen += data)).on("error", () => undefined);
    setTimeout(() => socket.destroy(), 500);
  });
  const site = createSite((request, response) => {
    response.setHeader("Content-Type", "text/html");
    response.end("<!doctype html><title>Another site</title>");
  });
  const [otherPort, sitePort] = [await listen(other), await listen(site)];
  const page = await openPage(browser, `http://127.0.0.1:${sitePort}/`);
  const command = (data) => JSON.stringify({ publish: "test/a", data });

  await page.evaluate(trespass, `http://127.0.0.1:${otherPort}/`, command("page"));
  await until("a port gets five commands", () => seen.split(command("page")).length > 5).catch(
    (error) => {
      throw new Error(`${error.message}\n${seen}`);
    },
  );
  await page.evaluate(trespass, `http://127.0.0.1:${port}/`, command("page"));

  // The server has seen all of them once it has refused as many connections.
  const key = (await readFile("comet.key", "utf8")).trim();
  const figures = async () => {
    const url = `${server.url}channels/$stats?transport=longpoll`;
    const headers = { Authorization: `Bearer ${key}` };
    const { messages } = await (await fetch(url, { headers })).json();
    return messages.at(-1)?.data.transports.tcp?.requests;
  };
  await until("the server has had five", async () => (await figures()) >= 5);
  assert.match(await say(port, `${command("program")}\n`), /^{"ok":{"cursor":"\w+-\d+"}}\n$/);
  const url = `${server.url}channels/test/a?transport=poll&since=earliest`;
  const { messages } = await (await fetch(url)).json();
  assert.deepEqual(
    messages.map(({ data }) => data),
    ["program"],
  );
  await page.close();
  other.close();
  site.close();
  await server.stop();
};

export const scenarios = [
  ["a page of another site posts to raw TCP", rawTCP("lean")],
  ["a page of another site posts to raw TCP on Twisted's edge", rawTCP("twisted")],
];
