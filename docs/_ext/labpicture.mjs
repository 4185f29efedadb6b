/**
 * Takes the picture of the lab for the first page of the book, with the server of this
 * checkout, Chromium, and the packages of client/:
 *
 *     node docs/_ext/labpicture.mjs
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Server, openBrowser, openPage } from "../../tests/pages/site.mjs";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const PICTURE = join(ROOT, "docs", "lab.webp");

process.env.PYTHON ??= join(ROOT, ".venv", "bin", "python");
process.env.PYTHONPATH = ROOT;

// The server's files, such as its key, are not left in the checkout.
const folder = await mkdtemp(join(tmpdir(), "comet-picture-"));
process.chdir(folder);
const server = new Server("--demo");
await server.start();
const browser = await openBrowser("chromium");

/** Cut techniques off, or let them connect again. */
const toggle = async (...names) => {
  for (const name of names) await page.$eval(`#${name} .switch`, (button) => button.click());
};

const page = await openPage(browser, server.url, { width: 1280, height: 660 });
await page.waitForSelector("#rate:enabled");
await page.focus("#rate");
await page.keyboard.press("ArrowRight");
await page.keyboard.press("ArrowRight");
await page.$eval("#rate", (slider) => slider.blur());
await sleep(5000);
await toggle("longpoll", "stream");
await sleep(2500);
await toggle("longpoll", "stream");
await sleep(2500);
await page.screenshot({ path: PICTURE, quality: 85 });

await browser.close();
await server.stop();
process.chdir(ROOT);
await rm(folder, { recursive: true });
