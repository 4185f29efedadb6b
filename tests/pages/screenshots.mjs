/**
 * Screenshots of the pages: node screenshots.mjs chromium|firefox OUTDIR
 */

import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Server, openBrowser, openPage, runAll } from "./site.mjs";

const [browserName, folder] = process.argv.slice(2);
const server = new Server("--demo");
await server.start();

/** Bring the lab into a state to show: a stream, one technique cut off, one that was. */
async function useLab(page) {
  await page.focus("#rate");
  await page.keyboard.press("ArrowRight");
  await sleep(5000);
  for (const name of ["longpoll", "sse"]) {
    await page.$eval(`#${name} .switch`, (button) => button.click());
  }
  await sleep(3500);
  await page.$eval("#longpoll .switch", (button) => button.click());
  await page.$eval("#websocket details", (details) => (details.open = true));
  await sleep(4000);
}

async function useChat(page) {
  const said = [
    ["Anna", "Is it raining where you are?"],
    ["Bert", "It has been pouring since the morning, and the river is up to the first step."],
    ["Clara", "Sun here. https://example.com/a/rather/long/address?with=parameters&that=do-not-break"],
  ];
  for (const [name, text] of said) {
    await page.$eval("input[name=name]", (input, value) => (input.value = value), name);
    await page.$eval("input[name=text]", (input, value) => (input.value = value), text);
    await page.$eval("form", (form) => form.requestSubmit());
    await sleep(300);
  }
}

const scenarios = [false, true].flatMap((isDark) =>
  [1600, 360].flatMap((width) =>
    [
      ["lab", "", useLab],
      ["chat", "chat", useChat],
    ].map(([name, path, use]) => {
      const file = `${name}-${browserName}-${isDark ? "dark" : "light"}-${width}.png`;
      const take = async () => {
        const browser = await openBrowser(browserName, { isDark });
        try {
          const page = await openPage(browser, server.url + path, { width, isDark });
          await use(page);
          await page.screenshot({ path: join(folder, file), fullPage: true });
        } finally {
          await browser.close();
        }
      };
      return [file, take];
    }),
  ),
);

await runAll(scenarios);
await server.stop();
