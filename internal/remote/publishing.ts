/**
 * How calls get to workers elsewhere: in the order of their submission, a number of
 * them on their way at once, or handed over past the queue.
 *
 * ## Past the queue
 *
 * A worker that has just ended a call is probably free. So the next call, if no
 * other waits, is handed to it, with the "go": half of the way. From here on the
 * future is running. A worker that is not free after all says so, and the call is
 * published, and pending as before. Where no word comes, the worker is asked; one
 * that has it not takes it no more, should it come after all.
 */

import { BrokenExecutor } from "../../errors.ts";
import { Deque } from "../base/deque.ts";
import { soon } from "../base/timers.ts";
import type { FunctionRef } from "../call/protocol.ts";
import { label } from "../functions/describe.ts";
import type { Packed } from "../values/codec.ts";
import { type CallHead, PROTOCOL, toBytes } from "./envelope.ts";
import { Handing } from "./handing.ts";
import {
  type Holder,
  move,
  PUBLISHED,
  type RemoteCall,
} from "./remote_call.ts";
import type { SubmitterLink } from "./transport.ts";

/** How many calls may be on their way to the server at once. */
const MOST_UNDER_WAY = 256;

/** What is asked, and told. */
export interface PublishingEvents {
  /** There is no connection, and there should be. */
  open(): void;
  /** A call can't be stored. */
  onFailed(call: RemoteCall, error: unknown): void;
}

/** The way of one program's calls to their workers. */
export class Publishing {
  readonly #kind: { refer(fn: FunctionRef): FunctionRef };
  readonly #calls: ReadonlyMap<number, RemoteCall>;
  readonly #events: PublishingEvents;
  readonly #handing: Handing;
  /** Those that were not published; those that were released stay a while. */
  readonly #queue = new Deque<RemoteCall>();
  #dropped = 0;
  #underWay = 0;
  /** The messages of calls that nobody has taken, and that were cancelled. */
  #leftovers: number[] = [];
  #link: SubmitterLink | undefined;
  #planned = false;

  /** @param kind How a worker finds a function. */
  constructor(
    calls: ReadonlyMap<number, RemoteCall>,
    kind: { refer(fn: FunctionRef): FunctionRef },
    events: PublishingEvents,
  ) {
    this.#calls = calls;
    this.#kind = kind;
    this.#events = events;
    this.#handing = new Handing(calls);
  }

  /** Whether there is nothing to publish. */
  get isEmpty(): boolean {
    return this.#queue.size === this.#dropped;
  }

  /** Whether calls are on their way to the server. */
  get isUnderWay(): boolean {
    return this.#underWay > 0;
  }

  add(call: RemoteCall): void {
    this.#queue.push(call);
    this.plan();
  }

  start(link: SubmitterLink): void {
    this.#link = link;
    this.#pump();
  }

  stop(): void {
    this.#link = undefined;
    this.#handing.forget();
  }

  /** A worker has ended a call that it held. */
  offer(free: Holder): void {
    this.#handing.offer(free);
  }

  /** A call that nobody has started is not wanted any more. */
  drop({ stage, messages }: RemoteCall): void {
    if (stage.is !== "queued") {
      this.#leftovers.push(...messages);
      return;
    }
    this.#dropped++;
  }

  /** Lets go of those in the queue that are not wanted, where they are many. */
  compact(): void {
    if (this.#dropped <= 1000 || this.#dropped * 2 <= this.#queue.size) return;
    this.#queue.filter(({ stage }) => stage.is !== "released");
    this.#dropped = 0;
  }

  clear(): void {
    this.#queue.filter(() => false);
    this.#dropped = 0;
  }

  takeLeftovers(): number[] {
    return this.#leftovers.splice(0);
  }

  /** Publishes once for all that is submitted in this turn of the event loop. */
  plan(): void {
    if (this.#planned) return;
    this.#planned = true;
    soon(() => {
      this.#planned = false;
      this.#pump();
    });
  }

  #pump(): void {
    const link = this.#link;
    if (!link) return this.#events.open();
    // What comes behind a call that may have to be published stays behind it.
    while (this.#underWay < MOST_UNDER_WAY && !this.#handing.isUnderWay) {
      const call = this.#queue.shift();
      if (!call) return;
      if (call.stage.is === "released") this.#dropped--;
      else this.#send(link, call);
    }
  }

  #send(link: SubmitterLink, call: RemoteCall): void {
    const free = this.#handing.freeFor(call);
    if (free) this.#hand(link, call, free);
    else this.publish(call);
  }

  #toBytes(link: SubmitterLink, call: RemoteCall): Uint8Array {
    const { limits } = call;
    const head: CallHead = {
      v: PROTOCOL,
      id: `${call.id}`,
      from: link.id,
      lease: link.lease,
      fn: this.#kind.refer(call.fn),
      ...(limits?.timeLimit !== undefined &&
        Number.isFinite(limits.timeLimit) &&
        { timeLimit: limits.timeLimit }),
      ...(limits && limits.signals.length > 0 && { stoppable: true }),
    };
    return toBytes(head, call.args as Packed);
  }

  /** Has a call wait for a worker, as one message more. */
  publish(call: RemoteCall): void {
    const link = this.#link;
    if (!link) return;
    move(call, PUBLISHED);
    const storing = this.#store(link, call).finally(() => {
      if (call.storing === storing) call.storing = undefined;
      this.#underWay--;
      this.#pump();
    });
    call.storing = storing;
    this.#underWay++;
  }

  async #store(link: SubmitterLink, call: RemoteCall): Promise<void> {
    const { id } = call;
    try {
      const message = await link.publish(
        `${link.id} ${id} ${call.rounds++}`,
        this.#toBytes(link, call),
      );
      if (this.#calls.get(id) === call) call.messages.push(message);
      else if (call.future.cancelled()) this.#leftovers.push(message);
    } catch (error) {
      if (this.#calls.get(id) !== call) return;
      const why = error instanceof Error ? error.message : String(error);
      this.#events.onFailed(
        call,
        new BrokenExecutor(`Cannot send ${label(call.fn)}: ${why}`, {
          cause: error,
        }),
      );
    }
  }

  /** See "Past the queue" above. */
  async #hand(
    link: SubmitterLink,
    call: RemoteCall,
    free: Holder,
  ): Promise<void> {
    const bytes = this.#toBytes(link, call);
    const isTaken = await this.#handing.hand(link, call, free, bytes);
    if (isTaken === false) this.onNotTaken(call);
    this.#pump();
  }

  onNotTaken(call: RemoteCall): void {
    call.starts.pop();
    this.publish(call);
  }

  /** Publishes again what may be lost on the way to its workers. */
  again(): void {
    for (const call of this.#calls.values()) {
      // The worker that one was handed to is asked first, that holds one told.
      if (call.stage.is === "published") this.publish(call);
    }
  }
}
