// Notifications outside of the page: pushed to the browser, or shown by the page while it is in the background.

/** The address of the service worker: at the root, so that it is responsible for all pages. */
const WORKER = "/sw.js";
/** Who switched it on in this browser. */
const KEY = "parlor.push";

/** The one script that may be run as a worker; made at once, so that nobody else makes a policy of this name. */
const policy = /** @type {any} */ (globalThis).trustedTypes?.createPolicy("worker", {
  createScriptURL: () => WORKER,
});

/** Whether this browser can be pushed to. Outside of https (and this machine) it can't. */
const POSSIBLE = "serviceWorker" in navigator && "PushManager" in globalThis && "Notification" in globalThis;

export class Push {
  /** @param {import("../app.js").App} app */
  constructor(app) {
    this.app = app;
    /** @type {"impossible" | "denied" | "off" | "on"} */
    this.state = POSSIBLE ? "off" : "impossible";
  }

  /** The worker asked for something, once a page listens. @param {AbortSignal} signal */
  listen(signal) {
    if (!POSSIBLE) return;
    const open = ({ data }) => {
      if (data?.type === "open" && String(data.hash).startsWith("#/")) location.hash = data.hash;
    };
    navigator.serviceWorker.addEventListener("message", open, { signal });
  }

  /** Learns how it is, and tells the server of this browser again, for it forgets browsers with their sessions. */
  async load() {
    if (!POSSIBLE) return;
    if (Notification.permission === "denied") this.#is("denied");
    else if (Notification.permission === "granted" && localStorage.getItem(KEY) === this.app.me) {
      const subscription = await (await navigator.serviceWorker.getRegistration("/"))?.pushManager.getSubscription();
      if (subscription) await this.#tell(subscription);
      this.#is(subscription ? "on" : "off");
    } else this.#is("off");
  }

  /** Asks for permission and has notifications pushed. */
  async turnOn() {
    const permission = await Notification.requestPermission();
    if (permission !== "granted") return this.#is(permission === "denied" ? "denied" : "off");
    await navigator.serviceWorker.register(policy?.createScriptURL(WORKER) ?? WORKER, { updateViaCache: "none" });
    const { pushManager } = await navigator.serviceWorker.ready;
    const { publicKey } = await this.app.parlor.call("get_push_key", {});
    // A subscription is bound to a key: one from before the server had another is of no use.
    await (await pushManager.getSubscription())?.unsubscribe();
    await this.#tell(await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: publicKey }));
    localStorage.setItem(KEY, this.app.me ?? "");
    this.#is("on");
  }

  async turnOff() {
    localStorage.removeItem(KEY);
    if (!POSSIBLE) return;
    const subscription = await (await navigator.serviceWorker.getRegistration("/"))?.pushManager.getSubscription();
    // The push service says to the server that it is over.
    await subscription?.unsubscribe();
    if (this.state === "on") this.#is("off");
  }

  /** Shows something that the feed told of, if nobody looks and it isn't pushed. @param {import("../../../clients/typescript/src/api.js").NotificationCreated} notice */
  show({ id, title, body, conversationId, messageId }) {
    if (!POSSIBLE || this.state === "on" || !document.hidden || Notification.permission !== "granted") return;
    if (localStorage.getItem(KEY) !== this.app.me) return;
    const shown = new Notification(title, { body, tag: id, icon: "/favicon.ico" });
    shown.onclick = () => {
      shown.close();
      focus();
      if (conversationId) this.app.go({ pane: "chats", conversation: conversationId, message: messageId ?? undefined });
      else this.app.go({ pane: "notices" });
    };
  }

  /** @param {PushSubscription} subscription */
  async #tell(subscription) {
    const { endpoint = "", keys } = subscription.toJSON();
    const { p256dh = "", auth = "" } = keys ?? {};
    await this.app.parlor.call("subscribe_to_push", { body: { endpoint, keys: { p256dh, auth } } });
  }

  /** @param {Push["state"]} state */
  #is(state) {
    this.state = state;
    this.app.changed();
  }
}
