/**
 * Stands in for the JSR package `@std/async` where JSR is out of reach: the
 * same code, from npm, file by file (all but the channels, which do not load
 * there). Each subpath gives the whole package.
 *
 * @module
 */

export type {
  DeadlineOptions,
  DebouncedFunction,
  DebounceOptions,
  DelayOptions,
  LazyGetOptions,
  PollOptions,
  RetryOptions,
  Tuple,
} from "./mod.d.ts";

// @ts-types="./mod.d.ts"
export { abortable } from "npm:deno-std@1.4.0/async/abortable.js";
// @ts-types="./mod.d.ts"
export {
  allKeyed,
  allSettledKeyed,
} from "npm:deno-std@1.4.0/async/all_keyed.js";
// @ts-types="./mod.d.ts"
export { deadline } from "npm:deno-std@1.4.0/async/deadline.js";
// @ts-types="./mod.d.ts"
export { debounce } from "npm:deno-std@1.4.0/async/debounce.js";
// @ts-types="./mod.d.ts"
export { delay } from "npm:deno-std@1.4.0/async/delay.js";
// @ts-types="./mod.d.ts"
export { Lazy } from "npm:deno-std@1.4.0/async/lazy.js";
// @ts-types="./mod.d.ts"
export { MuxAsyncIterator } from "npm:deno-std@1.4.0/async/mux_async_iterator.js";
// @ts-types="./mod.d.ts"
export { poll } from "npm:deno-std@1.4.0/async/poll.js";
// @ts-types="./mod.d.ts"
export { pooledMap } from "npm:deno-std@1.4.0/async/pool.js";
// @ts-types="./mod.d.ts"
export { retry, RetryError } from "npm:deno-std@1.4.0/async/retry.js";
// @ts-types="./mod.d.ts"
export { tee } from "npm:deno-std@1.4.0/async/tee.js";
