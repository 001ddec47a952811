// Parlor's client library: everything that it offers.

export { Parlor } from "./client.js";
export { LiveFeed } from "./live.js";
export { operations } from "./operations.js";
export { ParlorError, SignedOutError, isUnanswered } from "./problem.js";
export { Session, memoryStore } from "./session.js";
export { sse } from "./sse.js";
export { derivedId, newId } from "./uuid.js";
export { websocket } from "./ws.js";
