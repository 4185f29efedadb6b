/**
 * Makes comet.js and comet.classic.js, and their source maps, from comet/static/client/src.
 *
 * Both have the same source, which is bundled, stripped of comments, and given
 * short names for the properties that no page sees.  With --check it writes
 * nothing, and fails if the files are not what the source makes.
 */

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { minify } from "terser";

const CLIENT = fileURLToPath(new URL("../comet/static/client/", import.meta.url));

// Properties by which only the parts of the client know each other.  A page, the
// browser, the server and other tabs see other names.
const INNER = [
  ...["asked", "authorization", "begin", "changed", "check", "command", "drop", "emit", "fail", "failed"],
  ...["forward", "guests", "handlers", "heardAt", "held", "isBehind", "isFinal", "isOpen", "isReady", "isSent"],
  ...["listening", "lost", "opened", "openedAt", "over", "owner", "places", "readingOf", "ready"],
  ...["refused", "renew", "sentAt", "settings", "standing", "stop", "take", "told", "tries"],
  ...["timer", "update", "urlOf", "want", "wasSent"],
];

const COMMON = {
  entryPoints: [join(CLIENT, "src", "comet.js")],
  bundle: true,
  minify: true,
  // All browsers of the last four years run it.
  target: "es2022",
  charset: "utf8",
  mangleProps: new RegExp(`^(${INNER.join("|")})$`),
  sourcemap: "external",
  write: false,
};

const SHAPES = {
  "comet.js": { format: "esm" },
  "comet.classic.js": {
    format: "iife",
    globalName: "CometModule",
    // A classic script has no import.meta, and where it is bundled no URL either.
    banner: { js: "var CometScript=globalThis.document?.currentScript?.src;" },
    footer: { js: "var Comet=CometModule.Comet,CometError=CometModule.CometError;" },
    define: { "import.meta.url": "CometScript" },
  },
};

/** Make the content of each file, by its name. */
export const makeFiles = async () => {
  const files = new Map();
  for (const [name, shape] of Object.entries(SHAPES)) {
    const outfile = join(CLIENT, name);
    const { outputFiles } = await build({ ...COMMON, ...shape, outfile });
    const [{ text: content }, { text }] = outputFiles;
    // It saves a few hundred bytes that esbuild leaves.
    const { code, map } = await minify(text, {
      module: shape.format === "esm",
      ecma: 2022,
      compress: { passes: 3, inline: 1 },
      sourceMap: { content, url: `${name}.map`, filename: name, includeSources: true },
    });
    files.set(name, Buffer.from(`${code}\n`));
    files.set(`${name}.map`, Buffer.from(`${map}\n`));
  }
  return files;
};

/** The number of bytes that a page has to load. */
export const sizeOf = (content) => gzipSync(content, { level: 9 }).length;

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const isCheck = process.argv.includes("--check");
  for (const [name, content] of await makeFiles()) {
    const path = join(CLIENT, name);
    if (!isCheck) await writeFile(path, content);
    else if (!content.equals(await readFile(path))) {
      console.error(`${name} is not what its source makes: node client/build.mjs`);
      process.exitCode = 1;
    }
    console.log(`${name}: ${sizeOf(content)} bytes after gzip -9`);
  }
}
