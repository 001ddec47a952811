/** What went wrong, for people. @param {unknown} error */
export function explain(error) {
  if (error instanceof TypeError) return "The server can't be reached. Try again in a moment.";
  const { errors = [], message } = /** @type {any} */ (error);
  const [first] = errors;
  return first ? `${message} (${first.pointer}: ${first.detail})` : String(message);
}
