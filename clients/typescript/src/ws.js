/** @import { ClosedFrame, SocketFrame } from "./api.js" */
/** @import { Transport } from "./live.js" */
import { ParlorError } from "./problem.js";

/** Milliseconds between the client's own signs of life at most: a browser shows nobody the server's pings. */
const BEAT = 20_000;
/** Milliseconds without an answer, after which a connection is given up unless said otherwise. */
const SILENCE = 45_000;

/** What a connection is closed for that no other connection would mend, with the status that a request would have. */
const FINAL = new Map([
  ["epoch-changed", 410],
  ["invalid-cursor", 422],
  ["malformed-frame", 400],
  ["frame-too-large", 413],
]);

/**
 * Live events over a WebSocket, opened by a ticket, so that no token ever stands in a URL. It goes both ways: `typing` costs
 * a frame and no request. Where the environment has no `WebSocket` (Node before 22), `sse` does.
 *
 * @type {Transport}
 */
export async function* websocket({ parlor, cursor, signal, silence = SILENCE, sender }) {
  const { ticket } = await parlor.call("issue_ticket", { retries: 0, signal });
  signal.throwIfAborted();
  const address = new URL(`${parlor.baseUrl}/v1/ws`);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  address.searchParams.set("ticket", ticket);
  const socket = new WebSocket(address);
  /** @type {(SocketFrame | Error | undefined)[]} */
  const came = [];
  let wake = () => {};
  let heard = Date.now();
  const put = (/** @type {SocketFrame | Error | undefined} */ one) => {
    heard = Date.now();
    came.push(one);
    wake();
  };
  socket.onopen = () => {
    socket.send(JSON.stringify(cursor ? { type: "resume", cursor } : { type: "start" }));
    sender?.((frame) => socket.readyState === WebSocket.OPEN && socket.send(JSON.stringify(frame)));
  };
  socket.onmessage = ({ data }) => put(JSON.parse(data));
  socket.onclose = ({ reason }) => put(ending(reason));
  const beat = setInterval(
    () => {
      if (Date.now() - heard > silence) put(new TypeError("no sign of life"));
      else if (socket.readyState === WebSocket.OPEN) socket.send('{"type":"ping"}');
    },
    Math.min(BEAT, silence / 2),
  );
  const abort = () => put(undefined);
  signal.addEventListener("abort", abort);
  try {
    for (;;) {
      while (came.length > 0) {
        const one = came.shift();
        if (one instanceof Error) throw one;
        if (one === undefined) return;
        if (one.type !== "pong" && one.type !== "error") yield one;
        if (one.type === "closed") return;
      }
      await new Promise((resolve) => (wake = () => resolve(undefined)));
    }
  } finally {
    clearInterval(beat);
    signal.removeEventListener("abort", abort);
    sender?.(undefined);
    socket.close();
  }
}

/** Why a connection ended: a frame, an error that another connection wouldn't mend, or nobody said. @param {string} reason */
function ending(reason) {
  try {
    const frame = /** @type {ClosedFrame} */ (JSON.parse(reason));
    const status = FINAL.get(frame.code);
    if (status === undefined) return frame;
    return new ParlorError({ status, code: frame.code, detail: `the connection was closed: ${frame.code}` });
  } catch {
    return undefined;
  }
}
