import assert from "node:assert/strict";
import { after, afterEach, test } from "node:test";
import { House, until } from "./browser.js";

const house = await House.open();
after(() => house.close());
afterEach(() =>
  assert.deepEqual(
    house.guests.flatMap((guest) => guest.complaints),
    [],
  ),
);

/** What was said, by the server, the oldest first. */
async function all(parlor, id) {
  const found = [];
  for await (const message of parlor.all("get_conversation_messages", { path: { id }, query: {} }))
    found.unshift(message.content);
  return found;
}

async function pair(name) {
  const [ada, bob] = await house.accounts(`Ada ${name}`, `Bob ${name}`);
  const room = await house.conversation(ada.parlor, { kind: "direct", participants: [bob.userId] });
  const guest = await house.signedIn(ada);
  await guest.open(`Bob ${name}`);
  return { ada, bob, room, guest };
}

const waiting = (guest) =>
  guest.page.getByRole("img", { name: /Waiting for the network|Sending/ }).and(guest.page.locator(".message .icon"));

test("what is written offline waits, survives a reload, and arrives once and in order", async () => {
  const { bob, room, guest } = await pair("Offline");
  await guest.say("before");
  await guest.message("before").getByRole("img", { name: "Sent" }).waitFor();
  await guest.context.setOffline(true);
  for (const text of ["one", "two", "three"]) await guest.say(text);
  await until(async () => (await waiting(guest).count()) === 3, "three to wait");
  await bob.parlor.send(room.id, "meanwhile");

  // The server is there again for a page that knows nothing yet; what waited is in the browser.
  await guest.context.setOffline(false);
  await guest.page.reload();
  for (const text of ["one", "two", "three"]) await guest.message(text).getByRole("img", { name: "Sent" }).waitFor();
  await guest.message("meanwhile").waitFor();
  const said = await all(bob.parlor, room.id);
  assert.deepEqual(
    said.filter((text) => text !== "meanwhile"),
    ["before", "one", "two", "three"],
  );
  assert.equal(said.length, 5);
  assert.equal((await guest.said()).length, 5);
});

test("what is said while a page of messages is on its way is seen beside it", async () => {
  const { bob, room, guest } = await pair("Between");
  let release = () => {};
  const held = new Promise((resolve) => (release = () => resolve(undefined)));
  let read = () => {};
  const pageRead = new Promise((resolve) => (read = () => resolve(undefined)));
  await guest.page.route("**/messages?*", async (route) => {
    const response = await route.fetch();
    read();
    await held;
    await route.fulfill({ response });
  });
  await guest.page.reload();
  await pageRead;
  // Neither is on the page that was read; the feed tells of one, the answer to sending of the other.
  await bob.parlor.send(room.id, "theirs");
  await guest.page.locator(".rows").getByText("theirs").waitFor();
  await guest.say("mine");
  await guest.page.locator(".rows").getByText("mine").waitFor();
  release();
  await guest.message("theirs").waitFor();
  await guest.message("mine").getByRole("img", { name: "Sent" }).waitFor();
  assert.deepEqual(await guest.said(), ["theirs", "mine"]);
});

test("a message whose answer was lost is sent again and stays one message", async () => {
  const { bob, room, guest } = await pair("Lost");
  const keys = [];
  let lost = 0;
  await guest.page.route("**/messages", async (route) => {
    if (route.request().method() !== "POST") return route.continue();
    keys.push(await route.request().headerValue("idempotency-key"));
    if (lost >= 3) return route.continue();
    lost += 1;
    // It arrives, and is carried out; the page never hears of it.
    const { url, method, headers, postData } = {
      url: route.request().url(),
      method: "POST",
      headers: await route.request().allHeaders(),
      postData: route.request().postData(),
    };
    await fetch(url, { method, headers, body: postData });
    await route.abort("connectionreset");
  });
  // Nor by its feed.
  await guest.page.route("**/v1/stream", (route) => route.abort());
  await guest.page.reload();
  await guest.composer.waitFor();
  await guest.say("only once");
  await until(async () => lost > 0 && (await all(bob.parlor, room.id)).length > 0, "it to arrive");
  await until(() => keys.length > 3, "it to be sent again", 30_000);
  assert.equal(new Set(keys).size, 1);
  await guest.page.unroute("**/v1/stream");
  await guest.message("only once").getByRole("img", { name: "Sent" }).waitFor();
  assert.deepEqual(await all(bob.parlor, room.id), ["only once"]);
  assert.deepEqual(await guest.said(), ["only once"]);
});

