// The README's bot against a real server, killed and started again.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Parlor } from "../src/index.js";
import { Server, until } from "./server.js";

const BOT = fileURLToPath(new URL("../examples/echo-bot.js", import.meta.url));

const server = await Server.start();
after(() => server.end());

const STATE = join(server.folder, "echo-bot.cursor");

function startBot() {
  const env = {
    ...process.env,
    PARLOR_URL: server.url,
    BOT_EMAIL: "echo@example.org",
    BOT_PASSWORD: "what goes out comes back",
    BOT_STATE: STATE,
  };
  const bot = spawn(process.execPath, [BOT], { env, stdio: ["ignore", "pipe", "inherit"] });
  const listening = once(/** @type {import("node:stream").Readable} */ (bot.stdout), "data");
  return { listening, kill: () => Promise.all([once(bot, "exit"), bot.kill("SIGKILL")]) };
}

test("the echo bot answers each message exactly once, through kills of its own and of the server", async () => {
  let bot = startBot();
  await bot.listening;
  await copyFile(STATE, `${STATE}.old`);
  const ada = new Parlor({ baseUrl: server.url, retries: 20 });
  await ada.register({ email: "ada@example.org", password: "analytical engines", displayName: "Ada" });
  await ada.signIn({ email: "ada@example.org", password: "analytical engines" });
  const echo = await until(
    async () => (await ada.call("find_users", { query: { search: "Echo" } })).items[0],
    "the bot",
  );
  const room = await until(
    () => ada.call("create_conversation", { body: { kind: "direct", participants: [echo.id] } }).catch(() => undefined),
    "the conversation",
  );

  const said = Array.from({ length: 12 }, (_, n) => `message ${n}`);
  for (const [n, text] of said.entries()) {
    await ada.send(room.id, text);
    if (n === 3) await bot.kill();
    if (n === 6) bot = startBot();
    if (n === 8) {
      await server.kill();
      await server.startAgain();
    }
  }
  const answers = async () => {
    const all = [];
    for await (const message of ada.all("get_conversation_messages", { path: { id: room.id }, query: {} }))
      all.push(message);
    return all.flatMap((message) => ("content" in message && message.senderId === echo.id ? [message.content] : []));
  };
  await until(async () => (await answers()).length >= said.length, "all answers");

  // Once more from an old place: everything is seen again, and nothing is answered again.
  await bot.kill();
  await copyFile(`${STATE}.old`, STATE);
  bot = startBot();
  await ada.send(room.id, "the last one");
  await until(async () => (await answers())[0] === "the last one", "the last answer");
  await bot.kill();
  assert.deepEqual((await answers()).sort(), [...said, "the last one"].sort());
});
