/**
 * The doors for what comes over a network that others can reach: each message is
 * parsed here, and each of its fields is checked for its shape, range and size,
 * before anything else sees it.
 *
 * A door gives a value of its type made of checked fields and of nothing else that
 * was in the message, or throws `Malformed`; whoever stands behind the door passes
 * over that message, or answers for it, and goes on. What was written here and is
 * read here has its two halves in `remote/envelope.ts`.
 *
 * A call is the only message that somebody waits for who may be no more than
 * mistaken. So one that says whose it is, and cannot be run, is told apart from one
 * that says nothing: its submitter gets to hear why.
 */

import type {
  ClosureRef,
  Find,
  FunctionRef,
  Outcome,
} from "../call/protocol.ts";
import { isThrown } from "../call/revive_error.ts";
import type { Codec, Packed } from "../values/codec.ts";
import {
  type Answer,
  type Body,
  type CallHead,
  type Claim,
  fromBytes,
  type Presence,
  PROTOCOL,
  type ResultHead,
  type RunRef,
  type Stop,
  textOf as bytesText,
} from "./envelope.ts";

/** A message that is none of its kind: it is refused alone. */
export class Malformed extends Error {
  override readonly name = "Malformed";
}

/** A call as it came. */
export interface WireCall {
  readonly head: CallHead;
  readonly body: Body;
}

/** A call that can't be run, and that says who waits for it. */
export interface RefusedCall {
  readonly from: string;
  readonly id: string;
  /** What is wrong with it; follows the name of the worker that says so. */
  readonly why: string;
}

/** What came of a call, as it came. */
export interface WireResult {
  readonly head: ResultHead;
  readonly body: Body;
}

/** What a submitter asks a worker: which of these runs it has, or to end one. */
export interface Question {
  readonly from: string;
  readonly runs: readonly RunRef[];
  readonly stop?: Stop;
}

/** How many claims may come together. */
export const MOST_CLAIMS = 256;
/** How many calls a worker may say that it runs at once. */
const MOST_SLOTS = 65_536;
/** How many runs may be asked for at once. */
const MOST_RUNS = 65_536;
/** How long an id, or the name that a program goes by, may be. */
const LONGEST_NAME = 64;
/** How long a text may be that is shown to people. */
const LONGEST_TEXT = 65_536;
/** How many steps there may be from `globalThis` to a built-in. */
const LONGEST_PATH = 16;

// ---- Calls -----------------------------------------------------------------------

/**
 * Reads a call.
 *
 * @param sender Who has sent it, where the server tells.
 * @throws {Malformed} where it does not say whose it is.
 */
export function readCall(
  bytes: Uint8Array,
  sender?: string,
): WireCall | RefusedCall {
  const { head, body } = parts(bytes);
  const from = nameIn(head, "from");
  const id = nameIn(head, "id");
  if (sender !== undefined && from !== sender) {
    throw new Malformed(`it is from ${shown(from)}, and was sent by ${sender}`);
  }
  const { v, timeLimit } = head;
  if (v !== PROTOCOL) {
    const why =
      `speaks version ${PROTOCOL} of the protocol, and was sent version ${
        shown(v)
      }: run the same version of @concurrent/futures on both sides`;
    return { from, id, why };
  }
  try {
    const lease = numberIn(head, "lease", 0, Number.MAX_VALUE);
    const plain = { v, id, from, lease, fn: functionOf(head.fn) };
    if (timeLimit === undefined && !head.stoppable) {
      return { head: plain, body };
    }
    return {
      head: {
        ...plain,
        ...(timeLimit !== undefined && {
          timeLimit: numberIn(head, "timeLimit", Number.MIN_VALUE, Infinity),
        }),
        ...(head.stoppable === true && { stoppable: true }),
      },
      body,
    };
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    return { from, id, why: `can't read the call: ${error.message}` };
  }
}

function functionOf(value: unknown): FunctionRef {
  const fn = recordOf(value, "fn");
  const name = textIn(fn, "name");
  switch (fn.by) {
    case "export":
      return { by: "export", name, module: textIn(fn, "module") };
    case "source":
      return {
        by: "source",
        name,
        source: textIn(fn, "source", Infinity),
        ...(fn.isSloppy === true && { isSloppy: true }),
        ...(fn.hint !== undefined && { hint: textIn(fn, "hint") }),
        ...(fn.exportedOnly === true && { exportedOnly: true }),
      };
    case "name":
      return {
        by: "name",
        name,
        path: listOf(fn.path, "path", textOf, LONGEST_PATH),
        source: textIn(fn, "source", Infinity),
      };
    case "closure":
      return closureOf(fn, name);
  }
  throw wrong("fn.by", "a way to find a function", fn.by);
}

