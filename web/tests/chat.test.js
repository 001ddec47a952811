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

test("two people who have never been here register and chat, each seeing at once what the other says", async () => {
  const [ada, bob] = await Promise.all([house.guest(), house.guest()]);
  const register = async ({ page }, name) => {
    await page.getByRole("button", { name: "Create an account" }).click();
    await page.getByLabel("Your name").fill(name);
    await page.getByLabel("E-mail").fill(`${name.toLowerCase()}@example.org`);
    await page.getByLabel("Password").fill("pull up a chair");
    await page.getByRole("button", { name: "Create account" }).click();
    await page.getByRole("heading", { name: "No conversations yet" }).waitFor();
  };
  await Promise.all([register(ada, "Ada"), register(bob, "Bob")]);

  await ada.page.getByRole("button", { name: "New conversation" }).first().click();
  await ada.page.getByRole("searchbox", { name: "Search people" }).fill("Bob");
  await ada.page.getByRole("checkbox", { name: "Bob" }).check();
  await ada.page.getByRole("button", { name: "Begin conversation" }).click();
  await ada.composer.waitFor();
  await ada.say("Hello, Bob!");

  await bob.page.getByRole("link", { name: /Ada.*Hello, Bob!.*1 unread/s }).click();
  await bob.message("Hello, Bob!").waitFor();
  await bob.say("Hello, Ada!");
  await ada.message("Hello, Ada!").waitFor();
  // Bob has read it, and Ada is told so.
  await ada.message("Hello, Bob!").getByRole("img", { name: "Read" }).waitFor();
  await until(async () => (await bob.page.locator(".rows .count").count()) === 0, "Bob's count to be gone");
});

test("what waits in a conversation far down the list counts, too, and once", async () => {
  const [ada, bob] = await house.accounts("Ada Counts", "Bob Counts");
  const begin = () => house.conversation(ada.parlor, { kind: "group", participants: [bob.userId] });
  const first = await begin();
  await ada.parlor.send(first.id, "long ago");
  // As many as are read at first.
  for (let n = 0; n < 100; n += 1) await begin();
  const { page } = await house.signedIn(bob);
  await until(async () => (await page.title()) === "(1) Parlor", "the one that isn't in the list");
  await ada.parlor.send(first.id, "and again");
  await until(async () => (await page.title()) === "(2) Parlor", "both, now that it is");
});

/** Holds the next answers about a conversation back, once they are there, until they are released. */
async function hold(page, id) {
  let [release, read] = [() => {}, () => {}];
  const held = new Promise((resolve) => (release = () => resolve(undefined)));
  const wasRead = new Promise((resolve) => (read = () => resolve(undefined)));
  const at = `**/v1/conversations/${id}`;
  await page.route(at, async (route) => {
    const response = await route.fetch();
    read();
    await held;
    await route.fulfill({ response });
  });
  const answered = async () => {
    const answer = page.waitForResponse(at);
    release();
    await answer;
  };
  return { wasRead, answered };
}

test("an answer from before a message takes nothing back that the feed has told of", async () => {
  const [ada, bob, cyd] = await house.accounts("Ada Ahead", "Bob Ahead", "Cyd Ahead");
  const body = { kind: /** @type {const} */ ("group"), title: "Old title", participants: [bob.userId] };
  const { id } = await house.conversation(ada.parlor, body);
  const { page } = await house.signedIn(bob);
  await page.getByRole("link", { name: /Old title/ }).waitFor();
  const { wasRead, answered } = await hold(page, id);
  await ada.parlor.call("add_participant", { path: { id, userId: cyd.userId }, body: {} });
  await wasRead;
  await ada.parlor.send(id, "ahead of it");
  await ada.parlor.call("rename_conversation", { path: { id }, body: { title: "New title" } });
  await page.getByRole("link", { name: /New title.*ahead of it.*1 unread/s }).waitFor();
  await answered();
  // What comes after it is counted on.
  await ada.parlor.send(id, "after it");
  await page.getByRole("link", { name: /New title.*after it.*2 unread/s }).waitFor();
});

