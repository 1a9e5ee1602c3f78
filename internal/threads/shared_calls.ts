/**
 * What pool and worker thread pass through memory that they share: plain calls
 * one way, plain results the other. A message takes longer than most short calls
 * do; so only what is not plain goes by message.
 *
 * ## Calls
 *
 * A ring has an entry for each call, so all calls keep their order: either the
 * call itself, of a function that the worker has met, with up to two plain
 * arguments; or that the next call is that of a message.
 *
 * A function has a number where its calls need no message. Numbers are few, so they
 * are given anew; and what gives one is an entry of the ring, that of a message with
 * the function. So at each entry, whenever the worker comes to it, its table is what
 * the pool's was when that wrote it (`FunctionNumbers`).
 *
 * ## Results
 *
 * The worker leaves a plain result, and tells of it only if the pool was not told
 * since it looked last: so one word does for all that end meanwhile, and none
 * waits behind the next call, however long that is.
 *
 * ## Waking
 *
 * A worker that has nothing to do looks out for calls for a moment
 * (`inside/spin.ts`), and then sleeps. A pool that has sent a short call to a worker that
 * is awake looks out for its result, for a shorter one, since the program waits; of
 * several calls, results had better be taken together.
 *
 * Who sleeps takes note of that before it looks a last time; who leaves something
 * does so before it looks whether the other sleeps: so whatever comes in between
 * is either seen or told. It is told by `Atomics.notify`; where the runtime does not
 * hear that while it has nothing else to do, a message tells of results, and all
 * calls go by message.
 */

import { hearsNotify, ownClock, soon } from "../base/timers.ts";
import type {
  CallMessage,
  FunctionRef,
  SharedLanes,
} from "../call/protocol.ts";
import { type Lookout, makeLookout } from "../inside/spin.ts";
import type { LinkEvents } from "../pool/pool_link.ts";
import { type Cells, makeCells, NUMBER, shareCells, SHORT } from "./cells.ts";

/** How many results can be left before the pool looks: the items of a chunk are many. */
const RESULTS = 4096;
/**
 * The bits of an entry that is a call: a slot, how many arguments, of what kind, a
 * function's number and one. Any other entry is not above zero: the next call is that
 * of a message; below zero, `~entry` is the number that its function has from then on.
 */
const COUNT = 10;
const KINDS = 12;
const FUNCTION = 18;
const POSTED = 0;
/** Until the entry is written: of a message whose function is to have a number. */
const UNNUMBERED = -1;
/** How long the pool looks out for the result of a short call, in milliseconds. */
const PATIENCE = 0.01;
/** How many functions a worker knows by number. */
export const FUNCTIONS = 256;

/**
 * Which function has which number, as the worker will know it when it has read all
 * entries that are written.
 *
 * 1. A number is given by `give` alone, at the entry that tells the worker of it: no
 *    other code may run between the two.
 * 2. Which calls go by message is decided before that; the numbers of the others
 *    are kept (`keep`) until their entries are written.
 */
export class FunctionNumbers {
  readonly #numbers = new Map<FunctionRef, number>();
  readonly #functions: (FunctionRef | undefined)[];
  /** For how many entries that are still to be written each number is kept. */
  readonly #kept: Uint16Array;
  #next = 0;

  constructor(count = FUNCTIONS) {
    this.#functions = Array.from({ length: count }, () => undefined);
    this.#kept = new Uint16Array(count);
  }

  /** The number that a function has. */
  of(fn: FunctionRef): number | undefined {
    return this.#numbers.get(fn);
  }

  /** A number stays with its function until it was let go of as often. */
  keep(number: number): void {
    this.#kept[number]++;
  }

  letGo(number: number): void {
    this.#kept[number]--;
  }

