/**
 * Scenarios of the lab page: node lab.mjs chromium|firefox
 */

import assert from "node:assert/strict";
import { Server, openBrowser, openPage, runAll, until } from "./site.mjs";

const NAMES = [
  ...["poll", "longpoll", "jsonp"],
  ...["stream", "sse", "multipart", "iframe"],
  ...["websocket", "tcp"],
];
const HELD = ["longpoll", "stream", "sse", "multipart", "iframe"];

const [browserName] = process.argv.slice(2);
const server = new Server("--demo");
await server.start();
const browser = await openBrowser(browserName);
const page = await openPage(browser, server.url);

/** What the page shows of each technique. */
const look = (looked = page) =>
  looked.evaluate(() =>
    Object.fromEntries(
      [...document.querySelectorAll(".technique")].map((article) => {
        const text = (selector) => article.querySelector(selector)?.textContent ?? "";
        return [
          article.id,
          {
            state: article.dataset.state,
            word: text(".word"),
            received: text(".received"),
            messages: [...article.querySelectorAll(".messages li")].map((each) => each.textContent),
            requests: Number(text(".requests").replaceAll(",", "")),
            headers: text(".headers"),
            data: text(".bytes"),
          },
        ];
      }),
    ),
  );

const all = async (what, isSo, names = NAMES, looked = page) => {
  let seen;
  const isSoOf = async () => {
    seen = await look(looked);
    return names.every((name) => isSo(seen[name]));
  };
  await until(what, isSoOf).catch((error) => {
    throw new Error(`${error.message}: ${JSON.stringify(seen, null, 1)}`);
  });
};

/** Move the slider, as a user does with a key. */
const setRate = async (key) => {
  await page.focus("#rate");
  await page.keyboard.press(key);
};

const publish = async (text) => {
  await page.$eval("#text", (input, value) => (input.value = value), text);
  await page.click("#publish button");
};

const toggle = async (name) => {
  await page.focus(`#${name} .switch`);
  await page.keyboard.press(" ");
};

const channelOf = (looked) =>
  looked.$eval(".lesson pre code", (code) => /lab\/\w+/.exec(code.textContent)[0]);

const isComplete = ({ received }) => {
  const found = /^([\d,]+) of ([\d,]+) received$/.exec(received);
  return found !== null && found[1] === found[2];
};

const countOf = ({ received }) => Number(/^([\d,]+)/.exec(received)?.[1].replace(",", "") ?? 0);

