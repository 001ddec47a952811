/** How each kind of follower is coloured. @param {string} kind */
export const classOf = (kind) =>
  `kind-${["view", "reactor", "relay", "webhook", "push"].includes(kind) ? kind : "follower"}`;
