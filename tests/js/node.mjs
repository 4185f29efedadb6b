/**
 * The package as a server gives it to npm: its types, bundled, and in Node.js.  In an
 * empty folder, in which it makes files.
 */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Server, freePort, until } from "../pages/site.mjs";

const require = createRequire(new URL("../../client/package.json", import.meta.url));
const sample = fileURLToPath(new URL("sample.ts", import.meta.url));
const run = (...command) => execFileSync(command[0], command.slice(1), { encoding: "utf8" });

// What Node.js 20 lacks.
globalThis.WebSocket ??= require("ws");
globalThis.EventSource ??= require("eventsource").EventSource;

const server = new Server("--heartbeat", "2");
await server.start();
const token = readFileSync("comet.key", "utf8").trim();

/** The types are those of the module, however it is resolved. */
const checkTypes = () => {
  const text = readFileSync(sample, "utf8").replaceAll(/"\S+\/comet\.js"/g, '"comet-push-client"');
  writeFileSync("sample.ts", text);
  const tsc = require.resolve("typescript/bin/tsc");
  const common = ["--strict", "--noEmit", "--target", "es2022", "--lib", "es2022,dom", "sample.ts"];
  for (const [module, resolution] of [["node16", "node16"], ["es2022", "bundler"]])
    run("node", tsc, "--module", module, "--moduleResolution", resolution, ...common);
};

/** Makes a bundle by esbuild. */
const byEsbuild = (outfile) =>
  require("esbuild").build({ entryPoints: ["entry.mjs"], bundle: true, format: "esm",
    outfile, minify: true, sourcemap: true });

/** Makes a bundle by Vite, as for a page, which has the exports of its entry. */
const byVite = async (outfile) => {
  const { build } = await import(pathToFileURL(require.resolve("vite")));
  const rollupOptions = { input: "entry.mjs", preserveEntrySignatures: "strict",
    output: { entryFileNames: basename(outfile) } };
  await build({ root: process.cwd(), configFile: false, logLevel: "warn",
    build: { outDir: dirname(outfile), rollupOptions } });
};

/** Bundled, the client works, and says that it has to be told its server. */
const checkBundle = async (make, outfile) => {
  await make(outfile);
  const bundled = await import(pathToFileURL(outfile));
  assert.deepEqual(Object.keys(bundled), ["Comet", "CometError"]);
  assert.throws(() => new bundled.Comet(), /name the server/);
  assert.equal(new bundled.Comet("/push").url, "http://rendering.invalid/push/");
};

/** All that the types declare of the class is there. */
const checkMembers = ({ Comet, CometError }) => {
  const text = readFileSync("node_modules/comet-push-client/comet.d.ts", "utf8");
  assert.doesNotMatch(text, /export default/);
  const [, body] = /export class Comet extends EventTarget {([^]*?)\n}/.exec(text);
  const comet = new Comet(server.url);
  for (const [, isStatic, name] of body.matchAll(/^  (static )?(?:readonly )?(\w+)[(<:]/gm))
    if (name !== "constructor") assert.ok(name in (isStatic ? Comet : comet), name);
  for (const [, code] of text.matchAll(/^  \| "(\w+)"/gm))
    if (!/^(badMessage|websocket|sse|stream|longpoll|jsonp|iframe|poll)$/.test(code))
      assert.match(new CometError({ code }).message, / /, code);
};

/** Reads, publishes with the key, catches up, and says what goes wrong. */
const checkTransport = async ({ Comet }, transport) => {
  const name = `node/${transport}`;
  const options = { transports: [transport], interval: 0.2, backoff: [0.2, 0.2] };
  const comet = new Comet(server.url, { ...options, token });
  const heard = [];
  const late = [];
  await comet.subscribe(name, ({ data }) => heard.push(data));
  for (let data = 0; data < 5; data++) await comet.publish(name, data);
  await comet.subscribe(name, ({ data }) => late.push(data), { since: -3 });
  await until("all are heard", () => heard.length >= 5 && late.length >= 3);
  assert.deepEqual([heard, late, comet.transport], [[0, 1, 2, 3, 4], [2, 3, 4], transport]);
  comet.close();
  const wrong = new Comet(server.url, { ...options, token: "wrong" });
  const told = wrong.subscribe(name, () => {}).then(() => wrong.publish(name, 1));
  await assert.rejects(told, { code: "unauthorized" });
  wrong.close();
  const away = new Comet(`http://127.0.0.1:${await freePort()}/`, { ...options, timeout: 50 });
  const closed = new Promise((done) => away.addEventListener("close", done));
  const begun = performance.now();
  await assert.rejects(away.subscribe(name, () => {}), { code: "lost" });
  const { code, retry } = await closed;
  console.log(`${transport}: away after ${Math.round(performance.now() - begun)} ms`);
  assert.deepEqual([code, retry > 0], ["lost", true]);
  away.close();
};

writeFileSync("package.json", '{"type":"module"}');
run("npm", "install", "--no-audit", "--no-fund", `${server.url}comet-push-client.tgz`);
const installed = pathToFileURL(join(process.cwd(), "node_modules/comet-push-client/comet.js"));
const client = await import(installed);
checkTypes();
writeFileSync("entry.mjs", 'export * from "comet-push-client";');
await checkBundle(byEsbuild, "esbuild.mjs");
// Vite takes no source maps of what it bundles.
assert.match(readFileSync("esbuild.mjs.map", "utf8"), /class Standing/);
await checkBundle(byVite, "dist/vite.mjs");
checkMembers(client);
const transports = ["websocket", "sse", "stream", "longpoll", "poll"];
await Promise.all(transports.map((transport) => checkTransport(client, transport)));
await server.stop();
console.log("ok");
