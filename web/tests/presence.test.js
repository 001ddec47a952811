import { after, afterEach, test } from "node:test";
import assert from "node:assert/strict";
import { House } from "./browser.js";

const house = await House.open();
after(() => house.close());
afterEach(() =>
  assert.deepEqual(
    house.guests.flatMap((guest) => guest.complaints),
    [],
  ),
);

/** The dot beside somebody at the top of the conversation. @param {import("./browser.js").Guest} guest @param {string} status */
const dot = (guest, status) => guest.page.locator(`.conversation-head .presence.is-${status}`);

test("one sees the other come, type and go", async () => {
  const [ada, bob] = await house.accounts("Ada Waits", "Bob Types");
  await house.conversation(ada.parlor, { kind: "direct", participants: [bob.userId] });
  const one = await house.signedIn(ada);
  await one.open("Bob Types");
  await dot(one, "offline").waitFor();

  const other = await house.signedIn(bob);
  await dot(one, "online").waitFor();
  await one.page.getByText("Online", { exact: true }).waitFor();
  await other.open("Ada Waits");
  await dot(other, "online").waitFor();

  await other.composer.pressSequentially("A long time ag");
  await one.page.locator(".typing-line", { hasText: "Bob Types is typing…" }).waitFor();
  await one.page.locator(".row .typing", { hasText: "Bob Types is typing…" }).waitFor();
  assert.equal(await other.page.locator(".typing-line").textContent(), "", "nobody is told of themselves");
  await other.say("A long time ago");
  await one.message("A long time ago").waitFor();
  await one.page.locator(".typing-line", { hasText: "typing" }).waitFor({ state: "hidden" });

  await other.context.close();
  await dot(one, "offline").waitFor();
  await one.page.getByText(/^Last seen at /).waitFor();
  // Read anew, it is asked for.
  await one.page.reload();
  await one.page.getByText(/^Last seen at /).waitFor();
});

test("who is there already is seen to be when one first comes together with them", async () => {
  const [ada, bob] = await house.accounts("Ada Meets", "Bob Is Met");
  const [one, other] = [await house.signedIn(ada), await house.signedIn(bob)];
  await house.conversation(ada.parlor, { kind: "direct", participants: [bob.userId] });
  for (const guest of [one, other]) await guest.page.locator(".row .presence.is-online").waitFor();
});

test("who chose to seem away seems so to others, and is told of them", async () => {
  const [ada, bob] = await house.accounts("Ada Looks", "Bob Hides");
  await house.conversation(ada.parlor, { kind: "direct", participants: [bob.userId] });
  await bob.parlor.call("change_user_status", { body: { status: "offline", text: null } });
  const [one, other] = [await house.signedIn(ada), await house.signedIn(bob)];
  await other.open("Ada Looks");
  await dot(other, "online").waitFor();
  await one.open("Bob Hides");
  await dot(one, "offline").waitFor();
  await bob.parlor.call("change_user_status", { body: { status: "busy", text: "At last" } });
  await dot(one, "busy").waitFor();
  await one.page.getByText("Busy · At last").waitFor();
});
