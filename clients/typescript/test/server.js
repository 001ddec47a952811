// A `parlor` of a test's own, on an empty data folder.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const BINARY = process.env.PARLOR_BIN ?? fileURLToPath(new URL("../../../target/debug/parlor", import.meta.url));

/** @returns {Promise<number>} */
export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  server.close();
  return port;
}

/**
 * Waits until `condition` gives something that is true, and gives that.
 *
 * @template T
 * @param {() => T | Promise<T>} condition
 * @param {string} what is waited for
 * @param {number} [patience] milliseconds
 * @returns {Promise<Exclude<Awaited<T>, false | undefined | null>>}
 */
export async function until(condition, what, patience = 20_000) {
  for (const since = Date.now(); ;) {
    const found = await condition();
    if (found) return /** @type {any} */ (found);
    if (Date.now() - since > patience) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export class Server {
  /** @type {import("node:child_process").ChildProcess | undefined} */
  #process;
  #log = "";

  /** @param {string} folder @param {number} port */
  constructor(folder, port) {
    this.folder = folder;
    this.url = `http://127.0.0.1:${port}`;
    this.env = {
      // Nothing of the developer's own settings.
      ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("PARLOR_"))),
      PARLOR_LISTEN: `127.0.0.1:${port}`,
      PARLOR_DATA_DIR: join(folder, "data"),
      PARLOR_METRICS_LISTEN: "off",
      PARLOR_LIMITS_ENABLED: "false",
    };
  }

  /** @param {Record<string, string>} [settings] environment variables */
  static async start(settings = {}) {
    const server = new Server(await mkdtemp(join(tmpdir(), "parlor-web-")), await freePort());
    Object.assign(server.env, settings);
    await server.startAgain();
    return server;
  }

  async startAgain() {
    const started = spawn(BINARY, ["serve"], { cwd: this.folder, env: this.env, stdio: ["ignore", "pipe", "pipe"] });
    this.#process = started;
    for (const out of [started.stdout, started.stderr]) out?.on("data", (text) => (this.#log += text));
    await until(async () => {
      if (started.exitCode !== null) throw new Error(`parlor ended instead of starting:\n${this.#log}`);
      return fetch(`${this.url}/health/ready`).then(
        (response) => response.ok,
        () => false,
      );
    }, "the server to be ready");
  }

  /** Runs an operator command to its end, and gives what it printed. @param {string[]} words */
  async run(...words) {
    const command = spawn(BINARY, words, { cwd: this.folder, env: this.env, stdio: ["ignore", "pipe", "pipe"] });
    let out = "";
    for (const stream of [command.stdout, command.stderr]) stream.on("data", (text) => (out += text));
    const [code] = await once(command, "close");
    if (code !== 0) throw new Error(`parlor ${words.join(" ")}: ${out}`);
    return out;
  }

  /** As a crash would. */
  async kill() {
    const running = this.#process;
    if (!running || running.exitCode !== null || running.signalCode !== null) return;
    running.kill("SIGKILL");
    await once(running, "exit");
  }

  async end() {
    await this.kill();
    await rm(this.folder, { recursive: true, force: true });
  }
}
