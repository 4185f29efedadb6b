/**
 * Makes comet.js and comet.classic.js, and their source maps, from comet/static/client/src.
 *
 * Both have the same source, which is bundled, stripped of comments, and given
 * short names for the properties that no page sees.  What few pages use is in files
 * of their own, comet.tabs.js and comet.presence.js, which both load when needed.  With --check it
 * writes nothing, and fails if the files are not what the source makes.
 */

import { createHash } from "node:crypto";
import { readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { minify } from "terser";

const CLIENT = fileURLToPath(new URL("../comet/static/client/", import.meta.url));

// Properties by which only the parts of the client know each other.  A page, the
// browser, the server and other tabs see other names.
const INNER = [
  ...["begunAt", "hear", "settle", "subscribed", "word"],
  ...["adopt", "asked", "begin", "changed", "check", "command", "credential"],
  ...["drop", "emit", "fail", "failed", "forward", "give", "guests", "handlers"],
  ...["heardAt", "held", "isBehind", "index", "isFinal", "isGuest", "isOpen", "isOver", "isReady"],
  ...["isSent", "isStale", "listening", "lost", "opened", "openedAt", "over", "owner"],
  ...["places", "post", "readingOf", "ready", "refused", "renew", "renewed", "select", "sentAt"],
  ...["settings", "share", "show", "standing", "stop", "take", "timer", "told", "tries"],
  ...["unable", "update", "urlOf", "want", "wasSent"],
];

const TABS = "comet.tabs.js";
const PRESENCE = "comet.presence.js";

// The files that are loaded later, by their names in the source.
const LATER = {
  name: "later",
  setup: ({ onResolve }) =>
    onResolve({ filter: /^\.\/(tabs|presence)\.js$/ }, ({ kind, path }) =>
      kind === "dynamic-import" ? { path: `./comet.${path.slice(2)}`, external: true } : undefined,
    ),
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
  [TABS]: { format: "esm" },
  [PRESENCE]: { format: "esm" },
};

/**
 * Name this version of the source.  Files of different versions have different names for the
 * same properties: a page that got them from different servers must not use them together.
 */
const versionOf = async (folder) => {
  const hash = createHash("sha256");
  for (const name of (await readdir(folder)).sort()) hash.update(await readFile(join(folder, name)));
  return `v${hash.digest("hex").slice(0, 8)}`;
};

/** Make the content of each file, by its name. */
export const makeFiles = async () => {
  const files = new Map();
  const folder = join(CLIENT, "src");
  const version = await versionOf(folder);
  // By this name the other files ask for what they load.
  let mangleCache = { Tabs: version };
  const entries = {
    [TABS]: `export { Tabs as ${version} } from "./tabs.js";`,
    // It fits every version of the client, since it uses nothing that is renamed.
    [PRESENCE]: 'export * from "./presence.js";',
  };
  for (const [name, shape] of Object.entries(SHAPES)) {
    const entry = entries[name] ?? 'export * from "./comet.js";';
    const built = await build({
      stdin: { contents: entry, resolveDir: folder, sourcefile: "entry.js" },
      outfile: join(CLIENT, name),
      bundle: true,
      minify: true,
      // All browsers of the last four years run it.
      target: "es2022",
      charset: "utf8",
      mangleProps: new RegExp(`^(Tabs|${INNER.join("|")})$`),
      mangleCache,
      plugins: [LATER],
      sourcemap: "external",
      write: false,
      ...shape,
    });
    mangleCache = built.mangleCache;
    const [{ text: content }, { text }] = built.outputFiles;
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
