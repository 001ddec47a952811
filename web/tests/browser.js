// People in real browsers, each with a profile of their own, before a real server.

import { readFile } from "node:fs/promises";
import { chromium } from "playwright-core";
import { Parlor } from "../../clients/typescript/src/index.js";
import { Server, until } from "../../clients/typescript/test/server.js";

export { until };

const AXE = new URL("node_modules/axe-core/axe.min.js", import.meta.url);
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const PASSWORD = "a long enough phrase";

/** A server and a browser for the tests of one file. */
export class House {
  /** @param {Server} server @param {import("playwright-core").Browser} browser */
  constructor(server, browser) {
    this.server = server;
    this.browser = browser;
    /** @type {Guest[]} */
    this.guests = [];
  }

  /** @param {Record<string, string>} [settings] the server's, as environment variables */
  static async open(settings) {
    const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
    const [server, browser] = await Promise.all([
      Server.start(settings),
      chromium.launch({ executablePath, args: FLAGS }),
    ]);
    return new House(server, browser);
  }

  async close() {
    await this.browser.close();
    await this.server.end();
  }

  /** An account, and a client that is signed in to it. @param {string} displayName */
  async account(displayName) {
    const email = `${crypto.randomUUID()}@example.org`;
    const parlor = new Parlor({ baseUrl: this.server.url, retries: 20 });
    await parlor.register({ email, password: PASSWORD, displayName });
    const { userId } = await parlor.signIn({ email, password: PASSWORD });
    return { email, parlor, userId, displayName };
  }

  /** Accounts that chat knows of, so that conversations can be begun. @param {string[]} names */
  async accounts(...names) {
    const made = [];
    for (const name of names) made.push(await this.account(name));
    const [first] = made;
    if (first) {
      await until(async () => {
        const known = await Promise.all(
          made.map(({ userId }) => first.parlor.call("get_user_by_id", { path: { id: userId } }).catch(() => false)),
        );
        return known.every(Boolean);
      }, "the accounts to be known");
    }
    return made;
  }

  /** A conversation, begun once chat knows all who are to be in it. @param {Parlor} parlor @param {import("../../clients/typescript/src/api.js").CreateConversationBody} body */
  async conversation(parlor, body) {
    return until(
      () =>
        parlor.call("create_conversation", { body }).catch((error) => {
          if (error.code === "unknown-participant") return undefined;
          throw error;
        }),
      "the conversation",
    );
  }

  /** Somebody with a browser before the sign-in. @param {import("playwright-core").BrowserContextOptions} [options] */
  async guest(options = {}) {
    const context = await this.browser.newContext({
      locale: "en-GB",
      viewport: { width: 1200, height: 800 },
      ...options,
    });
    const guest = new Guest(this, context, await context.newPage());
    this.guests.push(guest);
    await guest.page.goto(this.server.url);
    return guest;
  }

  /** Somebody who is signed in. @param {{ email: string }} account @param {import("playwright-core").BrowserContextOptions} [options] */
  async signedIn({ email }, options) {
    const guest = await this.guest(options);
    await guest.page.getByLabel("E-mail").fill(email);
    await guest.page.getByLabel("Password").fill(PASSWORD);
    await guest.page.getByRole("button", { name: "Sign in" }).click();
    await guest.page.getByRole("heading", { name: "Chats" }).waitFor();
    return guest;
  }
}

export class Guest {
  /** What went wrong in the page. @type {string[]} */
  complaints = [];
  /** All that was asked for. @type {string[]} */
  urls = [];

  /** @param {House} house @param {import("playwright-core").BrowserContext} context @param {import("playwright-core").Page} page */
  constructor(house, context, page) {
    this.house = house;
    this.context = context;
    this.page = page;
    page.on("console", (message) => {
      const text = message.text();
      if (/Content.Security.Policy|TrustedHTML|violates/i.test(text)) this.complaints.push(text);
    });
    page.on("pageerror", (error) => this.complaints.push(String(error.stack)));
    page.on("dialog", (dialog) => {
      this.complaints.push(`a dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on("request", (request) => this.urls.push(request.url()));
  }

  /** Opens a conversation of the list. @param {string} name */
  async open(name) {
    await this.page
      .locator(".rows")
      .getByRole("link", { name: new RegExp(escape(name)) })
      .first()
      .click();
    await this.composer.waitFor();
  }

  get composer() {
    return this.page.locator(".composer textarea");
  }

  /** @param {string} text */
  async say(text) {
    await this.composer.fill(text);
    await this.composer.press("Enter");
  }

  /** A message in the page. @param {string} text */
  message(text) {
    return this.page.locator("article", {
      has: this.page.locator(".content", { hasText: new RegExp(`^${escape(text)}$`) }),
    });
  }

  /** Everything that is said in the page now, the oldest first. */
  said() {
    return this.page.locator(".message .content").allTextContents();
  }

  /** What axe finds wrong. */
  async axe() {
    // Motion is waited out: what is half there has half its contrast.
    await this.page.evaluate(() =>
      Promise.all(
        document
          .getAnimations()
          .filter((one) => one.effect?.getTiming().iterations !== Infinity)
          .map((one) => one.finished.catch(() => {})),
      ),
    );
    await this.page.evaluate(await readFile(AXE, "utf8"));
    const found = await this.page.evaluate(() =>
      /** @type {any} */ (globalThis).axe.run(document, {
        runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
      }),
    );
    return found.violations.map(
      (/** @type {any} */ one) =>
        `${one.id}: ${one.nodes.map((/** @type {any} */ node) => `${node.html} (${node.any[0]?.message ?? node.all[0]?.message ?? ""})`).join("; ")}`,
    );
  }
}

/** @param {string} text */
const escape = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
