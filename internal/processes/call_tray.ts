/**
 * A tray between the two threads of a child. An event takes its time, so for a
 * moment after its last call the worker stands at the tray, where the main thread
 * puts the calls that come then. To be woken takes its time, too, so at first it
 * looks out for them (`inside/spin.ts`).
 *
 * What lies in the tray must not get before messages that were posted earlier. So
 * both count these: nobody waits, and nothing is put there, while one of them is
 * on its way.
 *
 * ```text
 * Int32 0  0: nobody is there; 1: the worker waits; 2: it was given something
 *       1  how many bytes it is
 *       2  how many messages were posted to the worker
 *       3  how many of these have reached it
 * then     the bytes
 * ```
 */

import type { Lookout } from "../inside/spin.ts";

/** Both ends of a tray. */
export interface CallTray {
  /** Where it is: what the other end is made from. */
  readonly memory: SharedArrayBuffer;
  /** The main thread is about to post a message. */
  posting(): void;
  /** Hands bytes to the worker, if it waits for them. */
  put(bytes: Uint8Array): boolean;
  /** A message has reached the worker. */
  received(): void;
  /** Waits for a moment, and gives what came. */
  take(): Uint8Array<ArrayBuffer> | undefined;
}

/**
 * Makes an end of a tray.
 *
 * Self-contained: children get it as its source.
 *
 * @param looksOut For the worker's end.
 */
export function makeCallTray(
  memory: SharedArrayBuffer = new SharedArrayBuffer(8192),
  looksOut: Lookout = () => false,
): CallTray {
  const NOBODY = 0;
  const WAITING = 1;
  const FULL = 2;
  /** How long the worker waits, and where what came last came soon, in milliseconds. */
  const PATIENCE = 0.5;
  const SOON = 2.5;
  /** After so long, what else happens in the worker has its turn, in milliseconds. */
  const TURN = 5;
  // Taken before any task runs: one may put its own in their place.
  const { add, compareExchange, load, notify, store, wait } = Atomics;
  const now = performance.now.bind(performance);
  const state = new Int32Array(memory, 0, 4);
  const room = new Uint8Array(memory, 16);
  const { Uint8Array: Bytes } = globalThis;
  const { set } = Object.getPrototypeOf(Bytes.prototype);
  const setIn: (to: Uint8Array, from: Uint8Array) => void = Function.prototype
    .call.bind(set);
  let turn = 0;
  let patience = PATIENCE;
  /** When it waited in vain. */
  let left = -Infinity;

  const isTold = () => load(state, 0) !== WAITING;
  const isPostEmpty = () => load(state, 2) === load(state, 3);

  return {
    memory,
    posting() {
      add(state, 2, 1);
      // It waits in vain, and would not see this.
      if (compareExchange(state, 0, WAITING, NOBODY) === WAITING) {
        notify(state, 0);
      }
    },
    put(bytes) {
      if (
        bytes.length > room.length || load(state, 0) !== WAITING ||
        !isPostEmpty()
      ) return false;
      room.set(bytes);
      state[1] = bytes.length;
      if (compareExchange(state, 0, WAITING, FULL) !== WAITING) return false;
      notify(state, 0);
      return true;
    },
    received() {
      add(state, 3, 1);
      turn = now();
      if (turn - left < SOON) patience = SOON;
    },
    take() {
      if (now() - turn > TURN) return undefined;
      store(state, 0, WAITING);
      if (isPostEmpty() && !looksOut(isTold)) {
        wait(state, 0, WAITING, patience);
      }
      if (compareExchange(state, 0, WAITING, NOBODY) !== FULL) {
        patience = PATIENCE;
        left = now();
        return undefined;
      }
      const length = state[1];
      const bytes = new Bytes(length);
      setIn(bytes, new Bytes(memory, 16, length));
      return bytes;
    },
  };
}
