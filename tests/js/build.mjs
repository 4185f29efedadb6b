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

const CLIENT = fileURLToPath(new URL("../../comet/static/client/", import.meta.url));

// Bytes, after gzip -9: what a page has to load.
export const MOST = 6144;

const COMMON = {
  entryPoints: [join(CLIENT, "src", "comet.js")],
  bundle: true,
  minify: true,
  // What all browsers of the last four years run.
  target: "es2022",
  charset: "utf8",
  // What one part knows another by, and no page, browser or server does.
  mangleProps: new RegExp(
    "^(isOpen|openedAt|heardAt|urlOf|readingOf|isBehind|places|handlers|isFinal|isSent|sentAt|tries|renew|" +
      "refused|told|update|command|opened|failed|asked|standing|guests|forward|want|" +
      "take|check|begin|lost|stop|owner|over|changed|held|fail|ready|settings|authorization|drop|listening)$",
  ),
  mangleQuoted: false,
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
    files.set(name, Buffer.from(outputFiles[0].contents));
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
