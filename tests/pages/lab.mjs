/**
 * Scenarios of the lab page: node lab.mjs chromium|firefox
 */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import {
  Server,
  findBarriers,
  measureBusy,
  openBrowser,
  openPage,
  runAll,
  until,
} from "./site.mjs";

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

const statusOf = (looked = page) => looked.$eval("#status", (status) => status.textContent);

/** The most dots that a lane shows on one line, five at most. */
const dotsOf = (name) =>
  page.$eval(`#${name} .lane`, (canvas) => {
    const { width, height } = canvas;
    const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
    const probe = document.createElement("span");
    probe.style.color = "var(--data)";
    document.body.append(probe);
    const colour = getComputedStyle(probe).color.match(/\d+/g).map(Number);
    probe.remove();
    const isDot = (x, y) =>
      // A line is narrower than this.
      [-2, -1, 0, 1].every((dx) => {
        const at = 4 * (y * width + x + dx);
        return colour.every((value, n) => Math.abs(data[at + n] - value) < 24);
      });
    let most = 0;
    for (let x = 2; x < width - 2; x++) {
      let dots = 0;
      while (dots < 5 && isDot(x, 37 - 6 * dots)) dots += 1;
      most = Math.max(most, dots);
    }
    return most;
  });

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
      assert.match(await page.$eval("#pace", (pace) => pace.textContent), /^20 a second/);
      if (browserName === "chromium") {
        const busy = await measureBusy(page, 3000);
        assert.ok(busy <= 0.5, `the main thread is busy for ${busy} of the time`);
      }
      await setRate("Home");
      await all("each has everything", isComplete);
    },
  ],
  [
    "nothing on the page moves",
    async () => {
      const shifted = await page.evaluate(() => shifted);
      assert.ok(shifted < 0.01, String(shifted));
    },
  ],
  [
    "each technique shows its costs, from the server's figures",
    async () => {
      await all("each has figures", (row) => row.requests >= 1 && !row.data.startsWith("0 "));
      const seen = await look();
      assert.ok(seen.longpoll.requests > seen.poll.requests);
      const lasting = ["stream", "sse", "multipart", "iframe", "websocket", "tcp"];
      // On a slow machine one of them may have begun twice.
      const more = lasting.reduce((sum, name) => sum + seen[name].requests - 1, 0);
      assert.ok(more <= 1, JSON.stringify(seen));
      // Messages cost no requests.
      const before = countOf(seen.websocket);
      for (let n = 1; n <= 3; n++) await publish(`costs nothing ${n}`);
      await all("all have them", (row) => countOf(row) >= before + 3);
      const after = await look();
      for (const name of lasting) {
        assert.equal(after[name].requests, seen[name].requests, name);
      }
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
      await until("the lanes show what was missed", async () => {
        const dots = await Promise.all(["poll", "stream", "sse", "multipart", "iframe"].map(dotsOf));
        return dots.every((each) => each === 5);
      });
      await toggle("sse");
      await publish("told");
      await all("the others have it", (row) => countOf(row) === before + 6, ["poll", "websocket"]);
      await toggle("sse");
      const told = "Server-Sent Events: back. 1 missed, all of them received, none lost.";
      await until("it is told", async () => (await statusOf()).includes(told));
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
    "the six lines on the first page of the book do what they say",
    async () => {
      const index = await readFile(new URL("../../docs/index.rst", import.meta.url), "utf8");
      const [, lines] = /<script type="module">\n([^]*?)<\/script>/.exec(index);
      assert.equal(lines.trim().split("\n").length + 2, 6);
      const code = lines
        .replace(/import (.*) from (".*")/, "const $1 = await import($2)")
        .replace("http://127.0.0.1:8080/", server.url);
      const reader = await openPage(browser, `${server.url}lab/icon.svg`);
      const said = [];
      reader.on("console", (message) => said.push(message.text()));
      await reader.evaluate(`(async () => { ${code} })()`);
      await until("it hears itself", () => said.includes("Hello from a page"));
      await reader.close();
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
    "six techniques are seen beside each other on a screen of 1440 x 900",
    async () => {
      await page.setViewport({ width: 1440, height: 900 });
      const ends = await page.evaluate(() => {
        scrollTo(0, 0);
        const rows = [...document.querySelectorAll(".technique")];
        return rows.map((row) => row.getBoundingClientRect().bottom);
      });
      assert.ok(ends[5] <= 900, String(ends));
    },
  ],
  [
    "on a phone a slim bar stays, with which to publish",
    async () => {
      await page.setViewport({ width: 390, height: 844 });
      await page.evaluate(() => scrollTo(0, 2000));
      const { top, height } = await page.$eval("#publish", (form) => {
        const { top, height } = form.getBoundingClientRect();
        return { top, height };
      });
      assert.deepEqual([top, height < 60], [0, true], `${top} ${height}`);
      await publish("from a phone");
      await all("all hear it", ({ messages }) => messages[0]?.startsWith("from a phone"));
      await page.setViewport({ width: 1600, height: 1000 });
      await page.evaluate(() => scrollTo(0, 0));
    },
  ],
  [
    "axe finds no barriers",
    async () => assert.deepEqual(await findBarriers(page), []),
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
          const canvas = document.querySelector("#stream .lane");
          const context = canvas.getContext("2d");
          context.clearRect = (...area) => {
            moves += 1;
            CanvasRenderingContext2D.prototype.clearRect.call(context, ...area);
          };
          await new Promise((done) => setTimeout(done, 2500));
          delete context.clearRect;
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
      const closed = new Server("--pages");
      await closed.start();
      const other = await openPage(browser, closed.url);
      await until("it says so", () => other.$eval("#closed", (notice) => !notice.hidden));
      const browserOnes = NAMES.filter((name) => name !== "tcp");
      const runs = ({ state }) => ["open", "held", "pausing", "asking", "waiting"].includes(state);
      await all("they run", runs, browserOnes, other);
      await all("it is told", ({ word }) => word === "runs with --demo", ["tcp"], other);
      const forms = await other.$$eval("#publish input, #publish button, #rate", (fields) =>
        fields.map((field) => field.disabled),
      );
      assert.deepEqual(forms, [true, true, true]);
      assert.deepEqual(other.complaints, []);
      await other.close();
      await closed.stop();
    },
  ],
  [
    "after the server's death no technique seems to be alive, and publishing says what happens",
    async () => {
      await server.stop("SIGKILL");
      await all("they are lost", ({ state }) => ["lost", "asking"].includes(state));
      await publish("anybody there?");
      await until("it is told", async () => /does not answer.*waits/.test(await statusOf()));
    },
  ],
  [
    "they come back with the server, and the costs go on from where they were",
    async () => {
      const before = await look();
      await server.start();
      await all("all hear what waited", ({ messages }) => messages[0]?.startsWith("anybody there?"));
      for (const name of NAMES) {
        await all("it counts on", (row) => row.requests > before[name].requests, [name]);
      }
    },
  ],
]);

await browser.close();
await server.stop();
