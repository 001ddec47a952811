// The client library against a server that misbehaves as told.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { generate } from "../tools/generate.js";
import { Parlor, ParlorError, SignedOutError, derivedId, newId } from "../src/index.js";
import { Lines } from "../src/sse.js";

const ROOM = "01890000-0000-7000-8000-000000000001";

/** @typedef {{ method: string, path: string, headers: Headers, body: any }} Seen */

/**
 * A client of a server that answers as `answer` says.
 *
 * @param {(request: Seen, nth: number) => Response | Promise<Response>} answer
 */
function clientOf(answer) {
  /** @type {Seen[]} */
  const seen = [];
  const parlor = new Parlor({
    baseUrl: "http://parlor.test",
    fetch: async (input, init = {}) => {
      const { pathname, search } = new URL(String(input));
      const body = typeof init.body === "string" ? JSON.parse(init.body) : undefined;
      seen.push({ method: init.method ?? "GET", path: pathname + search, headers: new Headers(init.headers), body });
      return answer(/** @type {Seen} */ (seen.at(-1)), seen.length);
    },
  });
  return { parlor, seen };
}

/** @param {unknown} body @param {ResponseInit} [init] */
const json = (body, init) => Response.json(body, init);
/** @param {number} n @param {number} [expiresIn] */
const pair = (n, expiresIn = 300) => ({
  accessToken: `access-${n}`,
  refreshToken: `refresh-${n}`,
  tokenType: "Bearer",
  expiresIn,
  userId: "u",
  sessionId: "s",
});
/** @param {number} status @param {string} code @param {Record<string, string>} [headers] */
const problem = (status, code, headers) => json({ status, code, title: code, detail: code }, { status, headers });

test("what is generated from the API's description is what is committed", async () => {
  const description = await readFile(new URL("../../../docs/openapi.json", import.meta.url), "utf8");
  for (const [name, text] of Object.entries(generate(JSON.parse(description)))) {
    const committed = await readFile(new URL(`../src/${name}`, import.meta.url), "utf8");
    assert.equal(committed, text, `src/${name} is out of date: npm run generate`);
  }
});

test("a command that got no answer is sent again with the same key and the same message", async () => {
  const { parlor, seen } = clientOf((_, nth) => {
    if (nth === 1) throw new TypeError("the connection broke");
    if (nth === 2) return problem(503, "unavailable");
    return json({ id: "m" }, { status: 201 });
  });
  await parlor.session.begin(pair(1));
  await parlor.send(ROOM, "hello");
  assert.equal(seen.length, 3);
  assert.equal(new Set(seen.map((one) => one.headers.get("idempotency-key"))).size, 1);
  assert.equal(new Set(seen.map((one) => one.body.id)).size, 1);
});

test("what was refused isn't sent again", async () => {
  const { parlor, seen } = clientOf(() => problem(422, "invalid-value"));
  await parlor.session.begin(pair(1));
  await assert.rejects(
    parlor.send(ROOM, ""),
    (error) => error instanceof ParlorError && error.code === "invalid-value",
  );
  assert.equal(seen.length, 1);
});

test("an answer that asks to wait is waited for", async () => {
  const { parlor, seen } = clientOf((_, nth) =>
    nth === 1 ? problem(429, "too-many-requests", { "retry-after": "1" }) : json({ items: [], nextCursor: null }),
  );
  await parlor.session.begin(pair(1));
  const began = performance.now();
  await parlor.call("get_conversations", {});
  assert.ok(performance.now() - began >= 990);
  assert.equal(seen.length, 2);
});

test("parallel calls renew an ended token once", async () => {
  const { parlor, seen } = clientOf(async ({ path }) => {
    if (path !== "/v1/auth/refresh") return json({ items: [], nextCursor: null });
    await new Promise((resolve) => setTimeout(resolve, 20));
    return json(pair(2));
  });
  await parlor.session.begin(pair(1, 0));
  await Promise.all(Array.from({ length: 8 }, () => parlor.call("get_conversations", {})));
  assert.equal(seen.filter((one) => one.path === "/v1/auth/refresh").length, 1);
  const used = seen.filter((one) => one.path !== "/v1/auth/refresh").map((one) => one.headers.get("authorization"));
  assert.deepEqual([...new Set(used)], ["Bearer access-2"]);
});

test("a token that the server refuses is renewed, once", async () => {
  const { parlor, seen } = clientOf(({ path, headers }) => {
    if (path === "/v1/auth/refresh") return json(pair(2));
    return headers.get("authorization") === "Bearer access-2" ? json({ count: 3 }) : problem(401, "unauthorized");
  });
  await parlor.session.begin(pair(1));
  assert.deepEqual(await parlor.call("get_unread_notifications_count", {}), { count: 3 });
  assert.deepEqual(
    seen.map((one) => one.path.split("/").at(-1)),
    ["unread-count", "refresh", "unread-count"],
  );
});

test("a session that has ended is forgotten and said to be", async () => {
  const { parlor } = clientOf(() => problem(401, "invalid-refresh-token"));
  await parlor.session.begin(pair(1, 0));
  await assert.rejects(parlor.call("get_conversations", {}), SignedOutError);
  assert.equal(await parlor.session.store.load(), undefined);
});

