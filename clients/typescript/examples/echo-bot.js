// Answers every message with the same words. Stop it, kill it, start it again: each message gets exactly one answer.
//
//   PARLOR_URL=http://127.0.0.1:8080 BOT_EMAIL=echo@example.org BOT_PASSWORD=… node echo-bot.js

import { readFile, rename, writeFile } from "node:fs/promises";
import { Parlor, ParlorError, derivedId } from "../src/index.js";

const { PARLOR_URL = "http://127.0.0.1:8080", BOT_STATE = "echo-bot.cursor" } = process.env;
const { BOT_EMAIL: email = "echo@example.org", BOT_PASSWORD: password = "" } = process.env;

// It has nothing better to do than to try again.
const parlor = new Parlor({ baseUrl: PARLOR_URL, retries: Infinity });
try {
  await parlor.register({ email, password, displayName: "Echo" });
} catch (error) {
  if (!(error instanceof ParlorError && error.code === "email-taken")) throw error;
}
const me = await parlor.signIn({ email, password, device: "echo bot" });

const cursor = await readFile(BOT_STATE, "utf8").catch(() => undefined);
const feed = parlor.live({ cursor });
for await (const frame of feed) {
  if (frame.type === "chat.message-sent" && frame.data.senderId !== me.userId && frame.data.content) {
    const { id, conversationId, content } = frame.data;
    try {
      // The answer's id follows from the message's: answered twice, it is still one answer.
      await parlor.send(conversationId, content, { id: await derivedId(id, "echo"), replyTo: id });
    } catch (error) {
      // Removed from the conversation, or the message is gone: nothing to answer.
      if (!(error instanceof ParlorError) || error.passing) throw error;
    }
  }
  // Only after the answer, and as a whole: whatever happens in between, the message comes again.
  if (frame.cursor) {
    await writeFile(`${BOT_STATE}.new`, frame.cursor);
    await rename(`${BOT_STATE}.new`, BOT_STATE);
  }
  if (frame.type === "caught-up") console.log("listening");
}
