// Live delivery, by either transport, against a server.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Parlor, sse, websocket } from "../src/index.js";
import { Server, until } from "./server.js";

const PASSWORD = "a long enough phrase";
const server = await Server.start();
after(() => server.end());

/** @param {string} displayName */
async function account(displayName) {
  const email = `${crypto.randomUUID()}@example.org`;
  const parlor = new Parlor({ baseUrl: server.url, retries: 20 });
  await parlor.register({ email, password: PASSWORD, displayName });
  const { userId } = await parlor.signIn({ email, password: PASSWORD });
  return { parlor, userId };
}

// Node has a WebSocket from version 22 on.
const transports = "WebSocket" in globalThis ? { sse, websocket } : { sse };

for (const [name, transport] of Object.entries(transports)) {
  test(`${name}: what happens comes once, across connections, and what passes comes beside it`, async () => {
    const [ada, bob] = [await account("Ada"), await account("Bob")];
    const begin = () =>
      ada.parlor.call("create_conversation", { body: { kind: "direct", participants: [bob.userId] } });
    const room = await until(() => begin().catch(() => undefined), "the conversation");
    const ending = new AbortController();
    /** @type {import("../src/live.js").Frame[]} */
    const frames = [];
    const feed = bob.parlor.live({ transport, signal: ending.signal });
    const listening = (async () => {
      for await (const frame of feed) frames.push(frame);
    })();
    const came = (/** @type {string} */ type, /** @type {(data: any) => boolean} */ fits = () => true) =>
      until(() => frames.find((frame) => frame.type === type && fits(frame.data)), `${type} by ${name}`);
    await came("caught-up");

    const hers = ada.parlor.live({ transport, signal: ending.signal });
    const listens = (async () => {
      for await (const frame of hers) if (frame.type === "caught-up") await hers.typing(room.id);
    })();
    await came("presence", (data) => data.userId === ada.userId && data.status === "online");
    assert.deepEqual((await came("typing")).data, { conversationId: room.id, userId: ada.userId });
    await ada.parlor.send(room.id, "one");
    await came("chat.message-sent", (data) => data.content === "one");

    // The server goes and comes back: the feed resumes.
    await server.kill();
    await server.startAgain();
    await ada.parlor.send(room.id, "two");
    await came("chat.message-sent", (data) => data.content === "two");
    const said = frames.filter((frame) => frame.type === "chat.message-sent").map((frame) => frame.data.content);
    assert.deepEqual(said, ["one", "two"]);
    ending.abort();
    await Promise.all([listening, listens]);
  });
}
