/**
 * Screenshots of the pages: node screenshots.mjs chromium|firefox OUTDIR
 */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Server, openBrowser, openPage, runAll, until } from "./site.mjs";

const [browserName, folder] = process.argv.slice(2);
const server = new Server("--demo");

/** How the pages are looked at, by the name of the variant. */
const VARIANTS = {
  wide: { width: 1440, height: 900 },
  narrow: { width: 390, height: 844 },
  dark: { width: 1440, height: 900, isDark: true },
  forced: { width: 1440, height: 900, isForced: true },
};

/** The techniques that are cut off, and catch up. */
const CUT = ["longpoll", "stream", "sse", "websocket"];

async function toggle(page) {
  for (const name of CUT) await page.$eval(`#${name} .switch`, (button) => button.click());
}

/** Bring the lab into a state to show: a stream, and some techniques that catch up. */
async function useLab(page) {
  await page.waitForSelector("#rate:enabled");
  await page.focus("#rate");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  await sleep(4000);
  await toggle(page);
  await sleep(3000);
}

async function useChat(page) {
  const said = [
    ["Anna", "Is it raining where you are?"],
    ["Bert", "It has been pouring since the morning, and the river is up to the first step."],
    ["Clara", "Sun here. https://example.com/a/rather/long/address?with=parameters&that=do-not-break"],
  ];
  await page.waitForSelector("button:enabled");
  for (const [name, text] of said) await say(page, name, text);
}

async function say(page, name, text) {
  await page.$eval("input[name=name]", (input, value) => (input.value = value), name);
  await page.$eval("input[name=text]", (input, value) => (input.value = value), text);
  await page.$eval("form", (form) => form.requestSubmit());
  await sleep(300);
}

/** Enter the admin page, and open a channel and a dialog. */
async function useAdmin(page, shoot) {
  await page.type("#key", (await readFile("comet.key", "utf8")).trim());
  await page.keyboard.press("Enter");
  await page.waitForSelector('[data-state="open"]');
  await page.type("#pattern", "chat/lobby");
  await page.click("#open");
  await sleep(4500);
  await shoot(page, "admin", true);
  await page.click("#publish");
  await sleep(300);
  await shoot(page, "admin-publish");
}

/** Look at the pages, then let the server die under the lab and the chat, and look again. */
async function look(name, options) {
  const browser = await openBrowser(browserName, options);
  const shoot = (page, what, fullPage = false) => {
    const path = join(folder, `${what}-${name}-${browserName}.png`);
    return page.screenshot({ path, fullPage });
  };
  const isDead = (page) => async () =>
    /answer|^Disconnected/.test(
      await page.$eval("#status, #connection[data-state=lost]", (line) => line.textContent),
    );
  try {
    await server.start();
    const lab = await openPage(browser, server.url, options);
    await useLab(lab);
    await shoot(lab, "lab-cut");
    await toggle(lab);
    await sleep(3000);
    await shoot(lab, "lab-caught-up");
    if (name === "narrow") {
      await lab.$eval("#longpoll", (row) => row.scrollIntoView({ block: "center" }));
      await sleep(500);
      await shoot(lab, "lab-scrolled");
    }
    await shoot(lab, "lab-whole", true);
    await server.stop("SIGKILL");
    await until("the lab knows", isDead(lab));
    await lab.$eval("#publish", (form) => form.requestSubmit());
    await sleep(2500);
    await shoot(lab, "lab-dead");
    await lab.close();

    await server.start();
    const chat = await openPage(browser, `${server.url}chat`, options);
    await sleep(1000);
    await shoot(chat, "chat-empty");
    await useChat(chat);
    await shoot(chat, "chat");
    const admin = await openPage(browser, `${server.url}admin`, options);
    await shoot(admin, "admin-enter");
    await useAdmin(admin, shoot);
    await admin.close();
    await server.stop("SIGKILL");
    await until("the chat knows", isDead(chat));
    await say(chat, "Anna", "Hello? Is anybody still there?");
    await shoot(chat, "chat-dead");
  } finally {
    await browser.close();
    await server.stop("SIGKILL");
  }
}

await runAll(
  Object.entries(VARIANTS).map(([name, options]) => [name, () => look(name, options)]),
);