function closureOf(fn: Fields, name: string): ClosureRef {
  return {
    by: "closure",
    name,
    source: textIn(fn, "source", Infinity),
    code: textIn(fn, "code", Infinity),
    finds: listOf(fn.finds, "finds", findOf),
    modules: listOf(fn.modules, "modules", textOf),
    readsOnly: fn.readsOnly === true,
    ...(fn.exportedOnly === true && { exportedOnly: true }),
  };
}

function findOf(value: unknown, name: string): Find {
  const find = recordOf(value, name);
  return find.path === undefined
    ? {
      module: textIn(find, "module"),
      name: textIn(find, "name"),
      ...(find.url !== undefined && { url: textIn(find, "url") }),
    }
    : { path: listOf(find.path, `${name}.path`, textOf, LONGEST_PATH) };
}

/**
 * The packed value behind a head, as text or memory of its own.
 *
 * @throws {Malformed} where text is none.
 */
export function unpacked({ isText, bytes }: Body): Packed {
  // V8's deserialiser wants memory of its own: views of it must be aligned.
  if (!isText) return bytes.slice();
  try {
    return bytesText(bytes);
  } catch {
    throw new Malformed("it is no UTF-8");
  }
}

/**
 * Reads arguments, where no child does.
 *
 * @throws {Malformed} where they are none.
 */
export function readArguments(codec: Codec, body: Body): unknown[] {
  const args = decoded(codec, body);
  if (Array.isArray(args)) return args;
  throw new Malformed("they are no array");
}

function decoded(codec: Codec, body: Body): unknown {
  const packed = unpacked(body);
  try {
    return codec.decode(packed);
  } catch (error) {
    throw new Malformed(`${error}`);
  }
}

// ---- What comes of them ----------------------------------------------------------

/** @throws {Malformed} where it is no word of a worker about a call. */
export function readResult(bytes: Uint8Array): WireResult {
  const { head: fields, body } = parts(bytes);
  const { is } = fields;
  if (
    is !== "outcome" && is !== "lost" && is !== "refused" && is !== "stopped"
  ) {
    throw wrong("is", "what came of a call", is);
  }
  const head: ResultHead = {
    // What other versions say beside this is theirs to know.
    v: numberIn(fields, "v", 1, 1_000_000),
    id: nameIn(fields, "id"),
    worker: nameIn(fields, "worker"),
    run: countIn(fields, "run"),
    of: countIn(fields, "of"),
    is,
    message: is === "outcome" ? undefined : textIn(fields, "message"),
  };
  return { head, body };
}

/**
 * Reads the outcome of a call.
 *
 * @throws {Malformed} where it is none.
 */
export function readOutcome(codec: Codec, body: Body): Outcome {
  const outcome = recordOf(decoded(codec, body), "outcome");
  switch (outcome.is) {
    case "returned":
      return { is: "returned", value: outcome.value };
    case "threw":
      if (isThrown(outcome.what)) return { is: "threw", what: outcome.what };
      throw new Malformed("what it threw has no record");
    case "unguarded":
      return { is: "unguarded", message: textIn(outcome, "message") };
  }
  throw wrong("outcome.is", "what came of a call", outcome.is);
}

// ---- Questions and answers -------------------------------------------------------

/**
 * Reads claims; what stands for one that is none is `undefined`.
 *
 * @throws {Malformed} where it is no list of claims.
 */
export function readClaims(bytes: Uint8Array): (Claim | undefined)[] {
  return listOf(json(bytes), "claims", (value) => {
    try {
      const claim = recordOf(value, "claim");
      return {
        v: countIn(claim, "v"),
        id: nameIn(claim, "id"),
        message: countIn(claim, "message"),
        delivery: countIn(claim, "delivery"),
        worker: nameIn(claim, "worker"),
        label: textIn(claim, "label"),
        run: countIn(claim, "run"),
        slots: slotsIn(claim),
      };
    } catch (error) {
      if (error instanceof Malformed) return undefined;
      throw error;
    }
  }, MOST_CLAIMS);
}

/** @throws {Malformed} where there are not as many answers to claims. */
export function readAnswers(bytes: Uint8Array, count: number): Answer[] {
  const answers = listOf(json(bytes), "answers", (value) => {
    if (value === "go" || value === "no" || value === "later") return value;
    throw wrong("answer", "one to a claim", value);
  }, count);
  if (answers.length === count) return answers;
  throw new Malformed(`there are ${answers.length} answers to ${count} claims`);
}

