/**
 * Scenarios of the admin page: node admin.mjs chromium|firefox
 */

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { Server, findBarriers, openBrowser, openPage, runAll, until } from "./site.mjs";

const SECRET = "the secret of the tokens of this test, long enough";
const ADMIN = "the-admin-key-of-this-test-0123456789abcdef";

const [browserName] = process.argv.slice(2);
await writeFile("token.secret", SECRET);
await writeFile("admin.key", ADMIN);
const keys = ["--token-key", "token.secret", "--admin-key", "admin.key"];
const server = new Server("--open-read", "chat/**", "--presence", "chat/**", ...keys);
await server.start();
const publishKey = (await readFile("comet.key", "utf8")).trim();

/** A token of a client. */
function makeToken(sub, jti) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  const claims = { sub, jti, iat: now, exp: now + 3600 };
  const said = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
  return `${said}.${createHmac("sha256", SECRET).update(said).digest("base64url")}`;
}

const tokens = { ada: makeToken("ada", "ada-1"), bob: makeToken("bob", "bob-1") };

/** Begin a stream.  @return A promise of its whole text, when it ends. */
async function read(channel, who) {
  const headers = { Authorization: `Bearer ${tokens[who]}` };
  const response = await fetch(`${server.url}channels/${channel}?transport=stream`, { headers });
  assert.equal(response.status, 200, response.ok || (await response.text()));
  return { ended: response.text() };
}

async function publish(channel, data) {
  const headers = { Authorization: `Bearer ${publishKey}`, "Content-Type": "application/json" };
  const body = JSON.stringify(data);
  const answer = await fetch(`${server.url}channels/${channel}`, { method: "POST", headers, body });
  assert.equal(answer.status, 201);
}

const [adas, bobs] = [await read("chat/a", "ada"), await read("chat/a", "bob")];
await publish("chat/a", "<b>hello</b>");

const browser = await openBrowser(browserName);
const page = await openPage(browser, `${server.url}admin`);

const rowsOf = (id) =>
  page.$$eval(`#${id} tbody tr`, (rows) =>
    rows.map((row) => [...row.cells].map((cell) => cell.textContent)),
  );
const textOf = (selector) => page.$eval(selector, (element) => element.textContent);
const isHidden = (selector) => page.$eval(selector, (element) => element.hidden);

/** Wait until a table has a row that begins so. */
const untilRow = (id, ...begin) =>
  until(`${id} has ${begin}`, async () =>
    (await rowsOf(id)).find((row) => begin.every((text, index) => row[index] === text)),
  );

/** Wait until a table has no row of this name. */
const untilNoRow = (id, name) =>
  until(`${id} has no ${name}`, async () => !(await rowsOf(id)).some(([first]) => first === name));

/** Wait until the page tells what an order did. */
const untilTold = async (pattern) => {
  let told;
  const isTold = async () => pattern.exec((told = await textOf("#told")));
  try {
    return await until(`it tells ${pattern}`, isTold);
  } catch (error) {
    throw new Error(`${error.message}; it told ${JSON.stringify(told)}`);
  }
};

async function type(selector, text) {
  await page.$eval(selector, (field) => (field.value = ""));
  await page.type(selector, text);
}

/** Click on the button of this name in a table, and wait for the dialog. */
async function choose(label) {
  const button = `button[aria-label="${label}"]`;
  await page.$eval(button, (found) => (found.focus(), found.click()));
  await page.waitForSelector("#dialog[open]");
}

/** Click on the dialog's button, wherever it is by now. */
const confirm = () => page.$eval("#do", (button) => button.click());

const isOpen = () => page.$eval("#dialog", (dialog) => dialog.open);

