// Items 19 and 40 of what must be proven: no tokens in addresses; a strict policy, and all content as text.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { House, until } from "./browser.js";

const house = await House.open();
after(() => house.close());

const HOSTILE = [
  "<img src=x onerror=alert(1)>",
  "<script>alert(1)</script>",
  '"><svg onload=alert(1)>',
  "javascript:alert(1)",
  "{{constructor.constructor('alert(1)')()}}",
  "${alert(1)}",
  "\u202Etxt.exe\u202C and back",
  '<a href="javascript:alert(1)">x</a>',
  'https://example.org/"onmouseover=alert(1)//',
];

test("security 40: hostile names, titles and messages stay text on every screen, and no policy is violated", async () => {
  const [name = "", title = ""] = HOSTILE;
  const [ada, eve] = await house.accounts("Ada", name);
  await eve.parlor.call("update_user_profile", {
    body: { bio: HOSTILE.filter((text) => !text.includes("\u202E")).join("\n") },
  });
  await eve.parlor.call("change_user_status", { body: { status: "online", text: title } });
  const room = await house.conversation(eve.parlor, { kind: "group", title, participants: [ada.userId] });
  const sent = [];
  for (const text of HOSTILE) sent.push(await eve.parlor.send(room.id, text));
  await eve.parlor.send(room.id, `@Ada ${name}`, { replyTo: sent[0]?.id });

  const guest = await house.signedIn(ada);
  const { page } = guest;
  await page.evaluate(() => {
    /** @type {any} */ (globalThis).violations = [];
    document.addEventListener("securitypolicyviolation", (event) =>
      /** @type {any} */ (globalThis).violations.push(event.violatedDirective),
    );
  });
  await guest.open(title);
  await until(async () => (await guest.said()).length === HOSTILE.length + 1, "the messages");
  assert.deepEqual((await guest.said()).slice(0, HOSTILE.length), HOSTILE);
  await page.getByRole("button", { name: "Details" }).click();
  await page.getByRole("dialog").getByText(name).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("link", { name: "People" }).click();
  await page.getByRole("searchbox").fill("img src");
  await page.locator(".rows a").click();
  await page.locator(".profile h1", { hasText: name }).waitFor();
  await page.getByRole("link", { name: "Search", exact: true }).first().click();
  await page.getByRole("searchbox", { name: "Search messages" }).fill("alert");
  await page.locator("mark").first().waitFor();
  await page
    .getByRole("link", { name: /Notifications/ })
    .first()
    .click();
  await page.getByText(`@Ada ${name}`).first().waitFor();

  // Nothing of it became an element: no picture, script or handler, and links lead to the web only.
  const made = await page.evaluate(() => ({
    foreign: document.querySelectorAll(
      "img, iframe, object, embed, script:not([src]), [onerror], [onload], [onmouseover]",
    ).length,
    links: [...document.querySelectorAll("a")]
      .map((one) => one.protocol)
      .filter((one) => !["http:", "https:"].includes(one)),
    violations: /** @type {any} */ (globalThis).violations,
  }));
  assert.deepEqual(made, { foreign: 0, links: [], violations: [] });
  assert.deepEqual(guest.complaints, []);
});

test("security 40: what a script that got in would do is refused", async () => {
  const guest = await house.guest();
  const outcome = await guest.page.evaluate(async () => {
    const tried = /** @type {Record<string, boolean>} */ ({});
    const attempt = (/** @type {string} */ name, /** @type {() => void} */ work) => {
      try {
        work();
        tried[name] = true;
      } catch {
        tried[name] = false;
      }
    };
    attempt("markup", () => void (document.createElement("div").innerHTML = "<b>x</b>"));
    const script = document.createElement("script");
    attempt("script", () => void (script.text = "globalThis.pwned = true"));
    tried.elsewhere = await fetch("https://example.org/").then(
      () => true,
      () => false,
    );
    const picture = new Image();
    tried.picture = await new Promise((resolve) => {
      picture.onload = () => resolve(true);
      picture.onerror = () => resolve(false);
      picture.src = "https://example.org/x.png";
    });
    return tried;
  });
  assert.deepEqual(outcome, { markup: false, script: false, elsewhere: false, picture: false });
});

test("security 19: no token is ever part of an address, and nothing is kept in cookies", async () => {
  const [ada, bob] = await house.accounts("Ada Addresses", "Bob Addresses");
  const room = await house.conversation(ada.parlor, { kind: "direct", participants: [bob.userId] });
  await bob.parlor.send(room.id, "hello");
  const guest = await house.signedIn(ada);
  await guest.open("Bob Addresses");
  await guest.say("hello");
  await guest.message("hello").last().waitFor();
  const kept = await guest.page.evaluate(() => JSON.parse(localStorage.getItem("parlor.session") ?? "{}"));
  assert.ok(kept.accessToken && kept.refreshToken);
  assert.ok(guest.urls.some((url) => url.endsWith("/v1/stream")));
  for (const url of [...guest.urls, guest.page.url()]) {
    assert.ok(
      !url.includes(kept.accessToken) && !url.includes(kept.refreshToken) && !/[?&#][^/]*(token|ticket|key)/i.test(url),
      url,
    );
    assert.ok(url.startsWith(house.server.url), `${url} is elsewhere`);
  }
  assert.deepEqual(await guest.context.cookies(), []);
});
