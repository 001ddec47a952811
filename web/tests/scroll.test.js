import assert from "node:assert/strict";
import { after, test } from "node:test";
import { House, until } from "./browser.js";

const house = await House.open();
after(() => house.close());

/** As many messages as are said, and how many of them may be in the page at once. */
const SAID = 5_000;
const IN_PAGE = 120;

test("5,000 messages are scrolled through to the first one, few of them in the page at any time", async () => {
  const [ada, bob] = await house.accounts("Ada Scrolls", "Bob Talks");
  const room = await house.conversation(bob.parlor, { kind: "direct", participants: [ada.userId] });
  // Side by side, for the server commits together what comes together; of many lengths, as people talk.
  let next = 0;
  const talk = async () => {
    while (next < SAID) {
      const n = (next += 1);
      await bob.parlor.send(room.id, `${n} ${"and so on ".repeat((n * 7) % 40)}`.trim());
    }
  };
  await Promise.all(Array.from({ length: 64 }, talk));
  const order = [];
  for await (const message of bob.parlor.all("get_conversation_messages", {
    path: { id: room.id },
    query: { limit: 200 },
  }))
    order.unshift(message.id);
  assert.equal(order.length, SAID);

  const guest = await house.signedIn(ada);
  await guest.open("Bob Talks");
  const { page } = guest;
  await page.locator(".message").first().waitFor();
  // A page at a time, each looked at once it was drawn, until there is nothing further up.
  const way = await page.locator(".messages").evaluate(async (box, first) => {
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
    const keys = () =>
      [...box.querySelectorAll(".message-row")].map((row) => /** @type {HTMLElement} */ (row).dataset.key ?? "");
    const pages = [];
    for (const until = Date.now() + 90_000; Date.now() < until && pages.at(-1)?.[0] !== first;) {
      await frame();
      await frame();
      pages.push(keys());
      box.scrollBy(0, -1_000);
    }
    return pages;
  }, order[0]);
  assert.equal(way.at(-1)?.[0], order[0], "the first message is reached");
  assert.equal(new Set(way.flat()).size, SAID, "each was shown on the way");
  const place = new Map(order.map((id, n) => [id, n]));
  for (const shown of way) {
    assert.ok(shown.length <= IN_PAGE, `${shown.length} messages were in the page`);
    const from = place.get(shown[0] ?? "") ?? -1;
    assert.deepEqual(shown, order.slice(from, from + shown.length), "as they were said, none missing between");
  }

  // And what is on the screen stays there while something arrives.
  await page.locator(".messages").evaluate((box) => box.scrollBy(0, 20_000));
  const seen = () =>
    page.evaluate(() => {
      const row = [...document.querySelectorAll(".message-row")].find((one) => one.getBoundingClientRect().top > 100);
      return row instanceof HTMLElement ? [row.dataset.key, Math.round(row.getBoundingClientRect().top)] : [];
    });
  await until(async () => {
    const shown = await seen();
    return shown.length > 0 && JSON.stringify(shown) === JSON.stringify(await seen());
  }, "the page to be still");
  const before = await seen();
  await bob.parlor.send(room.id, "one more");
  await page.getByRole("button", { name: /new/ }).waitFor();
  assert.deepEqual(await seen(), before);
  await page.getByRole("button", { name: /new/ }).click();
  await guest.message("one more").waitFor();
  assert.deepEqual(guest.complaints, []);
});
