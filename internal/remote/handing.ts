/** Calls that are handed to workers past the queue. `remote/submitter.ts` says when. */

import { ownClock } from "../base/timers.ts";
import {
  handedTo,
  heldBy,
  heldStage,
  type Holder,
  move,
  type RemoteCall,
} from "./remote_call.ts";
import type { SubmitterLink } from "./transport.ts";

/** For how long a worker that ended a call is taken for free, in milliseconds. */
const OFFER = 100;
/** With more calls than this, they wait in the queue. */
const FEW = 4;

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
      if (other !== call && !heldStage(other)) return undefined;
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
    free: Holder,
    bytes: Uint8Array,
  ): Promise<boolean | undefined> {
    const holder = handedTo(free);
    call.starts.push(holder);
    move(call, heldBy(holder, "handed"));
    this.#isUnderWay = true;
    try {
      const isTaken = await link.hand(holder.worker, bytes);
      if (!isHandedTo(call, holder)) return undefined;
      if (isTaken) move(call, heldBy(holder, "held"));
      return isTaken;
    } catch {
      // The watch asks the worker.
      return undefined;
    } finally {
      this.#isUnderWay = false;
    }
  }
}

function isHandedTo({ stage }: RemoteCall, holder: Holder): boolean {
  return stage.is === "handed" && stage.holder === holder;
}
