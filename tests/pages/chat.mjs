/**
 * Scenarios of the chat: node chat.mjs chromium|firefox
 */

import assert from "node:assert/strict";
import { Server, findBarriers, openBrowser, openPage, runAll, until } from "./site.mjs";

const [browserName] = process.argv.slice(2);
const server = new Server("--demo");
await server.start();
const browser = await openBrowser(browserName);
const url = `${server.url}chat`;

/** The lines that the page shows: name and text; of a note only the text.  Not who comes and goes. */
const linesOf = (page) =>
  page.$$eval("#messages li:not(.coming)", (all) =>
    all.map((line) =>
      line.className === "note"
        ? [line.textContent]
        : [line.querySelector("b").textContent, line.querySelector("span").textContent],
    ),
  );

const comingOf = (page) =>
  page.$$eval("#messages .coming", (all) => all.map((line) => line.textContent));

/** Wait until the page says who is there. */
const shows = async (page, text) => {
  let last;
  const read = async () => (last = await page.$eval("#present", (line) => line.textContent)) === text;
  await until(`it shows ${text}`, read).catch((error) => {
    throw new Error(`${error.message}: ${last}`);
  });
};

/** Open the chat for a visitor with cookies of their own. */
const comeIn = async (url) => {
  const context = await browser.createBrowserContext();
  const own = { newPage: () => context.newPage(), version: () => browser.version() };
  const page = await openPage(own, url);
  await until("the field is there", () => page.$("input[name=name]:enabled"));
  return page;
};

/** Type a name, and leave the field. */
const takeName = (page, name) =>
  page.$eval("input[name=name]", (input, value) => {
    input.value = value;
    input.dispatchEvent(new Event("change"));
  }, name);

const connectionOf = (page) => page.$eval("#connection", (line) => line.textContent);
const roomsOf = (page) => page.$eval("#rooms", (rooms) => rooms.textContent);

const say = async (page, name, text) => {
  const fields = Object.entries({ name, text });
  for (const [field, value] of fields) {
    await page.$eval(`input[name=${field}]`, (input, v) => (input.value = v), value);
  }
  // Not with the mouse: a tab in the background has no place to click at.
  await page.$eval("form", (form) => form.requestSubmit());
};

const sees = (page, ...wanted) =>
  until(`there is ${JSON.stringify(wanted)}`, async () => {
    const lines = await linesOf(page);
    return wanted.every((each) => lines.some((line) => `${line}` === `${each}`));
  });

const visit = async (page, room) => {
  await page.$$eval(
    "#rooms a",
    (all, name) => all.find((each) => each.textContent.startsWith(name)).click(),
    room,
  );
  await until("the room is shown", () =>
    page.$eval("#room", (title, name) => title.textContent === name, room),
  );
};

const anna = await openPage(browser, url);
const bert = await openPage(browser, url);

