/**
 * Makes comet.js and comet.classic.js from comet/static/client/src.
 *
 * Both are the same source: bundled, without comments, and with short names for
 * what no page sees.  With --check nothing is written: it fails if they are not
 * what the source makes.
 */

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { minify } from "terser";

const CLIENT = fileURLToPath(new URL("../../comet/static/client/", import.meta.url));

// Bytes after gzip -9: what a page has to load.
export const MOST = 6144;

// What one part of it knows another by, and no page, browser, server or other tab does.
const INNER = [
  ...["asked", "authorization", "begin", "changed", "check", "command", "drop", "fail", "failed"],
  ...["forward", "guests", "handlers", "heardAt", "held", "isBehind", "isFinal", "isOpen", "isSent"],
  ...["listening", "lost", "opened", "openedAt", "over", "owner", "places", "readingOf", "ready"],
  ...["refused", "renew", "sentAt", "settings", "standing", "stop", "take", "told", "tries"],
  ...["update", "urlOf", "want"],
];

const COMMON = {
  entryPoints: [join(CLIENT, "src", "comet.js")],
  bundle: true,
  minify: true,
  // What all browsers of the last four years run.
  target: "es2022",
  charset: "utf8",
  mangleProps: new RegExp(`^(${INNER.join("|")})$`),
  write: false,
};

const SHAPES = {
  "comet.js": { format: "esm" },
  "comet.classic.js": {
    format: "iife",
    globalName: "CometModule",
    footer: { js: "var Comet=CometModule.Comet,CometError=CometModule.CometError;" },
    // There is no import.meta in a classic script.
    define: { "import.meta.url": "document.currentScript.src" },
  },
};

/** What the files are to hold, by their names. */
export const makeFiles = async () => {
  const files = new Map();
  for (const [name, shape] of Object.entries(SHAPES)) {
    const { outputFiles } = await build({ ...COMMON, ...shape });
    // It finds a few hundred bytes that the other does not.
    const { code } = await minify(outputFiles[0].text, {
      module: shape.format === "esm",
      ecma: 2022,
      compress: { passes: 3, inline: 1 },
    });
    files.set(name, Buffer.from(`${code}\n`));
  }
  return files;
};

/** How many bytes a page has to load. */
export const sizeOf = (content) => gzipSync(content, { level: 9 }).length;

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const isCheck = process.argv.includes("--check");
  for (const [name, content] of await makeFiles()) {
    const path = join(CLIENT, name);
    if (!isCheck) await writeFile(path, content);
    else if (!content.equals(await readFile(path))) {
      console.error(`${name} is not what its source makes: node tests/js/build.mjs`);
      process.exitCode = 1;
    }
    console.log(`${name}: ${sizeOf(content)} bytes after gzip -9, of ${MOST}`);
  }
}
