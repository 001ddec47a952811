// Writes the pictures in docs/web: `npm run screenshots`. Each is to be looked at before it is committed.

import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { House, until } from "./browser.js";

const BINARY = process.env.PARLOR_BIN ?? fileURLToPath(new URL("../../target/debug/parlor", import.meta.url));
const FOLDER = fileURLToPath(new URL("../../docs/web/", import.meta.url));

const house = await House.open();
await mkdir(FOLDER, { recursive: true });
const [ada, bruno, chiara, dmitri, emi, farid] = /** @type {Awaited<ReturnType<House["account"]>>[]} */ (
  await house.accounts("Ada Okafor", "Bruno Salgado", "Chiara Neri", "Dmitri Volkov", "Emi Tanaka", "Farid Haddad")
);
if (!ada || !bruno || !chiara || !dmitri || !emi || !farid) throw new Error("six people were invited");

await bruno.parlor.call("change_user_status", { body: { status: "online", text: "Back at four" } });
await chiara.parlor.call("change_user_status", { body: { status: "busy", text: "Deep in the archive" } });
await emi.parlor.call("change_user_status", { body: { status: "away" } });
await ada.parlor.call("change_user_status", { body: { status: "online", text: "At my desk" } });
for (const { userId } of [bruno, chiara, emi, farid]) await ada.parlor.call("add_user_contact", { path: { userId } });
const others = [bruno, chiara, dmitri, emi].map(({ userId }) => userId);
const room = await house.conversation(ada.parlor, {
  kind: "group",
  title: "Spring exhibition",
  participants: others,
  history: "all",
});
/** @param {{ parlor: import("../../clients/typescript/src/index.js").Parlor }} who @param {string} text @param {string} [replyTo] */
const say = (who, text, replyTo) => who.parlor.send(room.id, text, { replyTo });
await say(
  chiara,
  "I’ve been through the loan list twice. Eleven pieces are confirmed, three still wait for a signature.",
);
await say(ada, "Thursdays only?");
const posters = await say(
  bruno,
  "Posters: I can have proofs on Monday. Two colours, pine and brass, on the heavy stock.",
);
await say(ada, "Lovely. Could you bring one to the meeting?", posters.id);
await say(bruno, "Of course 👍");
await say(emi, "カタログの翻訳は水曜日に終わります。");
await say(dmitri, "Прекрасно, тогда я забронирую зал на пятницу.");
const list = await say(ada, "Perfect. The list is at https://example.org/exhibition/spring");
for (const who of [ada, bruno, chiara]) {
  await who.parlor.call("mark_messages_as_read", { path: { id: room.id }, body: { upTo: list.id } });
}
for (const [who, texts] of /** @type {const} */ ([
  [bruno, ["Come by, the press is warm."]],
  [farid, ["The lamps arrived.", "Where do you want them?"]],
])) {
  const direct = await house.conversation(who.parlor, { kind: "direct", participants: [ada.userId] });
  for (const text of texts) await who.parlor.send(direct.id, text);
}
await say(chiara, "@Ada Okafor shall we say 100 chairs to be safe?");
await until(async () => (await ada.parlor.call("get_unread_notifications_count", {})).count >= 3, "the notifications");

for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
  for (const [shape, viewport] of Object.entries({
    wide: { width: 1200, height: 760 },
    narrow: { width: 390, height: 780 },
  })) {
    /** @param {import("./browser.js").Guest} guest @param {string} name */
    const picture = async ({ page }, name) => {
      await page.evaluate(() =>
        Promise.all([document.fonts.ready, ...document.getAnimations().map((one) => one.finished.catch(() => {}))]),
      );
      await page.screenshot({ path: `${FOLDER}${name}-${shape}-${colorScheme}.png` });
    };
    const door = await house.guest({ colorScheme, viewport });
    await door.page.getByRole("heading", { name: "Welcome" }).waitFor();
    if (shape === "wide" && colorScheme === "light") await picture(door, "sign-in");
    const guest = await house.signedIn(ada, { colorScheme, viewport });
    await guest.page.locator(".rows .row").nth(2).waitFor();
    if (shape === "narrow") await picture(guest, "chats");
    await guest.open("Spring exhibition");
    await guest.message("Of course 👍").waitFor();
    await guest.page.getByText("Read by").waitFor();
    await guest.page.mouse.move(0, 0);
    await picture(guest, "conversation");
    await guest.context.close();
  }
}

// The console, while things happen.
await promisify(execFile)(BINARY, ["user", "promote", ada.email], { env: house.server.env });
await ada.parlor.signIn({ email: ada.email, password: "a long enough phrase" });
const talking = new AbortController();
const talk = (async () => {
  for (let n = 0; !talking.signal.aborted; n += 1) {
    const who = [ada, bruno, chiara, emi][n % 4] ?? ada;
    await say(who, n % 9 === 4 ? "@Dmitri Volkov is the hall free on Friday?" : `Piece no. ${n + 1} is hung.`);
    await new Promise((resolve) => setTimeout(resolve, 60 + 50 * (1 + Math.sin(n / 25))));
  }
})();
for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
  const guest = await house.guest({ colorScheme, viewport: { width: 1280, height: 1180 } });
  const { page } = guest;
  await page.goto(`${house.server.url}/console`);
  await page.getByLabel("E-mail").fill(ada.email);
  await page.getByLabel("Password").fill("a long enough phrase");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.locator(".map").waitFor();
  // Long enough for the lines of the last minute to have a shape.
  await new Promise((resolve) => setTimeout(resolve, 30_000));
  await page.screenshot({ path: `${FOLDER}console-overview-wide-${colorScheme}.png` });
  await page.setViewportSize({ width: 1280, height: 760 });
  /** @param {string} hash @param {string} selector */
  const go = async (hash, selector) => {
    await page.evaluate((to) => void (location.hash = to), hash);
    await page.locator(selector).first().waitFor();
  };
  await go("#/events?service=notification&type=notification.created", ".event");
  await page.locator(".event a.button").first().click();
  await page.locator(".way-card.is-notification").waitFor();
  await page.waitForTimeout(1_500);
  await page.screenshot({ path: `${FOLDER}console-way-wide-${colorScheme}.png` });
  await go("#/views", ".handler");
  await page.getByRole("button", { name: "Rebuild timeline" }).click();
  await page.getByText(/^Made anew/).waitFor();
  if (colorScheme === "light") await page.screenshot({ path: `${FOLDER}console-views-wide-light.png` });
  await page.setViewportSize({ width: 390, height: 780 });
  await go("#/overview", ".tile .figure");
  await page.screenshot({ path: `${FOLDER}console-overview-narrow-${colorScheme}.png` });
  await guest.context.close();
}
talking.abort();
await talk;
await house.close();