test("a conversation that one was removed from doesn't come back with an older answer", async () => {
  const [ada, bob, cyd] = await house.accounts("Ada Removes", "Bob Removed", "Cyd Removes");
  const group = (title) => ({ kind: /** @type {const} */ ("group"), title, participants: [bob.userId] });
  const { id } = await house.conversation(ada.parlor, group("Not for Bob"));
  const other = await house.conversation(ada.parlor, group("For all"));
  const { page } = await house.signedIn(bob);
  const gone = page.getByRole("link", { name: /Not for Bob/ });
  await gone.waitFor();
  const { wasRead, answered } = await hold(page, id);
  await ada.parlor.call("add_participant", { path: { id, userId: cyd.userId }, body: {} });
  await wasRead;
  await ada.parlor.call("remove_participant", { path: { id, userId: bob.userId } });
  await gone.waitFor({ state: "detached" });
  await answered();
  await ada.parlor.send(other.id, "after it");
  await page.getByRole("link", { name: /For all.*after it/s }).waitFor();
  assert.equal(await gone.count(), 0);
});

test("a conversation is shown with what was said in it, though the views learn of it late", async () => {
  const [ada, bob] = await house.accounts("Ada Late", "Bob Late");
  const { page } = await house.signedIn(bob);
  await page.getByRole("heading", { name: "No conversations yet" }).waitFor();
  const asked = [];
  await page.route(/\/v1\/conversations\/[^/]+$/, async (route) => {
    asked.push(route.request().url());
    const contentType = "application/problem+json";
    if (asked.length <= 2) return route.fulfill({ status: 404, contentType, json: { code: "not-found", status: 404 } });
    const response = await route.fetch();
    const before = { ...(await response.json()), lastMessage: null, unreadCount: 0 };
    return route.fulfill({ response, json: before });
  });
  const { id } = await house.conversation(ada.parlor, { kind: "direct", participants: [bob.userId] });
  await ada.parlor.send(id, "Are you there?");
  await page.getByRole("link", { name: /Ada Late.*Are you there\?.*1 unread/s }).waitFor();
  assert.ok(asked.length > 2, "it was asked for again");
});

test("messages are shown while notifications are behind, and those once they aren't", async () => {
  const [ada, bob] = await house.accounts("Ada Behind", "Bob Behind");
  const { id } = await house.conversation(ada.parlor, { kind: "direct", participants: [bob.userId] });
  await ada.parlor.send(id, "Are you there?");
  const guest = await house.signedIn(bob);
  const { page } = guest;
  let behind = true;
  let asked = 0;
  await page.route(/\/v1\/notifications/, async (route) => {
    asked += 1;
    if (!behind) return route.fallback();
    const contentType = "application/problem+json";
    return route.fulfill({ status: 503, contentType, json: { code: "unavailable", status: 503 } });
  });
  await page.reload();
  await guest.open("Ada Behind");
  await page.locator(".message", { hasText: "Are you there?" }).waitFor();
  assert.ok(asked > 0);
  behind = false;
  await page.getByRole("link", { name: /^Notifications/ }).click();
  // Read by now, or not yet.
  await page.locator(".rows button.row", { hasText: "Are you there?" }).waitFor();
});

test("what is edited, deleted and replied to is seen by the other at once", async () => {
  const [ada, bob] = await house.accounts("Ada Edits", "Bob Watches");
  await house.conversation(ada.parlor, { kind: "direct", participants: [bob.userId] });
  const [one, other] = [await house.signedIn(ada), await house.signedIn(bob)];
  await one.open("Bob Watches");
  await other.open("Ada Edits");
  await one.say("frist");
  await other.message("frist").waitFor();

  await one.composer.press("ArrowUp");
  await until(async () => (await one.composer.inputValue()) === "frist", "the message to be edited");
  await one.say("first");
  await other.message("first").getByText("edited").waitFor();

  await other.message("first").hover();
  await other.message("first").getByRole("button", { name: "Reply" }).click();
  await other.say("second");
  await one.message("second").getByRole("button", { name: "In reply to You first" }).waitFor();

  await one.message("first").hover();
  await one.message("first").getByRole("button", { name: "Delete" }).click();
  await one.message("first").getByRole("button", { name: "Delete for everyone" }).click();
  await other.message("This message was deleted").waitFor();
  assert.equal(await other.message("first").count(), 0);
});

