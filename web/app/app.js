// The application: what is known, and how it comes to be known. Views show it and ask it to act.

import { Conversations } from "./model/conversations.js";
import { Heard } from "./model/heard.js";
import { Notices } from "./model/notices.js";
import { Outbox } from "./model/outbox.js";
import { People } from "./model/people.js";
import { Push } from "./model/push.js";
import { follow } from "./model/sync.js";
import { Timeline } from "./model/timeline.js";
import { Transients } from "./model/transients.js";
import { Page } from "./page.js";
import { address, parse } from "./router.js";

/** How many conversations' messages are kept at hand. */
const TIMELINES = 12;

export class App extends Page {
  /** @type {Map<string, Timeline>} */
  #timelines = new Map();
  #session = new AbortController();

  people = new People(this);
  conversations = new Conversations(this);
  heard = new Heard();
  notices = new Notices(this);
  outbox = new Outbox(this);
  transients = new Transients(this);
  push = new Push(this);

  constructor() {
    super();
    this.route = parse(location.hash);
    /** @type {"connecting" | "live" | "waiting" | "ended"} */
    this.connection = "connecting";
    /** Whether the lists have been read once. */
    this.loaded = false;
    addEventListener("hashchange", () => {
      this.route = parse(location.hash);
      this.changed();
    });
  }

  /** Knows nothing of anybody. */
  #reset() {
    this.people = new People(this);
    this.conversations = new Conversations(this);
    this.heard = new Heard();
    this.notices = new Notices(this);
    this.outbox = new Outbox(this);
    this.transients = new Transients(this);
    this.#timelines.clear();
    this.loaded = false;
  }

  /** @param {string | undefined} me */
  begin(me) {
    this.#session.abort();
    this.#session = new AbortController();
    this.#reset();
    super.begin(me);
    this.changed();
    if (!this.me) return;
    this.outbox.load(this.me, this.#session.signal);
    this.push.listen(this.#session.signal);
    this.push.load().catch(() => {});
    void follow(this, this.#session.signal);
  }

  /** @param {boolean} [everywhere] */
  async signOut(everywhere = false) {
    this.#session.abort();
    await this.push.turnOff().catch(() => {});
    await this.parlor.signOut(everywhere).catch(() => {});
    this.go({ pane: "chats" });
    await this.start();
  }

  /** The messages of a conversation. @param {string} id */
  timeline(id) {
    let timeline = this.#timelines.get(id);
    if (timeline) this.#timelines.delete(id);
    else timeline = new Timeline(this, id);
    // Newest use last: the one that wasn't used for longest goes first.
    this.#timelines.set(id, timeline);
    if (this.#timelines.size > TIMELINES) this.#timelines.delete([...this.#timelines.keys()][0] ?? "");
    return timeline;
  }

  /** The messages of a conversation, if they are at hand. @param {string} id */
  timelineAtHand(id) {
    return this.#timelines.get(id);
  }

  /** What the feed tells of a message that was sent, edited or deleted. @param {import("./model/timeline.js").Message & { conversationId: string }} message */
  hear(message) {
    this.heard.take(message);
    const timeline = this.#timelines.get(message.conversationId);
    if (timeline?.get(message.id)) timeline.replace(message);
    else if (!message.deletedAt) timeline?.insert(message);
  }

  /** Reads everything anew. */
  forgetViews() {
    this.heard = new Heard();
    this.conversations.forgetHeard();
    this.#timelines.clear();
    this.changed();
  }

  /** @param {import("./router.js").Route} route */
  go(route) {
    const to = address(route);
    if (location.hash === to) return;
    location.hash = to;
  }
}
