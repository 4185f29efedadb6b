// Socket.IO with its defaults; a channel is a room.
"use strict";

const http = require("node:http");
const { Server } = require("socket.io");
const { listen, posting } = require("../posting.js");

const server = http.createServer(posting((name, data) => io.to(name).emit("message", data)));
const io = new Server(server, { serveClient: false });

io.on("connection", (socket) => {
  socket.on("join", (names, joined) => {
    socket.join(names);
    joined();
  });
});
listen(server);