/** @throws {Malformed} where it is no question for runs. */
export function readQuestion(bytes: Uint8Array): Question {
  const question = recordOf(json(bytes), "question");
  const from = nameIn(question, "from");
  if (question.stop !== undefined) {
    const stop = recordOf(question.stop, "stop");
    const run = countIn(stop, "run");
    const message = textIn(stop, "message");
    return { from, runs: [], stop: { id: nameIn(stop, "id"), run, message } };
  }
  return {
    from,
    runs: listOf(question.runs, "runs", (value) => {
      const run = recordOf(value, "run");
      return { id: nameIn(run, "id"), run: countIn(run, "run") };
    }, MOST_RUNS),
  };
}

/** @throws {Malformed} where no worker says that it is there. */
export function readPresence(bytes: Uint8Array): Presence {
  const presence = recordOf(json(bytes), "presence");
  return { worker: nameIn(presence, "worker"), slots: slotsIn(presence) };
}

function slotsIn(fields: Fields): number {
  const slots = countIn(fields, "slots", MOST_SLOTS);
  if (slots > 0) return slots;
  throw wrong("slots", "greater than 0", slots);
}

/** @throws {Malformed} where it is no answer to a question for runs. */
export function readIds(bytes: Uint8Array): string[] {
  return listOf(json(bytes), "ids", textOf, MOST_RUNS);
}

/**
 * Reads how long the parts of a message are.
 *
 * @throws {Malformed} where they are not as long as the message.
 */
export function readLengths(text: string, size: number): number[] {
  const lengths = text.split(",", MOST_CLAIMS).map((length) => {
    if (/^\d{1,15}$/.test(length)) return Number(length);
    throw wrong("length", "a number of bytes", length);
  });
  const sum = lengths.reduce((sum, length) => sum + length, 0);
  if (sum === size) return lengths;
  throw new Malformed(`its parts are ${sum} bytes, and it is ${size}`);
}

// ---- Fields ----------------------------------------------------------------------

type Fields = Readonly<Record<string, unknown>>;

/** The name of a program, a call or a run, which can be part of a subject. */
export function isName(value: unknown): value is string {
  return typeof value === "string" && value.length <= LONGEST_NAME &&
    /^[\w-]+$/.test(value);
}

function parts(bytes: Uint8Array): { head: Fields; body: Body } {
  try {
    const { head, body } = fromBytes(bytes);
    return { head: recordOf(head, "head"), body };
  } catch (error) {
    throw asMalformed(error);
  }
}

function json(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(bytesText(bytes));
  } catch (error) {
    throw asMalformed(error);
  }
}

function asMalformed(error: unknown): Malformed {
  return error instanceof Malformed ? error : new Malformed(`${error}`);
}

function recordOf(value: unknown, name: string): Fields {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Fields;
  }
  throw wrong(name, "an object", value);
}

function listOf<V>(
  value: unknown,
  name: string,
  of: (value: unknown, name: string) => V,
  most: number = MOST_RUNS,
): V[] {
  if (!Array.isArray(value)) throw wrong(name, "a list", value);
  if (value.length <= most) return value.map((item) => of(item, name));
  throw new Malformed(`${name} has ${value.length} entries, more than ${most}`);
}

function textOf(value: unknown, name: string, most = LONGEST_TEXT): string {
  if (typeof value !== "string") throw wrong(name, "text", value);
  if (value.length <= most) return value;
  throw new Malformed(`${name} has ${value.length} letters, more than ${most}`);
}

function own(fields: Fields, key: string): unknown {
  return Object.hasOwn(fields, key) ? fields[key] : undefined;
}

function textIn(fields: Fields, key: string, most?: number): string {
  return textOf(own(fields, key), key, most);
}

function nameIn(fields: Fields, key: string): string {
  const value = own(fields, key);
  if (isName(value)) return value;
  throw wrong(key, `a name of at most ${LONGEST_NAME} letters`, value);
}

function numberIn(
  fields: Fields,
  key: string,
  least: number,
  most: number,
): number {
  const value = own(fields, key);
  if (typeof value === "number" && value >= least && value <= most) {
    return value;
  }
  throw wrong(key, `a number from ${least} to ${most}`, value);
}

function countIn(
  fields: Fields,
  key: string,
  most: number = Number.MAX_SAFE_INTEGER,
): number {
  const value = numberIn(fields, key, 0, most);
  if (Number.isInteger(value)) return value;
  throw wrong(key, "a whole number", value);
}

function wrong(name: string, what: string, value: unknown): Malformed {
  return new Malformed(`${name} must be ${what}: received ${shown(value)}`);
}

/**
 * A value of the wire, however large, in a few words. It is asked nothing: it may
 * have a `constructor`, or a `toString`, of its own.
 */
function shown(value: unknown): string {
  if (typeof value === "object" && value !== null) {
    return Array.isArray(value) ? "a list" : "an object";
  }
  const text = typeof value === "string"
    ? JSON.stringify(value.slice(0, 100))
    : String(value);
  return text.length <= 100 ? text : `${text.slice(0, 100)}…`;
}
