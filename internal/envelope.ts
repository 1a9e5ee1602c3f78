/**
 * What calls and their outcomes look like on their way through a message
 * server: a line of JSON that says what it is, and the packed value behind it.
 */

import type { Packed } from "./codec.ts";
import type { FunctionRef } from "./protocol.ts";

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
  readonly is:
    /** It has ended: the outcome is packed behind the head. */
    | "outcome"
    /** What ran it has died. */
    | "lost"
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
}

/** What a worker makes of a call that has come to it once. */
export interface RunRef {
  readonly id: string;
  /** A number that no other run of this worker has; `HANDED` past the queue. */
  readonly run: number;
}

/** What stands for the message, and the run, of a call that was handed over: it is only once. */
export const HANDED = 0;

/** What the submitter answers. `later`: somebody else has it, as it seems. */
export type Answer = "go" | "no" | "later";

const LINE_END = 10;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A message of a head and a packed value. */
export function toBytes(head: object, body: Packed = ""): Uint8Array {
  if (typeof body === "string") {
    return encoder.encode(
      `${JSON.stringify({ ...head, text: true })}\n${body}`,
    );
  }
  if (!(body instanceof Uint8Array)) {
    throw new TypeError("buffers that go apart have no place in a message");
  }
  const line = encoder.encode(`${JSON.stringify(head)}\n`);
  const bytes = new Uint8Array(line.length + body.length);
  bytes.set(line);
  bytes.set(body, line.length);
  return bytes;
}

/**
 * The inverse of `toBytes`.
 *
 * @throws {SyntaxError} when it is no such message.
 */
export function fromBytes<H>(bytes: Uint8Array): { head: H; body: Packed } {
  const end = bytes.indexOf(LINE_END);
  if (end < 0) throw new SyntaxError("a message has no head");
  const head = JSON.parse(decoder.decode(bytes.subarray(0, end)));
  if (typeof head !== "object" || head === null) {
    throw new SyntaxError("the head of a message is no object");
  }
  const rest = bytes.subarray(end + 1);
  return {
    head,
    // V8's deserialiser wants memory of its own: views of it must be aligned.
    body: head.text ? decoder.decode(rest) : rest.slice(),
  };
}
