// POST /pub/NAME publishes its body; any other request gets a 404.
"use strict";

exports.posting = (publish) => (request, response) => {
  if (request.method !== "POST" || !request.url.startsWith("/pub/")) {
    response.writeHead(404).end();
    return;
  }
  let body = "";
  request.setEncoding("utf8");
  request.on("data", (part) => {
    body += part;
  });
  request.on("end", () => {
    publish(request.url.slice(5), body);
    response.writeHead(201).end();
  });
};

// The readers of each channel.
exports.Channels = class {
  #readers = new Map();

  join(names, reader) {
    for (const name of names) {
      if (!this.#readers.has(name)) this.#readers.set(name, new Set());
      this.#readers.get(name).add(reader);
    }
  }

  leave(names, reader) {
    for (const name of names) this.#readers.get(name)?.delete(reader);
  }

  of(name) {
    return this.#readers.get(name) ?? [];
  }
};

exports.listen = (server) => {
  server.keepAliveTimeout = 3600e3;
  server.listen({ host: "127.0.0.1", port: Number(process.argv[2]), backlog: 4096 });
};
