/**
 * A server with its pages, and the browsers that show them.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

const require = createRequire(new URL("../../client/package.json", import.meta.url));
const { default: puppeteer } = await import(require.resolve("puppeteer-core"));

/** How long one wait may take, and the whole script, in milliseconds. */
export const PATIENCE = 60_000;
const ALL = 540_000;

setTimeout(() => {
  console.log("FAILED: it took too long");
  process.exit(1);
}, ALL).unref();

/** No requests of Chromium's own, which no test needs, and no QUIC, which bypasses proxies. */
const CHROMIUM = [
  ...["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
  ...["--disable-background-networking", "--disable-component-update", "--disable-sync"],
];

/** `twistd comet`, on a port of its own. */
export class Server {
  #options;
  #process = null;
  #output = "";

  /** @param options The options of `twistd comet`. */
  constructor(...options) {
    this.#options = options;
  }

  get url() {
    return `http://127.0.0.1:${this.port}/`;
  }

  async start() {
    this.port ??= await freePort();
    const run = "from twisted.scripts.twistd import run; run()";
    const listen = ["--listen", `tcp:${this.port}:interface=127.0.0.1`, "--drain", "1"];
    const command = ["-c", run, "-n", "--pidfile=", "comet", ...listen, ...this.#options];
    const child = spawn(process.env.PYTHON ?? "python3", command);
    // The server ends in any case when this process does.
    process.on("exit", () => child.kill("SIGKILL"));
    this.#process = child;
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream.on("data", (data) => (this.#output += data));
    }
    await until("the server serves", async () => {
      if (this.#process.exitCode !== null) throw new Error(this.#output.slice(-4000));
      return (await fetch(`${this.url}health`).catch(() => null))?.ok;
    });
  }

  async stop(signal = "SIGTERM") {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const exited = once(this.#process, "exit");
    this.#process.kill(signal);
    await exited;
    if (/Traceback|Unhandled/.test(this.#output)) throw new Error(this.#output.slice(-4000));
  }

  /** Publish texts to a channel, with one request. */
  async publishAll(channel, texts) {
    const headers = { "Content-Type": "application/x-ndjson" };
    const body = texts.map((data) => JSON.stringify({ channel, data })).join("\n");
    const answer = await fetch(`${this.url}publish`, { method: "POST", headers, body });
    if (answer.status !== 201) throw new Error(await answer.text());
  }

  async publish(channel, text) {
    const answer = await fetch(`${this.url}channels/${channel}`, { method: "POST", body: text });
    if (answer.status !== 201) throw new Error(await answer.text());
  }
}

/**
 * A port that nothing listens on.  The system may give a port of its choice to a connection
 * before the server listens there, so this is one that it gives to none: see tests/ports.py.
 */
export async function freePort() {
  for (;;) {
    const port = 10240 + Math.floor(Math.random() * 22000);
    const server = createServer();
    const isFree = await new Promise((resolve) => {
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => resolve(true));
    });
    if (!isFree) continue;
    server.close();
    await once(server, "close");
    return port;
  }
}

/** @param name `chromium` or `firefox`. */
export function openBrowser(name, { isDark = false, isCalm = false, isForced = false } = {}) {
  if (name === "chromium") {
    const args = [...CHROMIUM, ...(isCalm ? ["--force-prefers-reduced-motion"] : [])];
    const executablePath = "/usr/bin/chromium";
    return puppeteer.launch({ executablePath, headless: true, args, protocolTimeout: PATIENCE });
  }
  return puppeteer.launch({
    browser: "firefox",
    executablePath: "/usr/bin/firefox-esr",
    headless: true,
    protocolTimeout: PATIENCE,
    extraPrefsFirefox: {
      "layout.css.prefers-color-scheme.content-override": isDark ? 0 : 1,
      "ui.prefersReducedMotion": isCalm ? 1 : 0,
      // 2: all pages have the user's colours.
      "browser.display.document_color_use": isForced ? 2 : 0,
    },
  });
}

/**
 * Open a page, and collect its errors.
 *
 * @return The page; its `complaints` are errors, warnings, and requests that its
 *   policy refused.
 */
export async function openPage(
  browser,
  url,
  { width = 1600, height = 1000, isDark = false, isForced = false } = {},
) {
  const page = await browser.newPage();
  const isChromium = !(await browser.version()).toLowerCase().includes("firefox");
  page.complaints = [];
  page.on("pageerror", (error) => page.complaints.push(`${error.stack ?? error}`));
  page.on("console", (message) => {
    if (["error", "warn", "warning", "assert"].includes(message.type())) {
      page.complaints.push(`${message.type()}: ${message.text()}`);
    }
  });
  await page.evaluateOnNewDocument(() => {
    addEventListener("securitypolicyviolation", (event) => {
      console.error(`policy: ${event.violatedDirective} refused ${event.blockedURI}`);
    });
    // How much of the page has moved; Firefox does not tell.
    window.shifted = 0;
    if (PerformanceObserver.supportedEntryTypes.includes("layout-shift")) {
      new PerformanceObserver((list) => {
        for (const { value } of list.getEntries()) shifted += value;
      }).observe({ type: "layout-shift", buffered: true });
    }
  });
  await page.setViewport({ width, height });
  // Firefox takes these from the preferences of openBrowser.
  if (isChromium && (isDark || isForced)) {
    const features = [];
    if (isDark) features.push({ name: "prefers-color-scheme", value: "dark" });
    if (isForced) features.push({ name: "forced-colors", value: "active" });
    const session = await page.createCDPSession();
    await session.send("Emulation.setEmulatedMedia", { features });
  }
  await page.goto(url, { waitUntil: "domcontentloaded" });
  return page;
}

/**
 * Look for what keeps people from using a page, as far as axe finds it.
 *
 * @return What it found, one line each.
 */
export async function findBarriers(page) {
  // As the page's policy allows no script from elsewhere, the browser itself runs it.
  await page.evaluate(await readFile(require.resolve("axe-core/axe.min.js"), "utf8"));
  return page.evaluate(async () => {
    const options = { rules: { "target-size": { enabled: true } }, resultTypes: ["violations"] };
    const { violations } = await axe.run(document, options);
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map((each) => each.html).join(" ")}`);
  });
}

/**
 * Measure for which share of the time the main thread of a page is busy, in Chromium,
 * by the processor's time.
 */
export async function measureBusy(page, milliseconds) {
  const session = await page.createCDPSession();
  await session.send("Performance.enable", { timeDomain: "threadTicks" });
  const read = async () => {
    const { metrics } = await session.send("Performance.getMetrics");
    return metrics.find(({ name }) => name === "ThreadTime").value;
  };
  const [begun, first] = [performance.now(), await read()];
  await sleep(milliseconds);
  const [ended, last] = [performance.now(), await read()];
  await session.detach();
  return ((last - first) * 1000) / (ended - begun);
}

/** Wait until a condition holds, for a limited time. */
export async function until(what, isSo, patience = PATIENCE) {
  const end = Date.now() + patience;
  let last;
  while (Date.now() < end) {
    last = await isSo();
    if (last) return last;
    await sleep(50);
  }
  throw new Error(`waited in vain until ${what}`);
}

/**
 * Run scenarios one after the other, and exit with 1 if one fails.
 *
 * @param scenarios An array of `[what it shows, async function]`.
 */
export async function runAll(scenarios) {
  for (const [what, run] of scenarios) {
    const begun = Date.now();
    try {
      await run();
    } catch (error) {
      console.log(`FAILED ${what}\n${error.stack}`);
      process.exitCode = 1;
      return;
    }
    console.log(`ok ${what} (${Date.now() - begun} ms)`);
  }
}
