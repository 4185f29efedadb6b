import assert from "node:assert/strict";
import test from "node:test";
import { describe } from "../../comet/static/chat/people.js";

/** What the page says of these members, and so many without a name, to this visitor. */
const said = (names, anonymous, me, count = names.length) =>
  describe({ members: names.map((client) => ({ client })), anonymous, count }, me);

test("a visitor who is alone is told so, and what to do", () => {
  assert.match(said([], 1, ""), /^Only you are here\. With a name, /);
  assert.match(said([], 0, "ada"), /^Only you are here\. With a name, /);
  assert.match(said(["ada"], 0, "ada"), /^Only you are here\. Others come in /);
});

test("the visitor is the first, and the others follow as they came", () => {
  assert.equal(said(["bob", "ada", "cy"], 0, "ada"), "Here: ada (you), bob, and cy");
  assert.equal(said(["bob"], 1, ""), "Here: you and bob");
});

test("those without a name are counted, the visitor apart", () => {
  assert.equal(said(["ada"], 2, "ada"), "Here: ada (you) and 2 without a name");
  assert.equal(said(["bob"], 3, ""), "Here: you, bob, and 2 without a name");
});

test("of many the first are named, and the others counted", () => {
  const names = Array.from({ length: 20 }, (_, index) => `v${index}`);
  assert.match(said(names, 0, "v19"), /^Here: v19 \(you\), v0, .* v7, and 11 more$/);
  assert.match(said(names, 0, "v3", 5000), /v8, and 4991 more$/);
});
