/**
 * Proxies between a browser and the server: one that refuses or delays requests,
 * one that cuts idle connections, and nginx.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer, request } from "node:http";
import net from "node:net";
import { join } from "node:path";
import { until } from "../pages/site.mjs";

/** The empty page on which all scenarios run. */
const PAGE = '<!doctype html><html lang="en"><title>test</title><link rel="icon" href="data:,">';

// When a Cutter cuts at the latest: most of the bytes are a head and a dozen messages.
const MOST_BYTES = 1200;
const MOST_TIME = 2000;

/** An HTTP proxy that can refuse and delay requests. */
export class Meddler {
  /** Whether the proxy cuts off a request, `{ url, isUpgrade }`, at once. */
  refuses = () => false;
  /** By how many milliseconds the proxy delays responses. */
  holds = 0;
  /** The number of requests by transport. */
  seen = new Map();
  #sockets = new Set();
  #port;
  #server = createServer((asked, answer) => this.#pass(asked, answer));

  /** @param port The port of the server. */
  constructor(port) {
    this.#port = port;
    this.#server.on("upgrade", (asked, socket, head) => this.#upgrade(asked, socket, head));
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      socket.on("error", () => {});
    });
  }

  async start() {
    this.#server.listen(this.port ?? 0, "127.0.0.1");
    await once(this.#server, "listening");
    this.port = this.#server.address().port;
    this.url = `http://127.0.0.1:${this.port}/`;
    return this;
  }

  /** Cut all open connections. */
  cut() {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Stop listening, and cut all connections. */
  async stop() {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.cut();
    await closed;
  }

  #isRefused(asked, isUpgrade) {
    const { url } = asked;
    const transport = isUpgrade ? "websocket" : /[?&]transport=(\w+)/.exec(url)?.[1];
    if (transport) this.seen.set(transport, (this.seen.get(transport) ?? 0) + 1);
    if (!this.refuses({ url, isUpgrade, transport })) return false;
    asked.socket.destroy();
    return true;
  }

  #pass(asked, answer) {
    if (asked.url.startsWith("/page")) {
      answer.writeHead(200, { "Content-Type": "text/html; charset=utf-8" });
      return answer.end(PAGE);
    }
    if (this.#isRefused(asked, false)) return;
    const { method, url, headers } = asked;
    const forwarded = request({ port: this.#port, host: "127.0.0.1", method, path: url, headers });
    forwarded.on("response", (response) => {
      answer.writeHead(response.statusCode, response.headers);
      answer.flushHeaders();
      const pieces = [];
      const flush = () => pieces.splice(0).forEach((piece) => answer.write(piece));
      response.on("data", (piece) => {
        if (!this.holds) return answer.write(piece);
        if (!pieces.length) setTimeout(flush, this.holds);
        pieces.push(piece);
      });
      response.on("end", () => {
        flush();
        answer.end();
      });
      response.on("error", () => answer.destroy());
    });
    forwarded.on("error", () => answer.destroy());
    answer.on("close", () => forwarded.destroy());
    asked.pipe(forwarded);
  }

  #upgrade(asked, socket, head) {
    if (this.#isRefused(asked, true)) return;
    const server = net.connect(this.#port, "127.0.0.1");
    const raw = asked.rawHeaders;
    const lines = raw.flatMap((name, at) => (at % 2 ? [] : [`${name}: ${raw[at + 1]}`]));
    server.write([`GET ${asked.url} HTTP/1.1`, ...lines, "", ""].join("\r\n"));
    server.write(head);
    server.pipe(socket).pipe(server);
    for (const [one, other] of [
      [server, socket],
      [socket, server],
    ]) {
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
    }
  }
}

/** A TCP proxy that cuts connections that were idle for some time. */
export class Forgetful {
  /** The number of connections that it has cut. */
  forgotten = 0;
  #server;

  /**
   * @param port The port of the server.
   * @param milliseconds The time after which an idle connection is cut.
   */
  constructor(port, milliseconds) {
    this.#server = net.createServer((client) => {
      const server = net.connect(port, "127.0.0.1");
      const end = () => {
        client.destroy();
        server.destroy();
      };
      client.pipe(server).pipe(client);
      for (const socket of [client, server]) socket.on("error", end).on("close", end);
      client.setTimeout(milliseconds, () => {
        this.forgotten += 1;
        end();
      });
    });
  }

  async start() {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    this.url = `http://127.0.0.1:${this.#server.address().port}/`;
    return this;
  }

  stop() {
    this.#server.close();
  }
}

/**
 * A TCP proxy that cuts each connection at a random moment: after some bytes of the
 * response, or after some time.
 */
export class Cutter {
  /** How many connections it has cut, by what had passed before. */
  cuts = { "before the head": 0, "before a message": 0, later: 0 };
  #budget;
  #server;

  /**
   * @param port The port of the server.
   * @param budget `{ left }`: how many connections it cuts, together with others.
   */
  constructor(port, budget) {
    this.#budget = budget;
    this.#server = net.createServer((client) => this.#connected(client, port));
  }

  async start() {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    this.url = `http://127.0.0.1:${this.#server.address().port}/`;
    return this;
  }

  stop() {
    this.#server.close();
  }

  #connected(client, port) {
    const server = net.connect(port, "127.0.0.1");
    const end = () => {
      client.destroy();
      server.destroy();
    };
    client.pipe(server);
    for (const socket of [client, server]) socket.on("error", end).on("close", end);
    if (this.#budget.left > 0) this.#planCut(client, server);
    else server.pipe(client);
  }

  #planCut(client, server) {
    this.#budget.left -= 1;
    const isReset = Math.random() < 0.5;
    let left = Math.random() < 0.5 ? Math.floor((Math.random() - 0.1) * MOST_BYTES) : Infinity;
    let passed = "";
    let timer;
    const cut = () => {
      if (!timer) return;
      clearTimeout(timer);
      timer = null;
      const isMessage = /\ndata: /.test(passed);
      this.cuts[passed ? (isMessage ? "later" : "before a message") : "before the head"] += 1;
      server.destroy();
      if (isReset) client.resetAndDestroy();
      else client.end();
    };
    // Browsers also open connections on which they ask nothing.
    client.once("data", () => (timer = setTimeout(cut, Math.random() * MOST_TIME)));
    client.on("close", () => {
      if (timer === undefined || timer) this.#budget.left += 1;
      clearTimeout(timer);
      timer = null;
    });
    server.on("data", (data) => {
      if (!timer) return;
      // A browser takes half a head for a whole one, and gives up if its type is missing.  Firefox
      // also gives up if not one byte of the first chunk, behind its size, comes after the head.
      const head = passed ? 0 : data.indexOf("\r\n\r\n") + "\r\n\r\nd\r\nr".length;
      if (left < 0) return cut();
      const piece = data.subarray(0, head + left);
      left -= piece.length - head;
      passed += piece;
      client.write(piece, () => left <= 0 && cut());
    });
  }
}

