/** Bytes in pieces. */

/** Several pieces as one. */
export function joined(
  ...parts: readonly Uint8Array[]
): Uint8Array<ArrayBuffer> {
  let length = 0;
  for (const part of parts) length += part.length;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/**
 * Small pieces as one, in their order; a large one stays by itself, so that it is
 * not copied for the sake of one write less.
 *
 * @param large From how many bytes on a piece is large.
 */
export function together(
  pieces: readonly Uint8Array[],
  large: number,
): Uint8Array[] {
  const all: Uint8Array[] = [];
  let small: Uint8Array[] = [];
  const add = () => {
    if (small.length === 1) all.push(small[0]);
    else if (small.length > 1) all.push(joined(...small));
    small = [];
  };
  for (const piece of pieces) {
    if (piece.length < large) {
      small.push(piece);
    } else {
      add();
      all.push(piece);
    }
  }
  add();
  return all;
}
