/**
 * npm's ws: prints each message that it reads as a line, and at the end the extensions that were
 * agreed on: node wsreader.mjs URL
 */

import { createRequire } from "node:module";

const require = createRequire(new URL("../../client/package.json", import.meta.url));
// It is a dependency of puppeteer-core.
const WebSocket = createRequire(require.resolve("puppeteer-core"))("ws");

const socket = new WebSocket(process.argv[2]);
socket.on("message", (data) => console.log(data.toString()));
socket.on("close", () => console.log(JSON.stringify(socket.extensions)));
socket.on("error", (error) => console.error(error));