test("a search in any script finds a message and shows it where it was said", async () => {
  const [ada, bob] = await house.accounts("Ada Searches", "Bob Said");
  const room = await house.conversation(ada.parlor, { kind: "group", title: "Long ago", participants: [bob.userId] });
  await bob.parlor.send(room.id, "昔々あるところに lived a 王様");
  for (let n = 0; n < 150; n += 1) await bob.parlor.send(room.id, `and then ${n}`);
  const guest = await house.signedIn(ada);
  await guest.page.keyboard.press("Control+k");
  await guest.page.getByRole("searchbox", { name: "Search messages" }).fill("王様");
  await guest.page.locator("mark", { hasText: "王様" }).waitFor();
  await guest.page.getByRole("link", { name: /lived a/ }).click();
  await guest.message("昔々あるところに lived a 王様").waitFor();
  assert.ok(await guest.page.locator(".message.is-marked").isVisible());
  await guest.page.getByRole("button", { name: /Newest|new/ }).click();
  await guest.message("and then 149").waitFor();
});

test("contacts, profile, status, preferences and sessions are kept", async () => {
  const [ada, bob] = await house.accounts("Ada Keeps", "Bob Kept");
  const { page } = await house.signedIn(ada);
  await page.getByRole("link", { name: "People" }).click();
  await page.getByRole("searchbox", { name: "Search people by name" }).fill("Bob Kept");
  await page.getByRole("link", { name: /Bob Kept/ }).click();
  await page.getByRole("button", { name: "Add to contacts" }).click();
  await page.getByRole("button", { name: "Remove from contacts" }).waitFor();
  await page.getByRole("link", { name: "You", exact: true }).click();
  await page.getByRole("link", { name: "Profile and status" }).click();
  await page.getByRole("radio", { name: "Busy" }).check();
  await page.getByLabel("In your own words").fill("In the archive");
  await page.getByRole("button", { name: "Set status" }).click();
  await page.getByText("Your status is set.").waitFor();
  await page.getByLabel("About you").fill("Counts things.");
  await page.getByRole("button", { name: "Save profile" }).click();
  await page.getByText("Your profile is saved.").waitFor();
  await page.getByRole("link", { name: "Notifications", exact: true }).last().click();
  await page.getByRole("group", { name: "Messages in groups" }).getByRole("radio", { name: "All" }).check();
  await page.getByRole("checkbox", { name: "Quiet hours, every day" }).check();
  await page.getByRole("button", { name: "Save preferences" }).click();
  await page.getByText("Your preferences are saved.").waitFor();
  await page.getByRole("link", { name: "Where you are signed in" }).click();
  await page
    .getByRole("button", { name: /^End the session/ })
    .first()
    .click();
  await until(
    async () => (await page.getByRole("button", { name: /^End the session/ }).count()) === 0,
    "the other session to have ended",
  );

  // As the server has it now; the session of the client is the one that was ended.
  await ada.parlor.signIn({ email: ada.email, password: "a long enough phrase" });
  const profile = await ada.parlor.call("get_own_profile", {});
  assert.deepEqual([profile.status, profile.statusText, profile.bio], ["busy", "In the archive", "Counts things."]);
  const preferences = await ada.parlor.call("get_notification_preferences", {});
  assert.equal(preferences.kinds?.group, "all");
  assert.equal(preferences.quietHours?.from, "22:00");
  const contacts = await ada.parlor.call("get_user_contacts", {});
  assert.deepEqual(
    contacts.items.map(({ id }) => id),
    [bob.userId],
  );
});

