import assert from "node:assert/strict";
import { copyFile, mkdtemp, rm, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import test, { after, afterEach, before } from "node:test";
import { requests, settle, sockets } from "./globals.mjs";
import { Comet } from "../../comet/static/client/src/comet.js";

const CLIENT = new URL("../../client/", import.meta.url);
const RECIPE = new URL("../../docs/examples/react.mjs", import.meta.url);
const require = createRequire(new URL("package.json", CLIENT));

let page;
let folder;
let React;
let hooks;
let comet;
let root;
let main;
let effects = 0;

/** Do this, and let React render all that follows from it. */
const act = (run) =>
  React.act(async () => {
    run();
    await settle();
  });

/** Shows a channel by the recipe. */
const List = ({ name }) => {
  const messages = hooks.useChannel(comet, name, 3);
  const state = hooks.useReadyState(comet);
  React.useEffect(() => void effects++, []);
  return React.createElement("p", null, [name, state, ...messages.map(({ data }) => data)].join());
};

/** Show a list for each of these names, in StrictMode: each effect runs twice. */
const show = (...names) =>
  act(() => {
    const lists = names.map((name, key) => React.createElement(List, { name, key }));
    root.render(React.createElement(React.StrictMode, null, lists));
  });

const texts = () => [...main.children].map((each) => each.textContent);
const message = (channel, data, more) => ({ channel, cursor: `e-${data}`, data, ...more });
const say = (...given) => act(() => sockets[0].say(message(...given)));

/** Open the page with a list for each of these names, connected at the cursor e-4. */
const open = async (...names) => {
  comet = new Comet("http://a.example/");
  main = page.document.createElement("main");
  root = require("react-dom/client").createRoot(main);
  effects = 0;
  await show(...names);
  assert.equal(effects, 2 * names.length);
  assert.deepEqual(texts(), names.map((name) => `${name},0`));
  assert.equal(sockets.length, 1);
  await act(() => sockets[0].begin("e-4"));
};

before(async () => {
  const { Window } = await import(pathToFileURL(require.resolve("happy-dom")));
  page = new Window({ url: "http://a.example/page" });
  Object.assign(globalThis, { window: page, document: page.document });
  navigator.userAgent = page.navigator.userAgent;
  globalThis.IS_REACT_ACT_ENVIRONMENT = true;
  // The recipe stands in a project that has React.  Node.js loads React itself: in a bundle act()
  // finds no setImmediate, and takes a MessageChannel, which keeps the process from its end.
  folder = await mkdtemp(join(tmpdir(), "comet-react-"));
  await symlink(fileURLToPath(new URL("node_modules", CLIENT)), join(folder, "node_modules"));
  await copyFile(RECIPE, join(folder, "react.mjs"));
  hooks = await import(pathToFileURL(join(folder, "react.mjs")));
  React = require("react");
});

afterEach(async () => {
  await act(() => root.unmount());
  // The connection goes with the last component.
  assert.ok(sockets.every(({ isClosed }) => isClosed));
  comet.close();
  sockets.length = requests.length = 0;
});

after(async () => {
  await page.happyDOM.close();
  await rm(folder, { recursive: true });
});

test("with React 19 in StrictMode, each message is shown once", async () => {
  assert.match(React.version, /^19\./);
  await open("a");
  assert.deepEqual(sockets[0].sent, [{ id: 1, subscribe: ["a"], since: { a: "-3" } }]);
  await say("a", 3, { replay: true });
  for (const data of [5, 6]) await say("a", data);
  assert.deepEqual(texts(), ["a,1,3,5,6"]);
  await say("a", 7);
  assert.deepEqual(texts(), ["a,1,5,6,7"]);
  assert.equal(requests.length, 0);
  await act(() => comet.close());
  assert.deepEqual(texts(), ["a,2,5,6,7"]);
});

test("a component that joins a channel gets its last messages, and misses none", async () => {
  await open("a");
  for (const data of [5, 6]) await say("a", data);
  await show("a", "a");
  // The first run of its effect has asked, too, and its answer goes to no handler.
  assert.deepEqual(requests.map(({ names, query }) => [names, query.since]), [
    ["a", "-3"],
    ["a", "-3"],
  ]);
  await say("a", 7);
  const messages = [5, 6].map((data) => message("a", data));
  await act(() => requests.forEach((each) => each.answer(200, { cursor: "e-6", messages })));
  assert.deepEqual(texts(), ["a,1,5,6,7", "a,1,5,6,7"]);
  await say("a", 8);
  assert.deepEqual(texts(), ["a,1,6,7,8", "a,1,6,7,8"]);
  assert.equal(sockets.length, 1);
});

test("another name is read on the same connection, and shows none of the old messages", async () => {
  await open("a");
  await say("a", 5);
  await show("b");
  assert.deepEqual(texts(), ["b,1"]);
  assert.deepEqual(sockets[0].sent.slice(1), [
    { id: 2, unsubscribe: ["a"] },
    { id: 3, subscribe: ["b"], since: { b: "-3" } },
  ]);
  await act(() => sockets[0].answer("subscribe", { ok: { cursor: "e-5" } }));
  await say("a", 6);
  await say("b", 7);
  assert.deepEqual(texts(), ["b,1,7"]);
  assert.deepEqual([sockets.length, requests.length], [1, 0]);
});
