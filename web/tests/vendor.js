// Copies what the web client takes from others into `web/vendor`: `npm run vendor`, after a new version was installed.

import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

const PACKAGES = new URL("node_modules/", import.meta.url);
const VENDOR = new URL("../vendor/", import.meta.url);

/** What becomes of which file of which package. */
const FILES = {
  "preact.js": "preact/dist/preact.mjs",
  "hooks.js": "preact/hooks/dist/hooks.mjs",
  "preact-LICENSE.txt": "preact/LICENSE",
  "htm.js": "htm/dist/htm.mjs",
  "htm-LICENSE.txt": "htm/LICENSE",
  "instrument-sans-latin.woff2": "@fontsource-variable/instrument-sans/files/instrument-sans-latin-wght-normal.woff2",
  "instrument-sans-latin-ext.woff2":
    "@fontsource-variable/instrument-sans/files/instrument-sans-latin-ext-wght-normal.woff2",
  "instrument-sans-LICENSE.txt": "@fontsource-variable/instrument-sans/LICENSE",
  "bricolage-grotesque-latin.woff2":
    "@fontsource-variable/bricolage-grotesque/files/bricolage-grotesque-latin-wght-normal.woff2",
  "bricolage-grotesque-LICENSE.txt": "@fontsource-variable/bricolage-grotesque/LICENSE",
};

/** The files as they are to be, by name: a module names the others by path, for there is no bundler to find them. */
export async function vendored() {
  /** @type {Map<string, Buffer>} */
  const files = new Map();
  for (const [name, path] of Object.entries(FILES)) {
    const contents = await readFile(new URL(path, PACKAGES));
    if (!name.endsWith(".js")) {
      files.set(name, contents);
      continue;
    }
    const code = contents.toString().replace(/from\s*"preact"/g, 'from"./preact.js"');
    files.set(name, Buffer.from(code.replace(/\n?\/\/# sourceMappingURL=.*\n?$/, "\n")));
  }
  return files;
}

/** The file as it is in `web/vendor`. @param {string} name */
export const committed = (name) => readFile(new URL(name, VENDOR));

if (process.argv[1] && import.meta.url === new URL(`file://${process.argv[1]}`).href) {
  for (const [name, contents] of await vendored()) {
    const to = new URL(name, VENDOR);
    await mkdir(dirname(to.pathname), { recursive: true });
    await writeFile(to, contents);
  }
}