test("a server that is killed and comes back costs nothing", async () => {
  const { bob, room, guest } = await pair("Killed");
  const other = await house.signedIn(bob);
  await other.open("Ada Killed");
  await guest.say("1");
  await other.message("1").waitFor();
  await house.server.kill();
  await guest.say("2");
  await guest.page.getByText("Not connected").waitFor();
  await house.server.startAgain();
  await guest.say("3");
  for (const who of [guest, other]) {
    for (const text of ["1", "2", "3"]) await who.message(text).waitFor();
    await who.page.getByText("Not connected").waitFor({ state: "detached" });
    assert.deepEqual(await who.said(), ["1", "2", "3"]);
  }
  assert.deepEqual(await all(bob.parlor, room.id), ["1", "2", "3"]);
});

test("a refused message says why, and can be thrown away", async () => {
  const { guest } = await pair("Refused");
  await guest.page.route("**/messages", (route) =>
    route.request().method() === "POST"
      ? route.fulfill({
          status: 403,
          contentType: "application/problem+json",
          body: JSON.stringify({ code: "forbidden", detail: "Not any more." }),
        })
      : route.continue(),
  );
  await guest.say("will not do");
  await guest.page.getByText("Not sent. Not any more.").waitFor();
  await guest.page.getByRole("button", { name: "Discard" }).click();
  await until(async () => (await guest.said()).length === 0, "it to be gone");
});

test("two tabs share a session and an outbox, and nothing is sent twice", async () => {
  const { bob, room, guest } = await pair("Tabs");
  const second = await guest.context.newPage();
  await second.goto(guest.page.url());
  await second.locator(".composer textarea").waitFor();
  await guest.context.setOffline(true);
  await guest.say("from one");
  await second.locator(".composer textarea").fill("from the other");
  await second.locator(".composer textarea").press("Enter");
  await guest.context.setOffline(false);
  await until(async () => (await all(bob.parlor, room.id)).length >= 2, "both to arrive");
  for (const page of [guest.page, second]) {
    await page.getByRole("img", { name: "Sent" }).nth(1).waitFor();
    assert.deepEqual((await page.locator(".message .content").allTextContents()).sort(), [
      "from one",
      "from the other",
    ]);
  }
  assert.equal((await all(bob.parlor, room.id)).length, 2);
  await guest.page.getByRole("link", { name: "You", exact: true }).click();
  await guest.page.getByRole("button", { name: "Sign out" }).click();
  await second.getByRole("heading", { name: "Welcome" }).waitFor();
});

test("what somebody left unsent is never sent in the name of whoever signs in next", async () => {
  const { ada, bob, room, guest } = await pair("Leaves");
  const { page } = guest;
  const signIn = async (/** @type {string} */ email) => {
    await page.getByLabel("E-mail").fill(email);
    await page.getByLabel("Password").fill("a long enough phrase");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("heading", { name: "Chats" }).waitFor();
  };
  const signOut = async () => {
    await page.getByRole("link", { name: "You", exact: true }).click();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "Welcome" }).waitFor();
  };
  await page.route("**/messages", (route) => (route.request().method() === "POST" ? route.abort() : route.continue()));
  await guest.say("from Ada");
  await until(async () => (await waiting(guest).count()) === 1, "it to wait");
  await signOut();
  await page.unroute("**/messages");
  await signIn(bob.email);
  await guest.open("Ada Leaves");
  await guest.say("from Bob");
  await guest.message("from Bob").getByRole("img", { name: "Sent" }).waitFor();
  assert.deepEqual(await all(ada.parlor, room.id), ["from Bob"]);
  await signOut();
  await signIn(ada.email);
  await guest.open("Bob Leaves");
  await guest.message("from Ada").getByRole("img", { name: "Sent" }).waitFor();
  const { items } = await ada.parlor.call("get_conversation_messages", { path: { id: room.id } });
  assert.deepEqual(
    items.map(({ senderId }) => senderId),
    [ada.userId, bob.userId],
  );
});
