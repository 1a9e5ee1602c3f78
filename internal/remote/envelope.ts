/**
 * What calls and their outcomes look like on their way through a message
 * server: a line of JSON that says what it is, and the packed value behind it.
 */

import { jsonOf } from "../base/own_json.ts";
import type { FunctionRef } from "../call/protocol.ts";
import type { Packed } from "../values/codec.ts";

/** Which version of this file wrote a message. Others are refused, not guessed at. */
export const PROTOCOL = 1;

/** The head of a call. */
export interface CallHead {
  readonly v: number;
  /** What its submitter calls it. */
  readonly id: string;
  /** Who has submitted it, and is asked before it starts. */
  readonly from: string;
  /** For how long the submitter may not be heard of, in milliseconds. */
  readonly lease: number;
  /** For how long the call may run, in milliseconds; by default, for ever. */
  readonly timeLimit?: number;
  /** Whether its submitter may come to stop it while it runs. */
  readonly stoppable?: true;
  /** `module` of an export is a name, never a URL: what it leads to is the worker's business. */
  readonly fn: FunctionRef;
}

/** The head of what came of a call. */
export interface ResultHead {
  readonly v: number;
  readonly id: string;
  /** Who has run it, and which of its runs that was. */
  readonly worker: string;
  readonly run: number;
  /** The number of the message that carried the call; `HANDED` past the queue. */
  readonly of: number;
  readonly is:
    /** It has ended: the outcome is packed behind the head. */
    | "outcome"
    /** What ran it has died. */
    | "lost"
    /** Its time limit has passed. */
    | "stopped"
    /** The worker may not run it, or can't. */
    | "refused";
  /** Why, where there is no outcome. */
  readonly message?: string;
}

/** Asked of the submitter before a call starts. */
export interface Claim {
  readonly v: number;
  readonly id: string;
  /** The number of the message that carried the call, and how often it was delivered. */
  readonly message: number;
  readonly delivery: number;
  /** Who asks, and what to call it in a message to people. */
  readonly worker: string;
  readonly label: string;
  /** Which of its runs it is for: the same one when it asks once more. */
  readonly run: number;
  /** How many calls it runs at once. */
  readonly slots: number;
}

/** What a worker makes of a call that has come to it once. */
export interface RunRef {
  readonly id: string;
  /** A number that no other run of this worker has; `HANDED` past the queue. */
  readonly run: number;
}

/** A worker that is there, and how many calls it runs at once. */
export interface Presence {
  readonly worker: string;
  readonly slots: number;
}

/** Has a worker end a call. */
export interface Stop extends RunRef {
  /** What the `reason` of its signal says. */
  readonly message: string;
}

/** What stands for the message, and the run, of a call that was handed over: it is only once. */
export const HANDED = 0;

/** What the submitter answers. `later`: somebody else has it, as it seems. */
export type Answer = "go" | "no" | "later";

const LINE_END = 10;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Text of bytes that came from elsewhere.
 *
 * @throws {TypeError} where they are no UTF-8.
 */
export function textOf(bytes: Uint8Array): string {
  // A decoder that throws takes many times as long: it is asked where there is doubt.
  const text = decoder.decode(bytes);
  return text.includes("\ufffd") ? strict.decode(bytes) : text;
}

/** A message of a head and a packed value. */
export function toBytes(head: object, body: Packed = ""): Uint8Array {
  if (typeof body === "string") {
    return encoder.encode(
      `${jsonOf({ ...head, text: true })}\n${body}`,
    );
  }
  if (!(body instanceof Uint8Array)) {
    throw new TypeError("buffers that go apart have no place in a message");
  }
  const line = encoder.encode(`${jsonOf(head)}\n`);
  const bytes = new Uint8Array(line.length + body.length);
  bytes.set(line);
  bytes.set(body, line.length);
  return bytes;
}

/** The packed value behind a head, which nobody has read. */
export interface Body {
  /** Whether it is JSON; if not, V8's serialiser wrote it. */
  readonly isText: boolean;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/**
 * The inverse of `toBytes`, as far as that can be told without a look at what the
 * head says: `remote/check_messages.ts` has that.
 *
 * @throws {SyntaxError} when it is no such message.
 */
export function fromBytes(bytes: Uint8Array): { head: unknown; body: Body } {
  const end = bytes.indexOf(LINE_END);
  if (end < 0) throw new SyntaxError("it has no head");
  const head: unknown = JSON.parse(textOf(bytes.subarray(0, end)));
  const isText = (head as { text?: unknown } | null)?.text === true;
  return {
    head,
    body: { isText, bytes: bytes.subarray(end + 1) as Uint8Array<ArrayBuffer> },
  };
}
