// The operators' console: who is let in, and what they see and do there.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { House, until } from "./browser.js";

const BINARY = process.env.PARLOR_BIN ?? fileURLToPath(new URL("../../target/debug/parlor", import.meta.url));
/** A name that would run, were it ever taken for markup. */
const HOSTILE = `<img src=x onerror="document.title='gone'">Eve`;

const house = await House.open({ PARLOR_OUTBOUND_ALLOW_NETWORKS: "127.0.0.0/8" });
after(() => house.close());

const [ada, bob, eve] = /** @type {Awaited<ReturnType<House["account"]>>[]} */ (
  await house.accounts("Ada Okafor", "Bob Marsh", HOSTILE)
);
if (!ada || !bob || !eve) throw new Error("three people were invited");
await promisify(execFile)(BINARY, ["user", "promote", ada.email], { env: house.server.env });
// What one is stands in the token.
await ada.parlor.signIn({ email: ada.email, password: "a long enough phrase" });
const room = await house.conversation(bob.parlor, {
  kind: "group",
  title: "Rowing club",
  history: "all",
  participants: [ada.userId, eve.userId],
});
const CORRELATION = "0af7651916cd43dd8448eb211c80319c";
const SECRET = "the boathouse key lies under the third stone";
const token = await bob.parlor.session.accessToken();
const sent = await fetch(`${house.server.url}/v1/conversations/${room.id}/messages`, {
  method: "POST",
  headers: {
    authorization: `Bearer ${token}`,
    "content-type": "application/json",
    traceparent: `00-${CORRELATION}-b7ad6b7169203331-01`,
  },
  body: JSON.stringify({ content: `@Ada Okafor ${SECRET}` }),
});
assert.equal(sent.status, 201);

/** @param {{ email: string }} who @param {import("playwright-core").BrowserContextOptions} [options] */
async function atTheDoor({ email }, options) {
  const guest = await house.guest(options);
  const { page } = guest;
  await page.goto(`${house.server.url}/console`);
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password").fill("a long enough phrase");
  await page.getByRole("button", { name: "Sign in" }).click();
  return guest;
}

/** @param {import("playwright-core").BrowserContextOptions} [options] */
async function administrator(options) {
  const guest = await atTheDoor(ada, options);
  await guest.page.getByRole("heading", { name: "Overview" }).waitFor();
  return guest;
}

/** Goes to a place of the console. @param {import("./browser.js").Guest} guest @param {string} hash @param {string} heading */
async function go({ page }, hash, heading) {
  await page.evaluate((to) => void (location.hash = to), hash);
  await page.getByRole("heading", { name: heading, exact: true }).first().waitFor();
}

test("who is no administrator is told so kindly, and the routes refuse them", async () => {
  const guest = await atTheDoor(bob);
  await guest.page.getByRole("heading", { name: "This room is for administrators" }).waitFor();
  await guest.page.getByText("parlor user promote").waitFor();
  assert.deepEqual(await guest.axe(), []);
  for (const path of ["chat/overview", "chat/events", "user/users", `auth/accounts/${ada.userId}`]) {
    const answer = await fetch(`${house.server.url}/v1/admin/${path}`, {
      headers: { authorization: `Bearer ${token}` },
    });
    assert.equal(answer.status, 403, path);
    assert.equal((await fetch(`${house.server.url}/v1/admin/${path}`)).status, 401, path);
  }
  await guest.page.getByRole("button", { name: "Sign in as somebody else" }).click();
  await guest.page.getByLabel("E-mail").waitFor();
  assert.deepEqual(guest.complaints, []);
});

