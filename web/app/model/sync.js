// What happens, as it happens: the live feed, turned into what views show.

import { ParlorError, SignedOutError } from "../../../clients/typescript/src/index.js";

/** @import { MessagesRead, PresenceFrame, TypingFrame } from "../../../clients/typescript/src/api.js" */
/** @import { Frame } from "../../../clients/typescript/src/live.js" */
/** @import { App } from "../app.js" */

/** What happened, and is said again after resuming. @typedef {Exclude<Frame, { type: "caught-up" } | PresenceFrame | TypingFrame>} Happened */

/** Follows the feed until the signal ends it. @param {App} app @param {AbortSignal} signal */
export async function follow(app, signal) {
  const wake = () => app.transients.feed?.retryNow();
  addEventListener("online", wake, { signal });
  document.addEventListener("visibilitychange", wake, { signal });
  while (!signal.aborted) {
    // Whether what is shown was read while the feed was followed, so that nothing lies between.
    let complete = false;
    const feed = app.parlor.live({
      signal,
      onState: (state) => {
        app.connection = state;
        if (state === "live") app.outbox.flush();
        // Without a feed there is still something to see, and to say.
        if (state === "waiting" && !app.loaded) readAll(app, signal).catch(() => {});
        app.changed();
      },
    });
    app.transients.feed = feed;
    try {
      for await (const frame of feed) {
        // The lists are read once the feed has begun: what happens from here on comes by it, and what comes twice counts once.
        if (frame.type === "caught-up") {
          app.transients.begin();
          if (complete) continue;
          if (app.loaded) app.forgetViews();
          await readAll(app, signal);
          complete = true;
        } else if (frame.cursor === undefined) app.transients.take(frame);
        else take(app, frame);
      }
      return;
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof SignedOutError) return void app.failed(error);
      // The server was restored from a backup, or the cursor is nobody's: everything is read anew.
      const anew = error instanceof ParlorError && [410, 422].includes(error.status);
      if (!anew) await new Promise((resolve) => setTimeout(resolve, 2_000));
      app.loaded = false;
      app.forgetViews();
    }
  }
}

/** @param {App} app @param {AbortSignal} signal */
async function readAll(app, signal) {
  // Nothing else waits for notifications, which may be far behind the messages that they are about.
  void app.notices.loadInTime(signal);
  await Promise.all([app.conversations.load(), app.people.load()]);
  app.loaded = true;
  app.changed();
}

/** @param {App} app @param {Happened} frame */
function take(app, { type, at, data }) {
  const { conversations, people, notices } = app;
  switch (type) {
    case "chat.message-sent":
      app.hear(data);
      app.outbox.remove(data.id);
      if (data.deletedAt !== undefined) return;
      app.transients.said(data.conversationId, data.senderId);
      conversations.said(data);
      if (data.senderId !== app.me && app.route.conversation === data.conversationId) {
        app.announce(`${people.name(data.senderId)}: ${data.content}`);
      }
      return;
    case "chat.message-edited":
    case "chat.message-deleted": {
      app.hear(data);
      if (data.deletedAt === undefined) return conversations.edited(data);
      const conversation = conversations.get(data.conversationId);
      // What was unread or last may be so no longer.
      if (conversation && (conversation.lastMessage?.id === data.id || conversation.unreadCount > 0)) {
        soon(() => conversations.refresh(conversation.id));
      }
      return;
    }
    case "chat.messages-read":
      app.timelineAtHand(data.conversationId)?.readBy(data.userId, data.position);
      if (data.userId === app.me) readElsewhere(app, data);
      return;
    case "chat.conversation-renamed":
      return conversations.renamed(data.conversationId, data.title);
    case "chat.participant-removed":
      if (data.userId !== app.me) return peopleChanged(app, data.conversationId);
      conversations.left(data.conversationId);
      if (app.route.conversation === data.conversationId) app.go({ pane: app.route.pane });
      return;
    case "chat.participant-added":
      if (data.userId === app.me) conversations.joined(data.conversationId);
      soon(() => app.transients.meet(data.userId === app.me ? data.addedBy : data.userId));
      return peopleChanged(app, data.conversationId);
    case "chat.conversation-created":
      conversations.joined(data.conversationId);
      return peopleChanged(app, data.conversationId);
    case "chat.participant-role-changed":
      return peopleChanged(app, data.conversationId);
    case "user.profile-updated":
      people.learn({ id: data.userId, displayName: data.displayName });
      if (data.userId === app.me && people.self) {
        const { displayName, bio, avatarUrl } = data;
        people.self = { ...people.self, displayName, bio, avatarUrl };
      }
      return;
    case "user.status-changed":
      people.learn({ id: data.userId, status: data.status, statusText: data.text });
      if (data.userId === app.me && people.self)
        people.self = { ...people.self, status: data.status, statusText: data.text };
      return;
    case "user.contact-added":
      people.contacts.add(data.contactId);
      return app.changed();
    case "user.contact-removed":
      people.contacts.delete(data.contactId);
      return app.changed();
    case "notification.created":
      return notices.created(data, at);
    case "notification.read":
      return notices.wasRead(data.id);
    case "notification.all-read":
      return notices.allWereRead();
    case "notification.preferences-updated":
      return soon(() => notices.load());
  }
}

/** Others are in a conversation, or may do other things there. @param {App} app @param {string} id */
function peopleChanged(app, id) {
  soon(() => app.conversations.refresh(id));
  const timeline = app.timelineAtHand(id);
  if (timeline) soon(() => timeline.loadParticipants());
}

/** Somebody's own reading, here or on another device. @param {App} app @param {MessagesRead} data */
function readElsewhere(app, { conversationId, position }) {
  const { conversations } = app;
  conversations.read(conversationId, position);
  const conversation = conversations.get(conversationId);
  const left = conversation ? conversation.unreadCount > 0 : conversations.waits(conversationId);
  if (left) soon(() => conversations.refresh(conversationId));
}

/** The views that are asked follow the same log as the feed, a moment later. @param {() => Promise<unknown>} work */
function soon(work) {
  setTimeout(() => void work().catch(() => {}), 150);
}