await runAll([
  [
    "messages come without a click, and every technique hears them",
    () => all("each has two messages", (row) => countOf(row) >= 2),
  ],
  [
    "the button publishes to every technique",
    async () => {
      await setRate("Home");
      assert.equal(await page.$eval("#pace", (pace) => pace.textContent), "none");
      await publish("needle");
      await all("each has the needle", ({ messages }) => /^needle\d/.test(messages[0]));
      await all("each has everything", isComplete);
    },
  ],
  [
    "the slider makes a steady stream, in order and without repeats",
    async () => {
      await setRate("End");
      await all("each has many", (row) => countOf(row) > 60);
      await setRate("Home");
      await all("each has everything", isComplete);
    },
  ],
  [
    "each technique shows its costs, from the server's figures",
    async () => {
      await all("each has figures", (row) => row.requests >= 1 && !row.data.startsWith("0 "));
      const seen = await look();
      for (const name of ["stream", "sse", "multipart", "iframe", "websocket", "tcp"]) {
        assert.equal(seen[name].requests, 1, name);
      }
      assert.ok(seen.longpoll.requests > seen.poll.requests);
      await until("the table has them", () =>
        page.$$eval(
          "#table tr",
          (rows) => rows.length === 9 && rows.every((row) => /\d/.test(row.cells[5].textContent)),
        ),
      );
    },
  ],
  [
    "messages published while the network is cut arrive afterwards, once",
    async () => {
      const before = countOf((await look()).websocket);
      const cut = NAMES.filter((name) => name !== "websocket");
      for (const name of cut) await toggle(name);
      await all("they are cut off", ({ state }) => state === "cut", cut);
      for (let n = 1; n <= 5; n++) await publish(`missed ${n}`);
      await all("one has all", (row) => countOf(row) === before + 5, ["websocket"]);
      for (const [name, row] of Object.entries(await look())) {
        if (name !== "websocket") assert.equal(countOf(row), before, name);
      }
      for (const name of cut) await toggle(name);
      await all("each has everything", (row) => isComplete(row) && countOf(row) === before + 5);
      await toggle("sse");
      await publish("told");
      await all("the others have it", (row) => countOf(row) === before + 6, ["poll", "websocket"]);
      await toggle("sse");
      await until("it is told", async () =>
        (await page.$eval("#status", (status) => status.textContent)).includes(
          "Server-Sent Events: back. 1 missed, all of them received, none lost.",
        ),
      );
    },
  ],
  [
    "a tab in the background gives up its connections, and catches up later",
    async () => {
      const channel = await channelOf(page);
      const second = await openPage(browser, server.url);
      await all("the second runs", (row) => countOf(row) >= 1, NAMES, second);
      await all("the first sleeps", ({ state }) => state === "asleep");
      await server.publish(channel, "good morning");
      await second.close();
      await page.bringToFront();
      await all("the first has it", ({ messages }) => messages[0]?.startsWith("good morning"));
      assert.deepEqual(second.complaints, []);
    },
  ],
  [
    "techniques for which no connection is left wait, and the others run",
    async () => {
      const other = await openPage(browser, `${server.url}chat`);
      await all("the first sleeps", ({ state }) => state === "asleep");
      await other.evaluate(async () => {
        for (let number = 1; number <= 5; number++) {
          await new Promise((taken) => {
            navigator.locks.request(`comet-lab-seat-${number}`, () => {
              taken();
              return new Promise(() => undefined);
            });
          });
        }
      });
      await page.bringToFront();
      await all("they wait", ({ state }) => state === "waiting", HELD);
      await publish("anybody there?");
      const heard = ({ messages }) => messages[0]?.startsWith("anybody there?");
      await all("the rest hears it", heard, ["poll", "jsonp", "websocket", "tcp"]);
      await other.close();
      await all("all hear it", heard);
      await all("each has everything", isComplete);
    },
  ],
  [
    "messages from elsewhere are shown as text",
    async () => {
      const channel = await channelOf(page);
      const text = "<img src=x onerror=alert(1)>";
      await server.publish(channel, text);
      await all("each shows it", ({ messages }) => messages[0]?.startsWith(text));
    },
  ],
  [
    "the page fits every width",
    async () => {
      for (const width of [320, 360, 700, 1024, 1600]) {
        await page.setViewport({ width, height: 900 });
        const [needed, given] = await page.evaluate(() => [
          document.documentElement.scrollWidth,
          document.documentElement.clientWidth,
        ]);
        assert.ok(needed <= given, `${needed} at ${width}`);
      }
    },
  ],
  [
    "each switch and each part of the page has a name of its own",
    async () => {
      const names = await page.$$eval(".switch", (all) => all.map((each) => each.textContent.trim()));
      assert.equal(new Set(names).size, 9);
      assert.ok(names.every((name) => name.replace(/\s+/g, " ").startsWith("Network of ")));
      const bare = await page.$$eval("input", (all) =>
        all.filter((each) => !each.labels.length).map((each) => each.outerHTML),
      );
      assert.deepEqual(bare, []);
    },
  ],
  [
    "the page moves little for users who prefer reduced motion",
    async () => {
      const calm = await openBrowser(browserName, { isCalm: true });
      const still = await openPage(calm, server.url);
      await all("it runs", (row) => countOf(row) >= 1, ["websocket"], still);
      const countMoves = (looked) =>
        looked.evaluate(async () => {
          let moves = 0;
          const seen = new MutationObserver((changes) => (moves += changes.length));
          const moving = document.querySelector("#stream .lane > g");
          seen.observe(moving, { attributes: true, attributeFilter: ["transform"] });
          await new Promise((done) => setTimeout(done, 2500));
          return moves;
        });
      assert.ok((await countMoves(still)) <= 3);
      assert.ok((await countMoves(page)) > 3);
      await calm.close();
    },
  ],
  ["the console stays empty", () => assert.deepEqual(page.complaints, [])],
  [
    "a page that may not publish says so, and runs",
    async () => {
      const closed = new Server();
      await closed.start();
      const other = await openPage(browser, closed.url);
      await until("it says so", () => other.$eval("#closed", (notice) => !notice.hidden));
      const browserOnes = NAMES.filter((name) => name !== "tcp");
      const runs = ({ state }) => ["open", "held", "pausing", "asking", "waiting"].includes(state);
      await all("they run", runs, browserOnes, other);
      await all("it is told", ({ word }) => word === "runs with --demo", ["tcp"], other);
      assert.equal(await other.$eval("#rate", (rate) => rate.disabled), true);
      assert.deepEqual(other.complaints, []);
      await other.close();
      await closed.stop();
    },
  ],
]);

await browser.close();
await server.stop();