test("an administrator sees the services live, and a rebuild run to its end", async () => {
  const guest = await administrator();
  const { page } = guest;
  const tile = page.locator(".tile", { has: page.getByRole("heading", { name: "chat", exact: true }) });
  const shown = async () => Number((await tile.locator(".figure").textContent())?.replace(/\D/g, ""));
  const before = await until(shown, "the log's position");
  await bob.parlor.send(room.id, "and one more");
  await until(async () => (await shown()) > before, "the position to move");

  await go(guest, "#/views", "Views");
  await page.getByRole("button", { name: "Rebuild timeline" }).click();
  await page.getByText(/^Made anew in /).waitFor();
  const { state, done, total } = await ada.parlor.call("admin_rebuild_progress", {
    path: { service: "chat", view: "timeline" },
  });
  assert.deepEqual([state, done >= before, done === total], ["done", true, true]);
  assert.equal((await bob.parlor.call("get_conversation_messages", { path: { id: room.id } })).items.length, 2);
  assert.deepEqual(guest.complaints, []);
});

test("a rebuild is followed to its end where another process answers now and then", async () => {
  const guest = await administrator();
  const { page } = guest;
  let answered = 0;
  await page.route("**/v1/admin/chat/views/search/rebuild", async (route) => {
    if (route.request().method() !== "GET") return route.continue();
    answered += 1;
    // One that never rebuilt it, and one that did long ago.
    if (answered === 1) return route.fulfill({ status: 404, json: { code: "not-found", status: 404 } });
    const old = { beganAt: "2026-01-01T00:00:00.000Z", endedAt: "2026-01-01T00:01:40.000Z" };
    if (answered <= 3)
      return route.fulfill({ json: { view: "search", state: "done", done: 7, total: 7, error: null, ...old } });
    return route.continue();
  });
  await go(guest, "#/views", "Views");
  await page.getByRole("button", { name: "Rebuild search" }).click();
  const told = await page.getByText(/^Made anew in /).textContent();
  assert.ok(answered > 3, "it asked on until the right one answered");
  assert.doesNotMatch(told ?? "", /100 s|1 min|2 min/, "how long the old one took is nobody's business");
});

test("a command is found by its correlation, and its way is drawn through the services without what was said", async () => {
  const guest = await administrator();
  const { page } = guest;
  await go(guest, "#/events", "Events");
  await page.getByLabel("Correlation").fill(CORRELATION);
  await page.getByRole("button", { name: "Find" }).click();
  const ways = page.getByRole("link", { name: /^The way of message\.sent/ });
  await until(async () => (await ways.count()) === 1, "what is found to take the place of what there was");
  await ways.click();
  await page.getByText("2 events in 2 services, 1 notification").waitFor();
  const cards = page.locator(".way-card");
  const told = await cards.allInnerTexts();
  const order = ["chat.send-message", "message.sent", "notification.create-notification", "notification.created"];
  order.forEach((name, n) => assert.ok(told[n]?.includes(name), `${n}: ${told[n]}`));
  // Drawn inside of what caused it.
  assert.equal(await page.locator(".way-step .way-step .way-step .is-notification").count(), 1);
  await until(
    async () => (await page.locator(".way-heard .has-passed", { hasText: "timeline" }).count()) === 1,
    "the view",
  );
  await cards.nth(1).locator("summary").click();
  await cards.nth(3).locator("summary").click();
  assert.ok((await cards.nth(1).locator("pre").innerText()).includes("•••"));
  const text = await page.content();
  for (const hidden of [SECRET, "third stone"]) assert.ok(!text.includes(hidden));
  assert.deepEqual(guest.complaints, []);
});

