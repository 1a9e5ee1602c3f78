/** How calls are written to a child, and read there. */

import type {
  CallMessage,
  CarriedMessage,
  FunctionRef,
  SharedArguments,
} from "../call/protocol.ts";
import type { Kept } from "../inside/keep_captured.ts";
import type { Codec } from "../values/codec.ts";

/**
 * The line of JSON that calls come in: for each, slot, function and arguments;
 * or the arguments of many items, how many, and whether each has but one; or how
 * many bytes the arguments are, and of V8's serialiser, or, as "text", of JSON.
 * What bytes hold is read when the call starts: it can fail no other.
 */
export interface CallsLine {
  readonly fns: readonly FunctionRef[];
  /** By their slots, the calls whose start is to be told: `CallMessage.watched`. */
  readonly watched: Readonly<Record<number, number>> | null;
  /**
   * By their slots, what the functions of calls captured: its number (`false`: behind the arguments), how many bytes
   * it is, which come before those of the arguments, and `CallMessage.shared`.
   */
  readonly carried:
    | Readonly<
      Record<
        number,
        readonly [
          id: number | null | false,
          bytes: number | null,
          shared: SharedArguments | null,
        ]
      >
    >
    | null;
  /** What nobody needs any more of that. */
  readonly forget: readonly number[] | null;
  readonly calls: readonly (
    | readonly [slot: number, fn: number, args: unknown]
    | readonly [
      slot: number,
      fn: number,
      args: unknown,
      count: number,
      single: boolean,
    ]
    | readonly [
      slot: number,
      fn: number,
      args: null,
      bytes: number,
      buffers: readonly number[] | "text",
    ]
  )[];
}

/** A call of which nothing is read that it has not. */
export type WholeCall =
  & Pick<CallMessage, "slot" | "fn" | "args">
  & { readonly [K in Extra]: CallMessage[K] | undefined }
  & { kept: Kept | undefined };

type Extra = "captured" | "shared" | "watched" | "count" | "single";

/** Reads the calls of a message: a `CallsLine`, then bytes, and buffers apart. */
export type CallsReader = (
  data: Uint8Array<ArrayBuffer>,
  apart: readonly ArrayBuffer[],
  onForget: (ids: readonly number[]) => void,
) => WholeCall[];

/**
 * Makes a reader.
 *
 * Self-contained: children get it as its source.
 */