await runAll([
  [
    "the page says that it is connected, and that nothing was said yet",
    async () => {
      await until("it is connected", async () => (await connectionOf(anna)) === "Connected");
      assert.equal(await anna.$eval("#empty", (empty) => empty.checkVisibility()), true);
      assert.deepEqual(await findBarriers(anna), []);
    },
  ],
  [
    "a line of one visitor is shown to both, at once and once",
    async () => {
      await say(anna, "Anna", "Hello");
      await sees(bert, ["Anna", "Hello"]);
      await say(bert, "Bert", "Good evening");
      await sees(anna, ["Anna", "Hello"], ["Bert", "Good evening"]);
      assert.equal((await linesOf(anna)).length, 2);
      assert.equal(await anna.$eval("#empty", (empty) => empty.checkVisibility()), false);
    },
  ],
  [
    "the field is cleared then, and the name stays, also for the next visit",
    async () => {
      assert.equal(await anna.$eval("input[name=text]", (input) => input.value), "");
      const third = await openPage(browser, url);
      assert.equal(await third.$eval("input[name=name]", (input) => input.value), "Bert");
      await third.close();
    },
  ],
  [
    "rooms are separate, and show their unread lines",
    async () => {
      await visit(anna, "kitchen");
      await say(anna, "Anna", "The kettle boils");
      await until("Bert's kitchen has one", async () =>
        (await roomsOf(bert)).includes("kitchen (1)"),
      );
      assert.deepEqual(await linesOf(bert), [
        ["Anna", "Hello"],
        ["Bert", "Good evening"],
      ]);
      await visit(bert, "kitchen");
      await sees(bert, ["Anna", "The kettle boils"]);
      assert.equal((await roomsOf(bert)).includes("("), false);
    },
  ],
  [
    "a visitor who comes later sees the earlier lines, in order",
    async () => {
      for (let n = 1; n <= 60; n++) await server.publish("chat/garden", `line ${n}`);
      const late = await openPage(browser, `${url}#garden`);
      await sees(late, ["?", "line 60"]);
      const lines = (await linesOf(late)).map(([, text]) => text);
      assert.deepEqual(lines, Array.from({ length: 50 }, (_, n) => `line ${n + 11}`));
      assert.deepEqual(late.complaints, []);
      // Those before them come as the visitor scrolls back, above what is read.
      const topOf = () =>
        late.$$eval("#messages li", (all) =>
          all.find((line) => line.textContent.includes("line 11 ")).getBoundingClientRect().top,
        );
      await late.$eval("#log", (log) => (log.scrollTop = 0));
      const top = await topOf();
      await sees(late, ["?", "line 1"]);
      const all = (await linesOf(late)).map(([, text]) => text);
      assert.deepEqual(all, Array.from({ length: 60 }, (_, n) => `line ${n + 1}`));
      assert.ok(Math.abs((await topOf()) - top) < 2, "the lines that are read have moved");
      await late.close();
    },
  ],
  [
    "a line is shown as text, also if it is HTML",
    async () => {
      await visit(anna, "lobby");
      await visit(bert, "lobby");
      const text = "<img src=x onerror=alert(1)><b>&amp;";
      await say(anna, "<script>", text);
      await sees(bert, ["<script>", text]);
      assert.equal(await bert.$eval("#messages", (list) => list.querySelectorAll("img").length), 0);
      await server.publish("chat/lobby", "plain");
      await sees(bert, ["?", "plain"]);
      for (const data of ["null", "17", "[1]", '{"name":{"a":1},"text":[2]}']) {
        const headers = { "Content-Type": "application/json" };
        await fetch(`${server.url}channels/chat/lobby`, { method: "POST", body: data, headers });
      }
      await sees(bert, ["?", "null"], ["?", "17"], ["?", "[1]"], ['{"a":1}', "[2]"]);
    },
  ],
  [
    "a reader of earlier lines is told of new ones, and the page keeps the last 500",
    async () => {
      await visit(bert, "garden");
      // The page may just be about to scroll to the end of the room, and hears of a scroll in
      // the next frame.
      await until("it shows earlier lines", () =>
        bert.$eval("#log", async (log) => {
          log.scrollTop = 0;
          for (let n = 0; n < 2; n++) await new Promise(requestAnimationFrame);
          return log.scrollTop + log.clientHeight < log.scrollHeight - 100;
        }),
      );
      await server.publishAll("chat/garden", Array.from({ length: 520 }, (_, n) => `new ${n}`));
      await sees(bert, ["?", "new 519"]);
      assert.equal((await linesOf(bert)).length, 500);
      await until("it is told", () =>
        bert.$eval("#below", (button) => button.checkVisibility()),
      );
      await bert.$eval("#below", (button) => button.click());
      const isAtEnd = (log) => log.scrollHeight - log.scrollTop - log.clientHeight < 2;
      assert.equal(await bert.$eval("#log", isAtEnd), true);
      assert.equal(await bert.$eval("#below", (button) => button.checkVisibility()), false);
      await visit(bert, "lobby");
      assert.deepEqual(await findBarriers(bert), []);
    },
  ],
  [
    "each visitor sees who is there, and who comes in and leaves",
    async () => {
      const own = new Server("--demo", "--presence-grace", "1");
      await own.start();
      const alone = "Only you are here. Others come in by the address of this page.";
      const ada = await comeIn(`${own.url}chat`);
      await shows(ada, "Only you are here. With a name, others see that it is you.");
      await takeName(ada, "Ada");
      await shows(ada, alone);
      const bob = await comeIn(`${own.url}chat`);
      await takeName(bob, "Bob <b>");
      await shows(ada, "Here: Ada (you) and Bob <b>");
      await shows(bob, "Here: Bob <b> (you) and Ada");
      await say(bob, "Bob <b>", "Hello");
      await sees(ada, ["Bob <b>", "Hello"]);
      assert.deepEqual(await findBarriers(ada), []);
      // Two messages at once, the second by another name: both are published.
      await say(bob, "Bob <b>", "I am off");
      await say(bob, "Robert", "Bye");
      await sees(ada, ["Bob <b>", "I am off"], ["Robert", "Bye"]);
      await shows(ada, "Here: Ada (you) and Robert");
      await visit(ada, "kitchen");
      await shows(ada, "Here: Ada (you) and Robert");
      await visit(ada, "lobby");
      await shows(ada, "Here: Ada (you) and Robert");
      assert.deepEqual(bob.complaints, []);
      await bob.close();
      await shows(ada, alone);
      const told = await comingOf(ada);
      assert.equal(told[0], "Bob <b> has come in");
      assert.deepEqual(told.slice(-1), ["Robert has left"]);
      assert.deepEqual(ada.complaints, []);
      await ada.close();
      await own.stop();
    },
  ],
  [
    "a page that may not publish says so",
    async () => {
      const closed = new Server("--pages");
      await closed.start();
      const other = await openPage(browser, `${closed.url}chat`);
      await until("it says so", () => other.$eval("#closed", (notice) => !notice.hidden));
      assert(await other.$eval("#invitation", (words) => words.hidden));
      const fields = await other.$$eval("#say input, #say button", (all) =>
        all.map((field) => field.disabled),
      );
      assert.deepEqual(fields, [true, true, true]);
      assert.deepEqual(other.complaints, []);
      await other.close();
      await closed.stop();
    },
  ],
  [
    "the page fits every width",
    async () => {
      for (const width of [320, 360, 1600]) {
        await anna.setViewport({ width, height: 700 });
        const needed = await anna.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(needed <= width, `${needed} at ${width}`);
        assert.ok(await anna.evaluate(() => document.documentElement.scrollHeight <= innerHeight));
      }
    },
  ],
  [
    "the console stays empty",
    () => assert.deepEqual([...anna.complaints, ...bert.complaints], []),
  ],
  [
    "the chat survives a restart of the server, and sends lines typed meanwhile once",
    async () => {
      const unread = await roomsOf(anna);
      await server.stop("SIGKILL");
      await until("it is told", async () => /^Disconnected/.test(await connectionOf(anna)));
      await say(anna, "Anna", "Is anybody there?");
      const waiting = await anna.$$eval(".waiting", (all) => all.map((line) => line.textContent));
      assert.deepEqual(waiting, ["sending … Anna Is anybody there? "]);
      await server.start();
      const restart = ["Anna", "Is anybody there?"];
      await sees(bert, restart, ["Anna", "Hello"]);
      await sees(anna, restart, ["Something may be missing here."]);
      await until("all is well", async () => (await connectionOf(anna)) === "Connected");
      assert.deepEqual(await anna.$$(".waiting"), []);
      // What may be missing in the other rooms is no unread line.
      assert.equal(await roomsOf(anna), unread);
      await say(bert, "Bert", "Back again");
      await sees(anna, ["Bert", "Back again"]);
      for (const page of [anna, bert]) {
        const lines = (await linesOf(page)).filter((line) => `${line}` === `${restart}`);
        assert.equal(lines.length, 1);
      }
    },
  ],
]);

await browser.close();
await server.stop();