/**
 * nginx, which passes bytes on, or buffers responses.  By default nginx buffers
 * with HTTP/1.0 to the server, unless the server forbids it; the chunks of
 * HTTP/1.1 it passes on in any case.
 */
export class Nginx {
  #process;
  #output = "";

  /**
   * @param port The port of the server.
   * @param folder The folder for its files.
   * @param isBuffering Whether it buffers responses, even if the server forbids it.
   */
  constructor(port, folder, isBuffering) {
    this.isBuffering = isBuffering;
    this.folder = folder;
    this.port = port;
  }

  async start() {
    const probe = net.createServer().listen(0, "127.0.0.1");
    await once(probe, "listening");
    const { port } = probe.address();
    probe.close();
    this.url = `http://127.0.0.1:${port}/`;
    const { folder } = this;
    const folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
      .map((kind) => `${kind}_temp_path ${folder}/${kind};`)
      .join(" ");
    const passing = this.isBuffering
      ? "proxy_buffering on; proxy_ignore_headers X-Accel-Buffering; proxy_http_version 1.0;"
      : `proxy_buffering off; proxy_http_version 1.1;
         proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $http_connection;`;
    await writeFile(
      join(folder, "nginx.conf"),
      `${process.getuid() === 0 ? "user root;" : ""} daemon off; pid ${folder}/nginx.pid;
      error_log stderr; events {} http { access_log off; ${folders} server {
        listen 127.0.0.1:${port};
        default_type text/html;
        location = /page { return 200 '${PAGE}'; }
        location / {
          proxy_pass http://127.0.0.1:${this.port};
          proxy_set_header Host $http_host;
          ${passing}
        } } }`,
    );
    const path = `${process.env.PATH}:/usr/sbin:/sbin`;
    const command = ["-p", folder, "-c", join(folder, "nginx.conf")];
    this.#process = spawn("nginx", command, { env: { ...process.env, PATH: path } });
    this.#process.stderr.on("data", (data) => (this.#output += data));
    await once(this.#process, "spawn");
    await until(`nginx serves\n${this.#output}`, async () =>
      (await fetch(`${this.url}page`).catch(() => null))?.ok,
    );
    return this;
  }

  async stop() {
    const exited = once(this.#process, "exit");
    this.#process.kill();
    await exited;
  }
}
