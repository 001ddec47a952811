// Every screen, light and dark, wide and narrow, through axe-core: no violations.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { House, until } from "./browser.js";

const house = await House.open();
after(() => house.close());

const [ada, bob, eve] = await house.accounts("Ada Lovelace", "Bob Marsh", "Eve Stone");
const room = await house.conversation(bob.parlor, {
  kind: "group",
  title: "Rowing club",
  history: "all",
  participants: [ada.userId, eve.userId],
});
const first = await bob.parlor.send(room.id, "Shall we row on Saturday?");
await eve.parlor.send(room.id, "Yes! Details at https://example.org/rowing", { replyTo: first.id });
const gone = await eve.parlor.send(room.id, "oops");
await eve.parlor.call("delete_message", { path: { id: room.id, messageId: gone.id } });
const mine = await ada.parlor.send(room.id, "I'll bring the cox");
await ada.parlor.call("edit_message", {
  path: { id: room.id, messageId: mine.id },
  body: { content: "I'll bring the cox and the coffee" },
});
await bob.parlor.call("mark_messages_as_read", { path: { id: room.id }, body: { upTo: mine.id } });
await bob.parlor.send(room.id, "@Ada Lovelace splendid");
await ada.parlor.call("add_user_contact", { path: { userId: bob.userId } });
await bob.parlor.call("change_user_status", { body: { status: "busy", text: "Oiling the oars" } });
await until(async () => (await ada.parlor.call("get_unread_notifications_count", {})).count > 0, "a notification");

for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
  for (const [shape, viewport] of Object.entries({
    wide: { width: 1280, height: 800 },
    narrow: { width: 390, height: 780 },
  })) {
    test(`axe finds nothing on any screen, ${colorScheme} and ${shape}`, async () => {
      const options = { colorScheme, viewport, reducedMotion: /** @type {const} */ ("reduce") };
      /** @type {Record<string, string[]>} */
      const found = {};
      const door = await house.guest(options);
      await door.page.getByRole("heading", { name: "Welcome" }).waitFor();
      found["sign in"] = await door.axe();
      await door.page.getByRole("button", { name: "Create an account" }).click();
      await door.page.getByRole("heading", { name: "Come on in" }).waitFor();
      found.register = await door.axe();
      await door.context.close();

      const guest = await house.signedIn(ada, options);
      const { page } = guest;
      const at = async (/** @type {string} */ name, /** @type {string} */ hash, /** @type {string} */ selector) => {
        await page.evaluate((to) => void (location.hash = to), hash);
        await page.locator(selector).first().waitFor();
        found[name] = await guest.axe();
      };
      await at("chats", "#/chats", ".rows .row");
      await at("conversation", `#/chats/c/${room.id}`, ".bubble");
      await page.getByRole("button", { name: "Details" }).click();
      await page.locator(".member").nth(2).waitFor();
      found.details = await guest.axe();
      await page.getByRole("button", { name: "Close" }).click();
      await guest.message("@Ada Lovelace splendid").hover();
      await guest.message("@Ada Lovelace splendid").getByRole("button", { name: "Reply" }).click();
      found.reply = await guest.axe();
      await at("people", "#/people", ".rows .row");
      await at("profile", `#/people/u/${bob.userId}`, ".profile .button");
      await page.evaluate(() => void (location.hash = "#/search"));
      await page.getByRole("searchbox", { name: "Search messages" }).fill("coffee");
      await page.locator("mark").waitFor();
      found.search = await guest.axe();
      await at("notifications", "#/notices", ".rows .row");
      for (const section of ["profile", "notifications", "look", "sessions", "account"]) {
        await at(section, `#/settings/${section}`, ".settings-body .button, .settings-body kbd");
      }
      await page.evaluate(() => void (location.hash = "#/chats"));
      await page.getByRole("button", { name: "New conversation" }).first().click();
      await page.locator(".picker-row").first().waitFor();
      found["new conversation"] = await guest.axe();
      await page.getByRole("button", { name: "Close" }).click();
      await guest.context.setOffline(true);
      await page.evaluate((to) => void (location.hash = to), `#/chats/c/${room.id}`);
      const kept = `kept for later, ${colorScheme} and ${shape}`;
      await guest.say(kept);
      await guest.message(kept).waitFor();
      found.offline = await guest.axe();
      await guest.context.setOffline(false);
      await guest.message(kept).getByRole("img", { name: "Sent" }).waitFor();
      await page.close();

      assert.deepEqual(Object.fromEntries(Object.entries(found).filter(([, wrong]) => wrong.length > 0)), {});
      assert.ok(Object.keys(found).length >= 14);
      assert.deepEqual(guest.complaints, []);
    });
  }
}
