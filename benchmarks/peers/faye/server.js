// Faye with the options of its documentation.
"use strict";

const http = require("node:http");
const faye = require("faye");
const { listen, posting } = require("../posting.js");

const bayeux = new faye.NodeAdapter({ mount: "/bayeux", timeout: 45 });
const publisher = bayeux.getClient();
const server = http.createServer(posting((name, data) => publisher.publish(`/${name}`, data)));

bayeux.attach(server);
listen(server);