test("sessions are ended and people shut out, and hostile names stay text", async () => {
  const guest = await administrator();
  const { page } = guest;
  await go(guest, "#/people", "People");
  await page.getByLabel("Find by name or e-mail").fill("eve");
  await page.getByText(HOSTILE, { exact: true }).click();
  await page.getByRole("heading", { name: HOSTILE }).waitFor();
  await page.getByRole("button", { name: /^End the session/ }).click();
  await page.getByText("Nobody is signed in.").waitFor();
  await assert.rejects(eve.parlor.call("me", { retries: 0 }), { name: "SignedOutError" });
  await page.getByRole("button", { name: "Shut out" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Shut out" }).click();
  await page.locator(".person-account").getByText("disabled").waitFor();
  await page.getByRole("button", { name: "Let in again" }).click();
  await page.locator(".person-account").getByText("active").waitFor();
  assert.equal(await page.title(), "People · Parlor console");
  assert.equal(await page.locator("img").count(), 0);
  assert.deepEqual(guest.complaints, []);
});

test("what was sent twice is to be seen in the ledger", async () => {
  const id = crypto.randomUUID();
  for (let n = 0; n < 2; n += 1) await bob.parlor.send(room.id, "once", { id });
  const guest = await administrator();
  await go(guest, "#/ledger", "Ledger");
  const row = guest.page.getByRole("row", { name: /chat\.send-message/ });
  await until(async () => (await row.getByRole("cell").nth(2).textContent()) === "1", "the replay");
});

test("a receiver that nothing is sent to any more is among the parked ones, and is tried again there", async () => {
  let status = 410;
  /** @type {string[]} */
  const taken = [];
  const receiver = createServer((request, response) => {
    let body = "";
    request.on("data", (part) => (body += part));
    request.on("end", () => {
      if (status === 200) taken.push(JSON.parse(body).data.content);
      response.writeHead(status).end();
    });
  }).listen(0, "127.0.0.1");
  after(() => receiver.close());
  await once(receiver, "listening");
  const { port } = /** @type {import("node:net").AddressInfo} */ (receiver.address());
  const hook = { url: `http://127.0.0.1:${port}/hook`, events: ["chat.message-sent"], description: "Rowing log" };
  const { id } = await ada.parlor.call("create_webhook", { body: /** @type {any} */ (hook) });
  await bob.parlor.send(room.id, "for the log");

  const guest = await administrator();
  const { page } = guest;
  await page.locator(".map-row.is-parked", { hasText: "127.0.0.1" }).waitFor();
  await go(guest, "#/parked", "Parked");
  await page.getByText("the receiver answered 410 Gone").waitFor();
  await page.getByText("Rowing log").waitFor();
  assert.deepEqual(await guest.axe(), []);
  status = 200;
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByText("Nothing is parked").waitFor();
  await until(() => taken.length > 0, "the message that wasn't taken");
  assert.deepEqual(taken, ["for the log"]);
  await go(guest, "#/overview", "Overview");
  await page.locator(".map-row.is-live", { hasText: "127.0.0.1" }).waitFor();
  await ada.parlor.call("delete_webhook", { path: { id } });
  assert.deepEqual(guest.complaints, []);
});

for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
  for (const [shape, viewport] of Object.entries({
    wide: { width: 1280, height: 800 },
    narrow: { width: 390, height: 780 },
  })) {
    test(`axe finds nothing in the console, ${colorScheme} and ${shape}`, async () => {
      const guest = await administrator({ colorScheme, viewport, reducedMotion: "reduce" });
      const { page } = guest;
      /** @type {Record<string, string[]>} */
      const found = { overview: await guest.axe() };
      const at = async (/** @type {string} */ hash, /** @type {string} */ heading, /** @type {string} */ selector) => {
        await go(guest, hash, heading);
        await page.locator(selector).first().waitFor();
        found[hash] = await guest.axe();
      };
      await at("#/views", "Views", ".handler");
      await at("#/events?service=auth", "Events", ".event");
      await page.locator(".event summary").first().click();
      found.event = await guest.axe();
      await at(`#/events/way/${CORRELATION}`, "The way of a command", ".way-card");
      await at("#/parked", "Parked", ".empty");
      await page.getByText("Nothing is parked").waitFor();
      await at("#/people", "People", ".person");
      await at(`#/people/${bob.userId}`, "Bob Marsh", ".session");
      await at("#/ledger", "Ledger", "table");
      for (const [screen, violations] of Object.entries(found)) assert.deepEqual(violations, [], screen);
      assert.deepEqual(guest.complaints, []);
    });
  }
}
