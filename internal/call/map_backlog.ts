/** What `map` has submitted and not read: calls, each submitted by itself. */

import type { Future } from "../../future.ts";
import { needsNoContext } from "../base/async_context.ts";
import { show } from "../base/checks.ts";
import { Deque } from "../base/deque.ts";

/**
 * What `map` has submitted and not read yet: in the order of the inputs, or in
 * that in which the calls end. The first is the one to be read next.
 */
export interface Backlog {
  /** How many items. */
  readonly size: number;
  /** The number of the item that was taken last. */
  readonly taken: number;
  /**
   * Submits one more; after `cancel`, it is cancelled at once.
   *
   * @throws what keeps the executor from taking it.
   */
  push(args: unknown[]): void;
  /** Whether the first is done. */
  readonly isReady: boolean;
  /**
   * Takes the first, which is done: gives what its call returned, or a promise of
   * that.
   *
   * @throws what its call threw.
   */
  take(): unknown;
  /** Has `wake` called once the first is done, which it is not. */
  watch(wake: () => void): void;
  /** No more is pushed. It may be said again. */
  close(): void;
  /** Drops what is left, and cancels what of it has not started. */
  cancel(): void;
}

type Submit = (args: unknown[]) => Future<unknown>;

/** What gives the results of calls, each submitted by itself. */
export function backlogOf(
  submit: Submit,
  unordered: boolean,
  onClosed?: () => void,
): Backlog {
  const checked: Submit = (args) => {
    const future = submit(args);
    if (typeof future?.result === "function") return future;
    throw new TypeError(
      `submit of an executor must return a Future: received ${show(future)}`,
    );
  };
  return unordered
    ? new CallsAsTheyEnd(checked, onClosed)
    : new CallsInOrder(checked, onClosed);
}

/** Items of which each is a call of its own, in the order of the inputs. */
class CallsInOrder implements Backlog {
  taken = -1;
  readonly #submit: Submit;
  #onClosed: (() => void) | undefined;
  /** Places before `#head` were read and are empty. */
  #futures: (Future<unknown> | undefined)[] = [];
  #head = 0;
  #cancelled = false;
  /** The future that is watched. */
  #watched: Future<unknown> | undefined;
  #wake: () => void = nothing;
  readonly #onFirst = needsNoContext(() => this.#wake());

  /** @param onClosed Told, once, that no more is submitted. */
  constructor(submit: Submit, onClosed?: () => void) {
    this.#submit = submit;
    this.#onClosed = onClosed;
  }

  get size(): number {
    return this.#futures.length - this.#head;
  }

  push(args: unknown[]): void {
    const future = this.#submit(args);
    if (this.#cancelled) future.cancel();
    else this.#futures.push(future);
  }

  get isReady(): boolean {
    return this.#futures[this.#head]?.done() ?? false;
  }

  take(): Promise<unknown> {
    this.taken++;
    const future = this.#futures[this.#head]!;
    this.#futures[this.#head++] = undefined;
    this.#watched = undefined;
    if (this.#head * 2 > this.#futures.length) {
      this.#futures.splice(0, this.#head);
      this.#head = 0;
    }
    return future.result();
  }

  watch(wake: () => void): void {
    this.#wake = wake;
    const first = this.#futures[this.#head];
    if (!first || first === this.#watched) return;
    this.#watched = first;
    first.addDoneCallback(this.#onFirst);
  }

  close(): void {
    const onClosed = this.#onClosed;
    this.#onClosed = undefined;
    onClosed?.();
  }

  cancel(): void {
    this.#cancelled = true;
    const left = this.#futures.slice(this.#head);
    this.#futures = [];
    this.#head = 0;
    this.#watched = undefined;
    for (const future of left) future!.cancel();
  }
}

/** The same, in the order in which the calls end. */
class CallsAsTheyEnd implements Backlog {
  taken = -1;
  readonly #submit: Submit;
  #onClosed: (() => void) | undefined;
  #next = 0;
  readonly #running = new Map<number, Future<unknown>>();
  #ended = new Deque<readonly [number: number, future: Future<unknown>]>();
  #cancelled = false;
  #wake: () => void = nothing;

  constructor(submit: Submit, onClosed?: () => void) {
    this.#submit = submit;
    this.#onClosed = onClosed;
  }

  get size(): number {
    return this.#running.size + this.#ended.size;
  }

  push(args: unknown[]): void {
    const future = this.#submit(args);
    if (this.#cancelled) {
      future.cancel();
      return;
    }
    const number = this.#next++;
    this.#running.set(number, future);
    future.addDoneCallback(needsNoContext(() => {
      if (!this.#running.delete(number)) return;
      this.#ended.push([number, future]);
      this.#wake();
    }));
  }

  get isReady(): boolean {
    return this.#ended.size > 0;
  }

  take(): Promise<unknown> {
    const [number, future] = this.#ended.shift()!;
    this.taken = number;
    return future.result();
  }

  watch(wake: () => void): void {
    this.#wake = wake;
  }

  close(): void {
    const onClosed = this.#onClosed;
    this.#onClosed = undefined;
    onClosed?.();
  }

  cancel(): void {
    this.#cancelled = true;
    const left = [...this.#running.values()];
    this.#running.clear();
    this.#ended = new Deque();
    for (const future of left) future.cancel();
  }
}

function nothing(): void {}
