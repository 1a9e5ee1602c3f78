/**
 * What is moved and not copied.
 *
 * @module
 */

import { workerGlobals } from "./internal/call/realm.ts";
import { transferMarks } from "./internal/values/transfer_marks.ts";

/**
 * Marks a value so that what it holds is moved and not copied when it is passed
 * to a call, or returned from one: the sender has it no more, and 64 MiB take no
 * longer than one byte.
 *
 * The value itself is given back, so a call can `return transfer(...)`. A
 * function that travels as its source finds `transfer` as a global of its
 * worker. Between processes bytes have to be copied; there, too, the sender of
 * an argument has it no more. An `EventLoopExecutor` copies nothing anyway, and
 * moves nothing.
 *
 * @typeParam T The type of the value.
 * @param value An argument, or a result: an object. What is inside of an
 * argument is not asked for marks of its own.
 * @param transferables What to move: array buffers and message ports that the
 * value is or holds.
 * @returns The value.
 * @throws {TypeError} when `value` is no object, or `transferables` no array.
 *
 * @example There and back without a copy
 * ```ts
 * import { ThreadPoolExecutor, transfer } from "@concurrent/futures";
 * import assert from "node:assert/strict";
 *
 * await using executor = new ThreadPoolExecutor({ maxWorkers: 1 });
 * const pixels = new Uint8Array(1_000_000);
 *
 * const inverted = await executor.submit((pixels: Uint8Array<ArrayBuffer>) => {
 *   for (let i = 0; i < pixels.length; i++) pixels[i] = 255 - pixels[i];
 *   return transfer(pixels, [pixels.buffer]);
 * }, transfer(pixels, [pixels.buffer])).result();
 *
 * assert.equal(pixels.length, 0); // gone from here
 * assert.equal(inverted[0], 255);
 * ```
 */
export function transfer<T extends object>(
  value: T,
  transferables: readonly Transferable[],
): T {
  if (typeof value !== "object" || value === null) {
    throw new TypeError(
      `transfer takes an object: received ${
        value === null ? "null" : typeof value
      }, which is copied by being sent`,
    );
  }
  if (!Array.isArray(transferables)) {
    throw new TypeError(
      "transfer takes an array of what is to be moved, such as [value.buffer]",
    );
  }
  transferMarks().set(value, transferables);
  return value;
}

workerGlobals.set(transfer, "transfer");
