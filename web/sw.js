// The service worker: shows notifications that are pushed while no page is looked at, and leads to what they are about. It keeps
// nothing and stands in no request's way.

/** @typedef {{ id: string, kind: string, title: string, body: string, conversationId?: string, messageId?: string }} Pushed */

const worker = /** @type {any} */ (self);

/** Where a notification leads, in the page. @param {Pushed} pushed */
function place({ kind, conversationId, messageId }) {
  if (conversationId) return `#/chats/c/${conversationId}${messageId ? `/m/${messageId}` : ""}`;
  return kind === "new-sign-in" ? "#/settings/sessions" : "#/notices";
}

/** @param {Pushed} pushed */
async function show(pushed) {
  const pages = await worker.clients.matchAll({ type: "window", includeUncontrolled: true });
  // Whoever looks at a page sees it there.
  if (pages.some((page) => page.visibilityState === "visible")) return;
  const { id, title, body } = pushed;
  await worker.registration.showNotification(title, {
    body,
    // Pushed twice, it is shown once.
    tag: id,
    icon: "/favicon.ico",
    data: { place: place(pushed) },
  });
}

/** @param {string} hash */
async function open(hash) {
  const pages = await worker.clients.matchAll({ type: "window", includeUncontrolled: true });
  const page = pages.find(({ url }) => new URL(url).pathname === "/");
  if (!page) return worker.clients.openWindow(`/${hash}`);
  page.postMessage({ type: "open", hash });
  await page.focus();
}

worker.addEventListener("install", () => worker.skipWaiting());
worker.addEventListener("activate", (event) => event.waitUntil(worker.clients.claim()));
worker.addEventListener("push", (event) => {
  if (event.data) event.waitUntil(show(event.data.json()));
});
worker.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(open(event.notification.data?.place ?? "#/notices"));
});
