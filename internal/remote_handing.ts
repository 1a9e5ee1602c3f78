/** Calls that are handed to workers past the queue. `remote.ts` says when. */

import type { CallHolder } from "./call.ts";
import { HANDED } from "./envelope.ts";
import type { Holder, RemoteCall } from "./remote_watch.ts";
import { ownClock } from "./timer.ts";
import type { SubmitterLink } from "./transport.ts";

/** For how long a worker that ended a call is taken for free, in milliseconds. */
const OFFER = 100;
/** With more calls than this, they wait in the queue. */
const FEW = 4;
/** Who has a call that was handed over, as its future sees it. */
const STARTED: CallHolder = { hasStarted: () => true };

/** The handing over of one program's calls. */
export class Handing {
  readonly #calls: ReadonlyMap<number, RemoteCall>;
  /** A worker that ended a call, and until when it is taken for free. */
  #offer: { readonly holder: Holder; readonly end: number } | undefined;
  #isUnderWay = false;

  constructor(calls: ReadonlyMap<number, RemoteCall>) {
    this.#calls = calls;
  }

  /** Whether it is not known if a worker takes the call that it was handed. */
  get isUnderWay(): boolean {
    return this.#isUnderWay;
  }

  /** A worker has ended a call that it held. */
  offer(holder: Holder): void {
    this.#offer = { holder, end: ownClock.now() + OFFER };
  }

  forget(): void {
    this.#offer = undefined;
  }

  /** The worker that ended a call a moment ago, if no other call waits for one. */
  freeFor(call: RemoteCall): Holder | undefined {
    const offer = this.#offer;
    this.#offer = undefined;
    if (!offer || ownClock.now() > offer.end) return undefined;
    if (this.#calls.size > FEW) return undefined;
    for (const other of this.#calls.values()) {
      if (other !== call && !other.holder) return undefined;
    }
    return offer.holder;
  }

  /**
   * Hands a call over, which runs from now on, unless it turns out not to.
   *
   * @returns Whether it was taken; `undefined` where that is not known, or means
   * nothing any more.
   */
  async hand(
    link: SubmitterLink,
    call: RemoteCall,
    { worker, label }: Holder,
    bytes: Uint8Array,
  ): Promise<boolean | undefined> {
    const holder = {
      ...{ worker, label, run: HANDED },
      ...{ message: HANDED, delivery: HANDED },
    };
    call.holder = holder;
    call.worker = STARTED;
    call.attempts++;
    call.missed = 0;
    call.unsure = true;
    this.#isUnderWay = true;
    try {
      const isTaken = await link.hand(worker, bytes);
      if (call.holder !== holder) return undefined;
      call.unsure = false;
      return isTaken;
    } catch {
      // The watch asks the worker.
      return undefined;
    } finally {
      this.#isUnderWay = false;
    }
  }
}

/** Nobody has a call any more. */
export function release(call: RemoteCall): void {
  call.holder = undefined;
  call.worker = undefined;
  call.unsure = false;
}
