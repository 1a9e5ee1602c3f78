/**
 * What is too large for a message: stored in pieces, each a message of a stream of
 * its own, with the subject `<prefix>.<name>.<index>`. A message refers to it by
 * `<name>.<count>`.
 *
 * The stream keeps the last message of each subject: an empty one takes the place
 * of a piece that nobody needs any more, so that to remove what one has stored
 * takes no more rights than to store it.
 */

import { joined } from "../base/bytes.ts";
import type { JetStream } from "./api.ts";
import type { Msg } from "./protocol.ts";

/** How a server is spoken to. */
export interface ObjectsAccess {
  /** Has a message stored, however often that has to be tried. */
  store(subject: string, bytes: Uint8Array): Promise<unknown>;
  /** Publishes an empty message, without a look whether it comes. */
  publish(subject: string): void;
  /** Does something until it succeeds, or fails for another reason than the connection. */
  persistently<R>(attempt: () => Promise<R>): Promise<R>;
}

/** How large a piece is at most, in bytes. */
const PIECE = 512 * 1024;
/** How many pieces are on their way at once. */
const AT_ONCE = 8;
/** How many pieces there may be: what says it has more is no reference. */
const MOST_PIECES = 1_000_000;

/** The large things of a queue. */
export class Objects {
  readonly #streams: JetStream;
  readonly #stream: string;
  readonly #prefix: string;
  readonly #access: ObjectsAccess;

  constructor(
    streams: JetStream,
    stream: string,
    prefix: string,
    access: ObjectsAccess,
  ) {
    this.#streams = streams;
    this.#stream = stream;
    this.#prefix = prefix;
    this.#access = access;
  }

  /**
   * Stores something, in messages of so many bytes at most.
   *
   * @returns What refers to it.
   */
  async put(bytes: Uint8Array, limit: number): Promise<string> {
    const name = crypto.randomUUID().replaceAll("-", "");
    const size = Math.min(PIECE, limit);
    const count = Math.ceil(bytes.length / size);
    await each(count, async (i) => {
      await this.#access.store(
        `${this.#prefix}.${name}.${i}`,
        bytes.subarray(i * size, (i + 1) * size),
      );
    });
    return `${name}.${count}`;
  }

  /** What a reference leads to; `undefined` where it is not there, or no reference. */
  async get(reference: string): Promise<Uint8Array | undefined> {
    const found = read(reference);
    if (!found) return undefined;
    const pieces: Uint8Array[] = [];
    let isThere = true;
    await each(found.count, async (i) => {
      if (!isThere) return;
      const piece = await this.#access.persistently<Msg | undefined>(() =>
        this.#streams.lastMessage(
          this.#stream,
          `${this.#prefix}.${found.name}.${i}`,
        )
      );
      if (piece && piece.data.length > 0) pieces[i] = piece.data;
      else isThere = false;
    });
    return isThere ? joined(...pieces) : undefined;
  }

  /** Removes what a reference leads to. What is not there is no matter: its age ends it. */
  remove(reference: string): void {
    const found = read(reference);
    for (let i = 0; i < (found?.count ?? 0); i++) {
      this.#access.publish(`${this.#prefix}.${found!.name}.${i}`);
    }
  }
}

function read(
  reference: string,
): { name: string; count: number } | undefined {
  const [, name, count] = /^([\da-f]{32})\.(\d{1,7})$/.exec(reference) ?? [];
  const number = Number(count);
  const isGood = number > 0 && number <= MOST_PIECES;
  return isGood ? { name, count: number } : undefined;
}

/** Does something for each index, for some at a time. */
async function each(
  count: number,
  act: (i: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const work = async () => {
    while (next < count) await act(next++);
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, count) }, work));
}