await runAll([
  [
    "the page holds nothing, and asks for the key",
    async () => {
      assert.equal(await isHidden("#figures"), true);
      assert.deepEqual(await rowsOf("nodes"), []);
      assert.deepEqual(await findBarriers(page), []);
    },
  ],
  [
    "a key that is not the admin's is refused",
    async () => {
      await type("#key", publishKey);
      await page.keyboard.press("Enter");
      await until("it says so", async () => /^The server refuses/.test(await textOf("#refused")));
      assert.equal(await isHidden("#figures"), true);
      assert.equal(await page.evaluate(() => sessionStorage.length), 0);
      // The browser itself notes each response with an error.
      page.complaints.splice(0);
    },
  ],
  [
    "with the key it shows the nodes, and what passes through them",
    async () => {
      await type("#key", ADMIN);
      // A second click before the answer begins no second stream.
      await page.$eval("#enter", (form) => (form.requestSubmit(), form.requestSubmit()));
      await until("it is connected", async () => (await textOf("#connection")) === "Connected");
      const [[, state, open]] = await until("there is a node", async () => {
        const rows = await rowsOf("nodes");
        return rows.length === 1 && rows;
      });
      assert.equal(state, "ready");
      assert.ok(Number(open) >= 2, open);
      await until("there are rates", async () => /\d/.test(await textOf("[data-sum=delivered]")));
      await untilRow("transports", "stream", "2");
      await untilRow("transports", "websocket", "1");
      assert.ok(!page.url().includes(ADMIN));
    },
  ],
  [
    "it finds channels by a pattern, and shows one with readers, members and messages",
    async () => {
      await untilRow("channels", "chat/a", "2");
      await type("#pattern", "nothing/*");
      await page.keyboard.press("Enter");
      await untilNoRow("channels", "chat/a");
      await type("#pattern", "chat/*");
      await page.keyboard.press("Enter");
      await untilRow("channels", "chat/a", "2");
      await page.click('button[aria-label="Open chat/a"]');
      await untilRow("readers", "ada", "DisconnectRevokeRevoke token", "ada-1");
      await untilRow("members", "bob");
      const [[, data]] = await until("there is a message", async () => {
        const rows = await rowsOf("messages");
        return rows.length === 1 && rows;
      });
      assert.equal(data, '"<b>hello</b>"');
      const focused = await page.evaluate(() => document.activeElement.id);
      assert.equal(focused, "channel-title");
    },
  ],
  [
    "a row that changes keeps its focus",
    async () => {
      const label = "Disconnect ada";
      await page.focus(`#readers button[aria-label="${label}"]`);
      await publish("chat/a", { more: 2 });
      await until("it is shown", async () => (await rowsOf("messages")).length === 2);
      assert.equal(await page.evaluate(() => document.activeElement.ariaLabel), label);
    },
  ],
  ["axe finds no barriers", async () => assert.deepEqual(await findBarriers(page), [])],
  [
    "an order asks first, can be left by the keyboard, and gives the focus back",
    async () => {
      await choose("Disconnect ada");
      assert.deepEqual(await findBarriers(page), []);
      await page.keyboard.press("Escape");
      await until("it is closed", async () => !(await isOpen()));
      assert.equal(await page.evaluate(() => document.activeElement.ariaLabel), "Disconnect ada");
      assert.equal(await textOf("#told"), "");
    },
  ],
  [
    "disconnecting ends what a client reads, and says how much",
    async () => {
      await choose("Disconnect ada");
      await confirm();
      await untilTold(/^Disconnected ada\. Streams .*: 1\.$/);
      assert.match(await adas.ended, /"disconnected"/);
      await untilNoRow("readers", "ada");
    },
  ],
  [
    "revoking refuses the tokens of a client, until the revocation is ended",
    async () => {
      await choose("Revoke bob");
      await page.type("#fields input", "60");
      await confirm();
      const id = (await untilTold(/^Revoked bob\. The revocation is (\S+)\.$/))[1];
      assert.match(await bobs.ended, /"revoked"/);
      await untilRow("revocations", "bob");
      await choose(`End ${id}`);
      await confirm();
      await untilTold(/^Ended the revocation/);
      await untilNoRow("revocations", "bob");
    },
  ],
  [
    "publishing to a channel, and deleting what it holds",
    async () => {
      await page.click("#publish");
      await page.type("#fields textarea", '{"from": "the admin"}');
      await confirm();
      await untilTold(/^Published to chat\/a: the message is \S+-\d+\.$/);
      await until("it is shown", async () =>
        (await rowsOf("messages")).some((row) => row[1] === '{"from":"the admin"}'),
      );
      await page.click("#forget");
      await confirm();
      await untilTold(/^Deleted the messages of chat\/a/);
      await until("it holds none", async () => (await rowsOf("messages")).length === 0);
      const orders = await page.$$eval("#orders li", (items) => items.length);
      assert.equal(orders, 5);
    },
  ],
  [
    "an order that is refused says why, in the dialog",
    async () => {
      await type("#client", "carl");
      await page.click("#revoke");
      await page.type("#fields textarea", "a/**/b");
      await confirm();
      await until("it says so", async () => (await textOf("#failed")) !== "");
      await page.click("#cancel");
      page.complaints.splice(0);
    },
  ],
  [
    "no table has more than a hundred rows, and all are counted",
    async () => {
      const names = Array.from({ length: 150 }, (_, number) => `chat/many/${number}`);
      const abort = new AbortController();
      const { signal } = abort;
      const ask = (some) => fetch(`${server.url}channels/${some}?transport=stream`, { signal });
      const open = await Promise.all([0, 50, 100].map((n) => ask(names.slice(n, n + 50).join(","))));
      await type("#pattern", "");
      await page.keyboard.press("Enter");
      // One more is the page's own.
      const shown = /^15[01] .*, the first 100 of them here\.$/;
      await until("it counts", async () => shown.test(await textOf("#channels-count")));
      assert.equal((await rowsOf("channels")).length, 100);
      abort.abort();
      await Promise.all(open.map((each) => each.text().catch(() => "")));
    },
  ],
  [
    "the page fits every width",
    async () => {
      for (const width of [320, 700, 1600]) {
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
    "the key lasts as long as the tab, through a reload",
    async () => {
      await page.reload();
      await until("it is connected", async () => (await textOf("#connection")) === "Connected");
      const other = await openPage(browser, `${server.url}admin`);
      assert.equal(await other.$eval("#figures", (main) => main.hidden), true);
      await other.close();
      await page.bringToFront();
    },
  ],
  [
    "a server that is away is told of, and shown again when it is back",
    async () => {
      await server.stop("SIGKILL");
      await until("it says so", async () => /^Disconnected/.test(await textOf("#connection")));
      const [[before]] = await rowsOf("nodes");
      await server.start();
      await until("it is connected", async () => (await textOf("#connection")) === "Connected");
      await until("the new node is shown", async () => {
        const rows = await rowsOf("nodes");
        return rows.length === 1 && rows[0][0] !== before;
      });
      page.complaints.splice(0);
    },
  ],
  [
    "the key is forgotten, and with it all that was shown",
    async () => {
      await page.click("#leave");
      assert.equal(await isHidden("#figures"), true);
      assert.equal(await page.evaluate(() => sessionStorage.length), 0);
      assert.deepEqual(await rowsOf("nodes"), []);
    },
  ],
  ["the console stays empty", () => assert.deepEqual(page.complaints, [])],
]);

await browser.close();
await server.stop();