test("a group is begun, renamed, grown and left", async () => {
  const [ada, bob, eve] = await house.accounts("Ada Founds", "Bob Joins", "Eve Joins");
  const one = await house.signedIn(ada);
  await until(
    async () => (await ada.parlor.call("find_users", { query: { search: "Joins" } })).items.length === 2,
    "both to be found",
  );
  const { page } = one;
  await page.getByRole("button", { name: "New conversation" }).first().click();
  await page.getByRole("searchbox", { name: "Search people" }).fill("Bob Joins");
  await page.getByRole("checkbox", { name: "Bob Joins" }).check();
  await page.getByRole("checkbox", { name: /Make it a group/ }).check();
  await page.getByLabel("What the group is called").fill("Rowing");
  await page.getByRole("button", { name: "Begin group" }).click();
  await page.getByRole("heading", { name: "Rowing" }).waitFor();
  await page.getByRole("button", { name: "Details" }).click();
  await page.getByLabel("Called").fill("Rowing club");
  await page.getByRole("button", { name: "Rename" }).click();
  await page.getByRole("button", { name: "Add people" }).click();
  await page.getByRole("searchbox", { name: "Search people" }).fill("Eve");
  await page.getByRole("checkbox", { name: "Eve Joins" }).check();
  await page.getByRole("button", { name: "Add 1" }).click();
  await page.getByRole("heading", { name: "3 people" }).waitFor();

  const other = await house.signedIn(eve);
  await other.open("Rowing club");
  await other.page.getByRole("button", { name: "Details" }).click();
  await other.page.getByRole("button", { name: "Leave group…" }).click();
  await other.page.getByRole("button", { name: "Leave group", exact: true }).click();
  await other.page.getByRole("heading", { name: "No conversations yet" }).waitFor();
  await page.getByRole("heading", { name: "2 people" }).waitFor();
  assert.equal((await bob.parlor.call("get_conversations", {})).items[0]?.title, "Rowing club");
});

test("without a pointer one signs in, finds a conversation, writes, goes through messages and replies", async () => {
  const [ada, bob] = await house.accounts("Ada Types", "Bob Reads");
  const room = await house.conversation(ada.parlor, { kind: "direct", participants: [bob.userId] });
  await bob.parlor.send(room.id, "one");
  await bob.parlor.send(room.id, "two");
  const guest = await house.guest();
  const { page } = guest;
  const { keyboard } = page;
  await page.getByLabel("E-mail").waitFor();
  // The first field has the focus already.
  await keyboard.type(ada.email);
  await keyboard.press("Tab");
  await keyboard.type("a long enough phrase");
  await keyboard.press("Enter");
  await page.getByRole("link", { name: /Bob Reads/ }).waitFor();
  const focused = () =>
    page.evaluate(() => (document.activeElement === document.body ? "" : (document.activeElement?.textContent ?? "")));
  for (let n = 0; n < 20 && !(await focused()).includes("Bob Reads"); n += 1) await keyboard.press("Tab");
  await keyboard.press("Enter");
  await guest.message("two").waitFor();
  await until(
    () => page.evaluate(() => document.activeElement?.tagName === "TEXTAREA"),
    "the composer to have the focus",
  );
  await keyboard.type("three");
  await keyboard.press("Enter");
  await guest.message("three").getByRole("img", { name: "Sent" }).waitFor();

  // Back into the messages, up to the first, and to what can be done with it.
  await keyboard.press("Shift+Tab");
  for (let n = 0; n < 10 && !(await page.evaluate(() => document.activeElement?.tagName === "ARTICLE")); n += 1)
    await keyboard.press("Shift+Tab");
  for (const text of ["two", "one"]) {
    await keyboard.press("ArrowUp");
    await until(async () => (await focused()).includes(text), `${text} to have the focus`);
  }
  await keyboard.press("Tab");
  await keyboard.press("Enter");
  await until(
    () => page.evaluate(() => document.activeElement?.tagName === "TEXTAREA"),
    "the composer to have the focus",
  );
  await keyboard.type("to one");
  await keyboard.press("Enter");
  await guest.message("to one").getByRole("button", { name: "In reply to Bob Reads one" }).waitFor();
  await keyboard.press("Escape");
  await page.getByRole("heading", { name: "Pull up a chair" }).waitFor();
});
