/** How each kind of follower is coloured. @param {string} kind */
export const classOf = (kind) => `kind-${["view", "reactor", "relay"].includes(kind) ? kind : "follower"}`;
