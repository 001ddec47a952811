// UUIDs as Parlor makes them: version 7, ordered by time (RFC 9562 §5.7).

/** @param {Uint8Array} bytes 16 of them; version and variant are set here */
function format(bytes) {
  bytes[6] = (Number(bytes[6]) & 0x0f) | 0x70;
  bytes[8] = (Number(bytes[8]) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/**
 * A new id: for a message, say, that may have to be sent more than once.
 *
 * @param {number} [now] milliseconds since 1970
 */
export function newId(now = Date.now()) {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  for (let at = 5, rest = now; at >= 0; at -= 1, rest = Math.floor(rest / 256)) bytes[at] = rest % 256;
  return format(bytes);
}

/**
 * An id that always is the same for the same two arguments, and as old as `id`: of the one message that answers another,
 * however often the answer is sent.
 *
 * @param {string} id a UUID of version 7
 * @param {string} purpose tells apart what is derived from one id
 */
export async function derivedId(id, purpose) {
  const text = new TextEncoder().encode(`${id} ${purpose}`);
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", text)).slice(0, 16);
  const time = id.replaceAll("-", "").slice(0, 12);
  for (let at = 0; at < 6; at += 1) bytes[at] = Number.parseInt(time.slice(2 * at, 2 * at + 2), 16);
  return format(bytes);
}
