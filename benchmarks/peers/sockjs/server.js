// SockJS with its defaults; the names are in the query.
"use strict";

const http = require("node:http");
const sockjs = require("sockjs");
const { Channels, listen, posting } = require("../posting.js");

const channels = new Channels();
const publish = posting((name, data) => {
  for (const reader of channels.of(name)) reader.write(data);
});
const server = http.createServer();
const service = sockjs.createServer({ log: () => {} });

service.on("connection", (reader) => {
  const names = new URL(reader.url, "http://localhost").searchParams.get("names").split(",");
  reader.on("close", () => channels.leave(names, reader));
  channels.join(names, reader);
});
server.on("request", (request, response) => {
  if (request.url.startsWith("/pub/")) publish(request, response);
});
service.installHandlers(server, { prefix: "/sockjs" });
listen(server);
