import assert from "node:assert/strict";
import test from "node:test";
import { parseCursor, read } from "../../comet/static/client/src/envelopes.js";
import { isName, matches, pathOf } from "../../comet/static/client/src/names.js";

test("isName agrees with the server", () => {
  for (const name of ["a", "a/b", "ü b", "$stats/x", "*", "**", "a/*", "*/a", "a/*/**", "...", "a."])
    assert.ok(isName(name), name);
  for (const name of [
    ...["", "/", "a/", "/a", "a//b", ".", "..", "a/.", "../a", "a,b", "a?", "a#", "a*", "**a"],
    ...["**/a", "a/***", "a\n", "a\0b", "a\u0085", 5, null, undefined, ["a"]],
  ])
    assert.ok(!isName(name), String(name));
});

test("isName takes linear time", () => {
  const begun = performance.now();
  for (const part of ["a/", "*/", "/", ".", "../", "a"]) isName(`${part.repeat(100000)}\n`);
  assert.ok(performance.now() - begun < 2000);
});

test("matches agrees with the server", () => {
  for (const [name, channel, isMatch] of [
    ["a", "a", true],
    ["a", "a/b", false],
    ["*", "a", true],
    ["*", "a/b", false],
    ["a/*", "a/b", true],
    ["a/*", "a", false],
    ["a/*", "a/b/c", false],
    ["*/b", "a/b", true],
    ["**", "a", true],
    ["**", "a/b/c", true],
    ["a/**", "a", false],
    ["a/**", "a/b", true],
    ["a/**", "a/b/c", true],
    ["a/*/**", "a/b", false],
    ["**", "$stats", false],
    ["a/**", "a/b/$c", false],
    ["*/x", "$stats/x", false],
    ["$stats/*", "$stats/x", true],
    ["$stats/**", "$stats/x/y", true],
  ])
    assert.equal(matches(name, channel), isMatch, `${name} ${channel}`);
});

test("pathOf escapes all but slashes, commas and asterisks", () => {
  assert.equal(pathOf(["a b/ü%", "c/*", "$d/**"]), "a%20b/%C3%BC%25,c/*,%24d/**");
});

test("parseCursor accepts cursors and nothing else", () => {
  assert.deepEqual(parseCursor("k3f9a2-1042"), ["k3f9a2", 1042]);
  for (const bad of ["", "1042", "a-", "-1", "a b-1", "a-1 ", "a--1", undefined, null, 5])
    assert.deepEqual(parseCursor(bad), []);
});

test("read refuses values that are neither an envelope nor a body", () => {
  const message = { channel: "a", cursor: "e-1", data: null };
  for (const good of [
    message,
    { cursor: "e-1" },
    { cursor: "e-1", gap: ["a"] },
    { cursor: "e-1", close: { code: "draining", message: "", retry: null } },
    { cursor: "e-1", messages: [message], more: true },
    { cursor: "e-1", ended: { names: ["a"], code: "expired" } },
  ]) {
    assert.deepEqual(read(JSON.stringify(good)), good);
    assert.equal(read(good), good);
  }
  for (const bad of [
    ...["", "{", "null", "5", "[]", "{}", '"e-1"'],
    ...[null, undefined, 5, {}, { cursor: 5 }, { cursor: "x" }],
    ...[{ ...message, channel: 5 }, { channel: "a", cursor: "e-1" }, { cursor: "e-1", gap: "a" }],
    ...[{ cursor: "e-1", gap: [1] }, { cursor: "e-1", close: {} }, { cursor: "e-1", messages: 5 }],
    ...[{ cursor: "e-1", ended: { names: [1], code: "x" } }, { cursor: "e-1", ended: { names: [] } }],
    ...[{ cursor: "e-1", messages: [{}] }, { cursor: "e-1", messages: [message, 5] }],
  ])
    assert.throws(() => read(bad), Error, JSON.stringify(bad));
});