  /**
   * Gives a function that has none a number, from one that had it for long; none if
   * all are kept.
   */
  give(fn: FunctionRef): number | undefined {
    const count = this.#functions.length;
    for (let tries = 0; tries < count; tries++) {
      const number = this.#next;
      this.#next = (number + 1) % count;
      if (this.#kept[number] > 0) continue;
      const before = this.#functions[number];
      if (before) this.#numbers.delete(before);
      this.#functions[number] = fn;
      this.#numbers.set(fn, number);
      return number;
    }
    return undefined;
  }
}

/** The pool's end. */
export class SharedCalls {
  /** For the worker. */
  readonly shared: SharedLanes;
  readonly #calls: Int32Array<SharedArrayBuffer>;
  readonly #results: Int32Array<SharedArrayBuffer>;
  readonly #arguments: Cells;
  readonly #values: Cells;
  /** The same, where they are numbers. */
  readonly #numbersLeft: Float64Array;
  readonly #onOutcome: LinkEvents["onOutcome"];
  readonly #onGarbled: () => void;
  /** How long a text may be that the worker left. */
  readonly #longest: number;
  readonly #numbers = new FunctionNumbers();
  /** How many calls were left, and how many results were taken. */
  #left = 0;
  #taken = 0;
  #closed = false;
  readonly #looksOut: Lookout;
  #isLooking = false;
  /** How long the call took whose result came last, in milliseconds. */
  #lastMs = 0;

  /**
   * @param slots A power of two.
   * @param onGarbled Told of what no worker leaves there.
   * @param looksOut How the pool looks out for results.
   */
  constructor(
    slots: number,
    onOutcome: LinkEvents["onOutcome"],
    onGarbled: () => void = () => {},
    looksOut: Lookout = makeLookout(PATIENCE, ownClock.now),
  ) {
    this.#looksOut = looksOut;
    this.#onOutcome = onOutcome;
    this.#onGarbled = onGarbled;
    this.#calls = new Int32Array(new SharedArrayBuffer((2 + slots) * 4));
    this.#results = new Int32Array(new SharedArrayBuffer((3 + RESULTS) * 4));
    this.shared = {
      calls: hearsNotify() ? this.#calls.buffer : undefined,
      arguments: shareCells(slots * 2),
      results: this.#results.buffer,
      values: shareCells(RESULTS * 2),
    };
    this.#arguments = makeCells(this.shared.arguments);
    this.#values = makeCells(this.shared.values);
    this.#numbersLeft = new Float64Array(this.shared.values.numbers);
    this.#longest = SHORT * 2;
    if (this.shared.calls) this.#watch();
  }