test("queries wait for what was written, a later position standing for an earlier one of the same service", async () => {
  let nth = 0;
  const { parlor, seen } = clientOf(({ method }) => {
    nth += 1;
    if (method === "GET") return json({ items: [], nextCursor: null });
    return new Response(null, { status: 204, headers: { "parlor-position": `p${nth}` } });
  });
  await parlor.session.begin(pair(1));
  await parlor.call("mark_messages_as_read", { path: { id: ROOM }, body: { upTo: ROOM } });
  await parlor.call("mark_messages_as_read", { path: { id: ROOM }, body: { upTo: ROOM } });
  await parlor.call("change_user_status", { body: { status: "busy" } });
  await parlor.call("get_conversations", {});
  assert.equal(seen.at(-1)?.headers.get("parlor-min-position"), "p2,p3");
});

test("a list is read to its end", async () => {
  const { parlor, seen } = clientOf(({ path }) =>
    path.includes("cursor=2") ? json({ items: [3], nextCursor: null }) : json({ items: [1, 2], nextCursor: "2" }),
  );
  await parlor.session.begin(pair(1));
  /** @type {unknown[]} */
  const all = [];
  for await (const item of parlor.all("get_conversations", { query: { limit: 2 } })) all.push(item);
  assert.deepEqual(all, [1, 2, 3]);
  assert.deepEqual(
    seen.map((one) => one.path),
    ["/v1/conversations?limit=2", "/v1/conversations?limit=2&cursor=2"],
  );
});

test("a feed resumes after the last event that was taken, and closes the gap", async () => {
  const { parlor, seen } = clientOf((_, nth) => {
    const frames =
      nth === 1
        ? [
            { type: "caught-up", cursor: "c1" },
            { type: "chat.message-sent", cursor: "c2", data: 1 },
            { type: "closed", code: "too-slow", retryAfterMs: 1 },
          ]
        : [
            { type: "chat.message-sent", cursor: "c3", data: 2 },
            { type: "caught-up", cursor: "c3" },
          ];
    return new Response(frames.map((frame) => `id: x\ndata: ${JSON.stringify(frame)}\n\n`).join(":\n\n"));
  });
  await parlor.session.begin(pair(1));
  const types = [];
  for await (const frame of parlor.live()) {
    types.push(`${frame.type} ${frame.cursor}`);
    if (types.length === 4) break;
  }
  assert.deepEqual(types, ["caught-up c1", "chat.message-sent c2", "chat.message-sent c3", "caught-up c3"]);
  assert.deepEqual(
    seen.map((one) => one.headers.get("last-event-id")),
    [null, "c2"],
  );
  assert.ok(seen.every((one) => one.path === "/v1/stream" && one.headers.get("authorization") === "Bearer access-1"));
});

test("a feed whose token ended goes on with another one", async () => {
  const { parlor, seen } = clientOf(({ path, headers }) => {
    if (path === "/v1/auth/refresh") return json(pair(2));
    const old = headers.get("authorization") === "Bearer access-1";
    const frame = old ? { type: "closed", code: "signed-out" } : { type: "caught-up", cursor: "c" };
    return new Response(`data: ${JSON.stringify(frame)}\n\n`);
  });
  await parlor.session.begin(pair(1));
  for await (const frame of parlor.live()) {
    assert.equal(frame.type, "caught-up");
    break;
  }
  assert.deepEqual(
    seen.map((one) => one.path),
    ["/v1/stream", "/v1/auth/refresh", "/v1/stream"],
  );
});

test("a feed whose cursor is of an earlier epoch says so", async () => {
  const { parlor } = clientOf(() => problem(410, "epoch-changed"));
  await parlor.session.begin(pair(1));
  const reading = async () => {
    for await (const _ of parlor.live({ cursor: "old" })) assert.fail("nothing can come");
  };
  await assert.rejects(reading(), (error) => error instanceof ParlorError && error.code === "epoch-changed");
});

test("events are found however the bytes are cut and the lines end", () => {
  for (const end of ["\n", "\r\n", "\r"]) {
    const bytes = new TextEncoder().encode(
      `: hello${end}${end}id: 1${end}data: {"a": "ü😀"}${end}${end}data:x${end}data: y${end}${end}:${end}`,
    );
    for (let size = 1; size < bytes.length; size += 1) {
      const lines = new Lines();
      const found = [];
      for (let at = 0; at < bytes.length; at += size) found.push(...lines.add(bytes.slice(at, at + size)));
      assert.deepEqual(found, ['{"a": "ü😀"}', "x\ny"], `${JSON.stringify(end)} ${size}`);
    }
  }
});

test("ids are of version 7, ordered by time, and derived ones always the same", async () => {
  const shape = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
  const early = newId(1_700_000_000_000);
  const late = newId(1_700_000_000_001);
  assert.match(early, shape);
  assert.ok(early < late);
  assert.match(await derivedId(early, "echo"), shape);
  assert.equal(await derivedId(early, "echo"), await derivedId(early, "echo"));
  assert.notEqual(await derivedId(early, "echo"), await derivedId(early, "other"));
  assert.equal((await derivedId(early, "echo")).slice(0, 13), early.slice(0, 13));
});
