/**
 * Run the scenarios in a browser: node main.mjs chromium|firefox [words of a scenario]
 */

import { Server, openBrowser } from "../pages/site.mjs";
import { Backend } from "./asking.mjs";
import { Meddler } from "./proxies.mjs";
import { folder } from "./stage.mjs";

const TOGETHER = 5;
const FILES = [
  ...["reading", "failing", "falling", "cutting", "resuming", "sharing", "presence"],
  ...["tokens", "trespassing", "asking", "compressing"],
];

const [name, only] = process.argv.slice(2);
const scenarios = [];
for (const file of FILES) scenarios.push(...(await import(`./${file}.mjs`)).scenarios);

// Each server and each browser listens for the exit of this process.
process.setMaxListeners(50);

const backend = await new Backend().start();
const hook = ["--hook", backend.url, "--hook-events", "call"];
const server = new Server("--open", "test/**", "--heartbeat", "5", ...hook);
await server.start();
const browser = await openBrowser(name);
const begun = Date.now();
const chosen = scenarios.filter(([what]) => !only || what.includes(only));
let number = 0;

/** Take scenarios from the list and run them, until the list is empty. */
const play = async () => {
  while (number < chosen.length) {
    const [what, run] = chosen[number++];
    const own = number;
    const at = Date.now();
    const place = await folder();
    const meddler = await new Meddler(server.port).start();
    try {
      await run({ browser, server, meddler, folder: place.path, number: own });
      console.log(`ok ${what} (${Date.now() - at} ms)`);
    } catch (error) {
      console.log(`FAILED ${what} (${Date.now() - at} ms)\n${error.stack}`);
      process.exitCode = 1;
    }
    await meddler.stop();
    await place.remove();
  }
};

// Several at once, since scenarios mostly wait.
await Promise.all(Array.from({ length: TOGETHER }, play));
await browser.close();
await server.stop();
console.log(`${number} scenarios in ${name}: ${Math.round((Date.now() - begun) / 1000)} s`);
// What a scenario that failed has left open does not keep the process.
process.exit();
