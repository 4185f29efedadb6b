// ws, which broadcasts as its README shows.
"use strict";

const http = require("node:http");
const { WebSocketServer, WebSocket } = require("ws");
const { Channels, listen, posting } = require("../posting.js");

const channels = new Channels();
const server = http.createServer(
  posting((name, data) => {
    for (const reader of channels.of(name)) {
      if (reader.readyState === WebSocket.OPEN) reader.send(data);
    }
  }),
);

// A compressor for each connection, from this many bytes on; off by default.
const threshold = Number(process.env.COMPRESS);
const perMessageDeflate = threshold ? { threshold } : false;

new WebSocketServer({ server, perMessageDeflate }).on("connection", (reader, request) => {
  const names = request.url.slice(1).split(",");
  reader.on("error", console.error);
  reader.on("close", () => channels.leave(names, reader));
  channels.join(names, reader);
});
listen(server);