  /**
   * Hands calls over, with `post` for those that go by message.
   *
   * @throws what `post` throws; none is then handed over.
   */
  send(
    calls: readonly CallMessage[],
    post: (calls: readonly CallMessage[]) => void,
  ): void {
    if (!this.shared.calls) return post(calls);
    const numbers = this.#numbers;
    const entries: number[] = [];
    const messages: CallMessage[] = [];
    for (const call of calls) {
      const plain = this.#leaveArguments(call);
      const number = plain === undefined ? undefined : numbers.of(call.fn);
      if (plain === undefined || number === undefined) {
        messages.push(call);
        entries.push(plain === undefined ? POSTED : UNNUMBERED);
      } else {
        entries.push(call.slot | plain | (number + 1) << FUNCTION);
      }
    }
    if (messages.length > 0) this.#post(messages, entries, post);
    const ring = this.#calls;
    for (let i = 0; i < entries.length; i++) {
      let entry = entries[i];
      if (entry === UNNUMBERED) {
        const { fn } = calls[i];
        // It may have one by now, from an entry before this one.
        const number = numbers.of(fn) === undefined
          ? numbers.give(fn)
          : undefined;
        entry = number === undefined ? POSTED : ~number;
      } else if (entry > 0 && messages.length > 0) {
        numbers.letGo((entry >> FUNCTION) - 1);
      }
      ring[2 + (this.#left & (ring.length - 3))] = entry;
      this.#left = (this.#left + 1) | 0;
    }
    const isShort = calls.length === 1 && messages.length === 0 &&
      this.#lastMs < PATIENCE;
    if (isShort && Atomics.load(ring, 1) === 0) this.#lookOut();
    Atomics.store(ring, 0, this.#left);
    if (Atomics.exchange(ring, 1, 0) === 1) Atomics.notify(ring, 1);
  }

  /**
   * Looks out for the result at the end of this turn, after which the program would go
   * to sleep and be woken a moment later. Until then the worker need not tell.
   */
  #lookOut(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    Atomics.store(this.#results, 1, 1);
    soon(() => {
      this.#isLooking = false;
      if (this.#closed) return;
      if (!this.#looksOut(this.#hasResults)) {
        Atomics.store(this.#results, 1, 0);
        // What was left before that was not told of.
        if (!this.#hasResults()) return;
      }
      // They are taken in a turn of their own, as what the worker tells of is.
      Atomics.notify(this.#results, 1);
    });
  }

  readonly #hasResults = () => this.#taken !== Atomics.load(this.#results, 0);

  /**
   * Sends messages. To read what they hold may run a caller's code, which submits
   * other calls: these come first, in the ring and as messages, and take no number
   * that stands in one of the entries.
   */
  #post(
    messages: readonly CallMessage[],
    entries: readonly number[],
    post: (calls: readonly CallMessage[]) => void,
  ): void {
    const numbers = this.#numbers;
    for (const entry of entries) {
      if (entry > 0) numbers.keep((entry >> FUNCTION) - 1);
    }
    try {
      post(messages);
    } catch (error) {
      for (const entry of entries) {
        if (entry > 0) numbers.letGo((entry >> FUNCTION) - 1);
      }
      throw error;
    }
  }

  /**
   * Leaves arguments, if they are plain; gives how many they are, and of what
   * kinds. One that is no object may come without a list.
   */
  #leaveArguments(call: CallMessage): number | undefined {
    const { slot, args, watched, count, carried } = call;
    if (watched !== undefined || count !== undefined || carried) {
      return undefined;
    }
    if (!Array.isArray(args)) {
      const kind = this.#leaveArgument(slot, 0, args);
      return kind === undefined ? undefined : 1 << COUNT | kind;
    }
    if (args.length > 2) return undefined;
    let plain = args.length << COUNT;
    for (let i = 0; i < args.length; i++) {
      const kind = this.#leaveArgument(slot, i, args[i]);
      if (kind === undefined) return undefined;
      plain |= kind;
    }
    return plain;
  }

  #leaveArgument(slot: number, i: number, value: unknown): number | undefined {
    const kind = this.#arguments.write(slot * 2 + i, value, SHORT);
    return kind === undefined ? undefined : kind << KINDS + 3 * i;
  }

  /** Takes the results that the worker left. */
  look(): void {
    const ring = this.#results;
    const numbers = this.#numbersLeft;
    const now = ownClock.now();
    // Before it is looked: what is left from here on is told of anew.
    Atomics.store(ring, 1, 0);
    const left = Atomics.load(ring, 0);
    const count = (left - this.#taken) | 0;
    if (this.#closed) return;
    if (count < 0 || count > RESULTS) return this.#refuse();
    while (this.#taken !== left) {
      const at = this.#taken & (RESULTS - 1);
      const entry = ring[3 + at];
      const kind = entry >> 12 & 7;
      if (
        kind > NUMBER && !this.#values.has(at * 2, kind, this.#longest)
      ) return this.#refuse();
      const value = kind === NUMBER
        ? numbers[at * 2]
        : this.#values.read(at * 2, kind);
      const ms = this.#lastMs = numbers[at * 2 + 1];
      this.#taken = (this.#taken + 1) | 0;
      // Its place may be used again.
      Atomics.store(ring, 2, this.#taken);
      this.#onOutcome(
        entry >> 15,
        ms,
        { is: "returned", value },
        this.#taken !== left,
        entry & 0xfff,
        now,
      );
    }
  }

  /** Something else has written there: what is left is nobody's. */
  #refuse(): void {
    this.close();
    this.#onGarbled();
  }

  /** Looks whenever the worker tells. */
  async #watch(): Promise<void> {
    while (!this.#closed) {
      const wait = Atomics.waitAsync(this.#results, 1, 0);
      // Told already: the event loop turns before all else, as it does for a message.
      await (wait.async ? wait.value : nextTurn());
      if (!this.#closed) this.look();
    }
  }

  /** The worker will end: watches it no more. */
  close(): void {
    this.#closed = true;
    Atomics.notify(this.#results, 1);
  }
}

/** Lets the event loop do what else there is. */
function nextTurn(): Promise<unknown> {
  const cell = new Int32Array(new SharedArrayBuffer(4));
  const { value } = Atomics.waitAsync(cell, 0, 0);
  Atomics.notify(cell, 0);
  return Promise.resolve(value);
}

/** The worker's end. */
export interface WorkerSharedCalls {
  /**
   * Gets what is shared, and what is to be done once there are calls again, and
   * once messages do not come any more.
   */
  open(shared: SharedLanes, onCalls: () => void, onLost?: () => void): void;
  /**
   * The next call, until it is asked for the one after it; `posted` gives that of a
   * message, if it is there.
   */
  next(posted: () => CallMessage | undefined): CallMessage | undefined;
  /** Waits for calls; `false` if there are some. */
  sleep(): boolean;
  /**
   * Leaves a result, if it is plain and there is room; calls `tell` if the pool has
   * to be told.
   */
  leave(
    slot: number,
    item: number,
    ms: number,
    value: unknown,
    tell: () => void,
  ): boolean;
  /** Lets the event loop turn, if that is not what brings the calls. */
  turn(): Promise<unknown> | undefined;
}

/**
 * Makes the worker's end.
 *
 * Self-contained: workers get it as its source.
 */
export function makeWorkerSharedCalls(
  cellsOf: typeof makeCells,
  lookoutOf: typeof makeLookout,
): WorkerSharedCalls {
  /**
   * How long the worker looks out for a call before it sleeps, in milliseconds:
   * about as long as the pool takes to hear of a result, and to send the next.
   */
  const PATIENCE = 0.05;
  /** A call that wakes the worker so soon may have come in that time, in milliseconds. */
  const SOON = 0.1;
  /** After so long a message that was posted has come, in milliseconds. */
  const LOST = 2000;
  // Taken before any task runs: one may put its own in their place.
  const { setTimeout: setTimer } = globalThis;
  const now = performance.now.bind(performance);
  const { exchange, load, notify, store, waitAsync } = Atomics;
  let calls: Int32Array<SharedArrayBuffer> | undefined;
  let results: Int32Array<SharedArrayBuffer>;
  let cells: Cells;
  let values: Cells;
  let longest: number;
  let wake: () => void;
  let lose: (() => void) | undefined;
  let isWaiting = false;
  let wasSoon = false;
  let isWatching = false;
  let taken = 0;
  const looksOut = lookoutOf(PATIENCE);
  const hasCalls = () => taken !== load(calls!, 0);
  /** The functions by their numbers. */
  const functions: FunctionRef[] = Object.setPrototypeOf([], null);
  /** How many places the rings have: less one for calls, which is the mask. */
  let callMask = 0;
  let size = 0;
  const cell = new Int32Array(new SharedArrayBuffer(4));
  // With all that a call may have: else what a task gives to all objects counts.
  // One for all: a call has ended before the next is asked for.
  const call: { -readonly [K in keyof CallMessage]: CallMessage[K] } & {
    kept: undefined;
  } = {
    slot: 0,
    fn: undefined as unknown as FunctionRef,
    args: undefined,
    watched: undefined,
    count: undefined,
    single: undefined,
    captured: undefined,
    kept: undefined,
    shared: undefined,
  };

  function open(
    shared: SharedLanes,
    onCalls: () => void,
    onLost?: () => void,
  ): void {
    lose = onLost;
    if (shared.calls) calls = new Int32Array(shared.calls);
    if (calls) callMask = calls.length - 3;
    results = new Int32Array(shared.results);
    size = results.length - 3;
    cells = cellsOf(shared.arguments);
    values = cellsOf(shared.values);
    // The time beside it has no text.
    const { numbers, texts } = shared.values;
    longest = texts.byteLength / numbers.byteLength * 8;
    wake = onCalls;
  }

  function next(
    posted: () => CallMessage | undefined,
  ): CallMessage | undefined {
    if (!calls) return posted();
    if (!hasCalls()) return undefined;
    const entry = calls[2 + (taken & callMask)];
    if (entry > 0) {
      taken = (taken + 1) | 0;
      const slot = entry & 0x3ff;
      const count = entry >> 10 & 3;
      // Written down as they are: a setter of a task's for items is not met then.
      call.slot = slot;
      call.fn = functions[(entry >> 18) - 1];
      call.args = count === 0
        ? []
        : count === 1
        ? [cells.read(slot * 2, entry >> 12 & 7)]
        : [
          cells.read(slot * 2, entry >> 12 & 7),
          cells.read(slot * 2 + 1, entry >> 15 & 7),
        ];
      return call;
    }
    const given = posted();
    if (!given) return undefined;
    taken = (taken + 1) | 0;
    if (entry < 0) functions[~entry] = given.fn;
    return given;
  }

  function sleep(): boolean {
    if (!calls) return true;
    if (hasCalls()) {
      // One that comes by message wakes by that.
      if (calls[2 + (taken & callMask)] > 0) return false;
      watchForMessage();
      return true;
    }
    if (looksOut(hasCalls, wasSoon)) return false;
    store(calls, 1, 1);
    if (hasCalls()) {
      store(calls, 1, 0);
      return false;
    }
    if (isWaiting) return true;
    const { async, value } = waitAsync(calls, 1, 1);
    if (!async) return false;
    isWaiting = true;
    wait(value);
    return true;
  }

  /**
   * A call was posted before it was told of here. If it does not come at all, a task
   * has taken away what events stand on: then the worker ends, for nobody to wait.
   */
  function watchForMessage(): void {
    if (isWatching || !lose) return;
    isWatching = true;
    const before = taken;
    setTimer(() => {
      isWatching = false;
      if (!hasCalls() || calls![2 + (taken & callMask)] > 0) return;
      if (taken === before) lose!();
      else watchForMessage();
    }, LOST);
  }

  async function wait(until: Promise<unknown>): Promise<void> {
    const asleep = now();
    await until;
    wasSoon = now() - asleep < SOON;
    isWaiting = false;
    wake();
  }

  function leave(
    slot: number,
    item: number,
    ms: number,
    value: unknown,
    tell: () => void,
  ): boolean {
    const left = results[0];
    if (((left - load(results, 2)) | 0) >= size) return false;
    const at = left & (size - 1);
    const kind = values.write(at * 2, value, longest);
    if (kind === undefined) return false;
    values.write(at * 2 + 1, ms, 0);
    results[3 + at] = slot << 15 | kind << 12 | item;
    store(results, 0, left + 1);
    // A pool that was told, and has not looked yet, will find this one too.
    if (exchange(results, 1, 1) === 0) {
      if (calls) notify(results, 1);
      else tell();
    }
    return true;
  }

  function turn(): Promise<unknown> | undefined {
    if (!calls) return undefined;
    const { value } = waitAsync(cell, 0, 0);
    notify(cell, 0);
    return value as Promise<unknown>;
  }

  return { open, next, sleep, leave, turn };
}
