// A server that goes silent without a word, as behind a cable that was pulled.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { test } from "node:test";
import { Parlor, sse, websocket } from "../src/index.js";

/** What a WebSocket's handshake is answered with (RFC 6455, section 4.2.2). @param {string} key */
const accepted = (key) => createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
/** The frame that each connection says, and no other. @param {number} nth */
const word = (nth) => JSON.stringify({ type: "caught-up", cursor: `c${nth}`, position: "p" });

/** A server whose every connection says one frame, and nothing after it. */
async function silent() {
  /** Where each connection began. @type {(string | undefined)[]} */
  const begun = [];
  const server = createServer((request, response) => {
    const { pathname } = new URL(String(request.url), "http://parlor.test");
    if (pathname !== "/v1/stream") {
      const answer = { ticket: "t", accessToken: "a", refreshToken: "r", expiresIn: 300, userId: "u", sessionId: "s" };
      return void response.setHeader("content-type", "application/json").end(JSON.stringify(answer));
    }
    begun.push(/** @type {string | undefined} */ (request.headers["last-event-id"]));
    response.setHeader("content-type", "text/event-stream").write(`data: ${word(begun.length)}\n\n`);
  });
  /** @type {Set<import("node:net").Socket>} */
  const sockets = new Set();
  server.on("connection", (socket) => sockets.add(socket));
  server.on("upgrade", (request, socket) => {
    const key = accepted(String(request.headers["sec-websocket-key"]));
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ${key}\r\n\r\n`,
    );
    socket.on("error", () => {});
    socket.once("data", (/** @type {Buffer} */ frame) => {
      // Short and masked (section 5.2).
      const masked = frame.subarray(6, 6 + (Number(frame[1]) & 0x7f));
      const said = Buffer.from(masked.map((byte, at) => byte ^ Number(frame[2 + (at % 4)]))).toString();
      begun.push(JSON.parse(said).cursor);
      const text = Buffer.from(word(begun.length));
      socket.write(Buffer.concat([Buffer.from([0x81, text.length]), text]));
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  const end = () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  return { end, begun, baseUrl: `http://127.0.0.1:${port}` };
}

const transports = "WebSocket" in globalThis ? { sse, websocket } : { sse };

for (const [name, transport] of Object.entries(transports)) {
  test(`${name}: a connection that gives no sign of life is given up, and the next goes on where it was`, async () => {
    const { end, begun, baseUrl } = await silent();
    const parlor = new Parlor({ baseUrl });
    await parlor.signIn({ email: "ada@example.org", password: "a long enough phrase" });
    const ending = new AbortController();
    const cursors = [];
    for await (const frame of parlor.live({ transport, signal: ending.signal, silence: 100 })) {
      cursors.push(frame.cursor);
      if (cursors.length === 3) break;
    }
    ending.abort();
    assert.deepEqual(cursors, ["c1", "c2", "c3"]);
    assert.deepEqual(begun, [undefined, "c1", "c2"]);
    end();
  });
}