export function makeCallsReader(codec: Codec): CallsReader {
  // Taken before any task runs: one may put its own in their place.
  const { parse } = JSON;
  const decoder = new TextDecoder();
  const decode = decoder.decode.bind(decoder);
  const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const decodeStrictly = strict.decode.bind(strict);
  const lenient = new TextDecoder("utf-8", { ignoreBOM: true });
  const decodeLeniently = lenient.decode.bind(lenient);
  const includes = Function.prototype.call.bind(String.prototype.includes) as (
    text: string,
    part: string,
  ) => boolean;
  const { isArray } = Array;
  const { fromCharCode } = String;
  const FEW = 64;
  const { DOMException, Uint8Array } = globalThis;
  const { setPrototypeOf, getPrototypeOf, getOwnPropertyDescriptor } = Object;
  const { bind, call: callOf } = Function.prototype;
  /** A method as a function of what it is a method of. */
  // deno-lint-ignore no-explicit-any -- of whatever method
  const uncurried = (method: any): any => bind.call(callOf, method);
  const views = getPrototypeOf(Uint8Array.prototype);
  const indexIn = uncurried(views.indexOf);
  const setIn = uncurried(views.set);
  const memoryOf = uncurried(getOwnPropertyDescriptor(views, "buffer")!.get);
  const beginOf = uncurried(getOwnPropertyDescriptor(views, "byteOffset")!.get);
  /** A list that inherits nothing: a setter for its items would be met, too. */
  const list = <T>(): T[] => setPrototypeOf([], null) as T[];
  /** Of its own properties alone: a task may have given all objects more. */
  const own = <T>(object: T): T => setPrototypeOf(object as object, null) as T;

  /** A part of bytes, in the same memory: by no method, which would ask for a class. */
  function part(
    data: Uint8Array<ArrayBuffer>,
    from: number,
    to: number,
  ): Uint8Array<ArrayBuffer> {
    return new Uint8Array(memoryOf(data), beginOf(data) + from, to - from);
  }

  function copied(data: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    const copy = new Uint8Array(data.length);
    setIn(copy, data);
    return copy;
  }

  function callsIn(
    data: Uint8Array<ArrayBuffer>,
    apart: readonly ArrayBuffer[],
    onForget: (ids: readonly number[]) => void,
  ): WholeCall[] {
    const end: number = indexIn(data, 10);
    let at = end + 1;
    let next = 0;
    // It has all that it may have: nothing is read that a task gave to all objects.
    const { fns, watched: told, carried: taken, forget, calls }: CallsLine =
      parse(decode(part(data, 0, end)));
    const watched = told && own(told);
    const carried = taken && own(taken);
    if (forget) onForget(forget);
    const capturedOf = (slot: number): CarriedMessage | undefined => {
      const found = carried?.[slot];
      if (!found || found[0] === false) return undefined;
      const id = found[0] ?? undefined;
      const length = found[1];
      if (length === null) return { id, captured: undefined };
      // A copy, where it is kept and the rest of the message is not.
      const from = at;
      at += length;
      return {
        id,
        captured: id === undefined
          ? part(data, from, at)
          : copied(part(data, from, at)),
      };
    };
    const callOf = (call: CallsLine["calls"][number]): WholeCall => {
      // Not taken apart by iterating, which takes as long as all the rest. Nothing
      // that is not there is read of it, nor of what is made of it, which has all
      // that a call may have: a task may have given all objects more.
      const slot = call[0];
      const fn = fns[call[1]];
      const captured = carried ? capturedOf(slot) : undefined;
      const shared = carried?.[slot]?.[2] ?? undefined;
      if (call.length < 4) {
        return {
          slot,
          fn,
          args: call[2],
          watched: watched?.[slot],
          captured,
          shared,
          count: undefined,
          single: undefined,
          kept: undefined,
        };
      }
      const number = call[3]!;
      const lengths = call[4];
      if (typeof lengths === "boolean") {
        return {
          slot,
          fn,
          args: call[2],
          watched: undefined,
          captured,
          shared: undefined,
          count: number,
          single: lengths,
          kept: undefined,
        };
      }
      const bytes = part(data, at, at += number);
      let buffers: ArrayBuffer[] | undefined;
      if (lengths !== "text") {
        buffers = list();
        for (let i = 0; i < lengths!.length; i++) buffers[i] = apart[next++];
      }
      return {
        slot,
        fn,
        watched: watched?.[slot],
        captured,
        shared,
        count: undefined,
        single: undefined,
        kept: undefined,
        // When the call starts: what can't be read fails that call alone.
        get args() {
          return argumentsIn(fn, bytes, buffers);
        },
      };
    };
    const all = list<WholeCall>();
    for (let i = 0; i < calls.length; i++) all[i] = callOf(calls[i]);
    return all;
  }

  /** Text that is UTF-8: what throws if it is not takes longer, and is asked in doubt. */
  function textOf(bytes: Uint8Array): string {
    const { length } = bytes;
    // To ask a decoder takes longer than a few letters do.
    if (length <= FEW) {
      let text = "";
      let at = 0;
      for (; at < length && bytes[at] < 0x80; at++) {
        text += fromCharCode(bytes[at]);
      }
      if (at === length) return text;
    }
    const text = decodeLeniently(bytes);
    return includes(text, "\ufffd") ? decodeStrictly(bytes) : text;
  }

  /** The arguments that bytes hold: of JSON, or with buffers of V8's serialiser. */
  function argumentsIn(
    { name }: FunctionRef,
    bytes: Uint8Array<ArrayBuffer>,
    buffers: readonly ArrayBuffer[] | undefined,
  ): unknown {
    let why = "they are no array";
    try {
      const args = buffers
        ? codec.decode({ bytes, buffers })
        : parse(textOf(bytes));
      if (isArray(args)) return args;
    } catch (error) {
      why = `${error}`;
    }
    throw new DOMException(
      `Cannot read the arguments of ${
        name ? `"${name}"` : "an anonymous function"
      }: ${why}`,
      "DataCloneError",
    );
  }

  return callsIn;
}
