/** Workers that the test plays, for pools whose calls have limits. */

import { assert } from "@std/assert";
import type { Future } from "../future.ts";
import {
  checkSubmitOptions,
  type SubmitOptions,
} from "../internal/call/limits.ts";
import type { CallMessage } from "../internal/call/protocol.ts";
import type { PoolKind } from "../internal/pool/pool_link.ts";
import { type Any, type Got, HandLink, HandPool, nameOf } from "./_hand.ts";

/** What a worker was asked to stop. */
export interface Asked {
  /** The name of the call that is meant. */
  readonly call: Any;
  readonly name: string;
  readonly message: string;
}

/** A worker that tells when a call with limits starts, and is asked to stop it. */
export class ControlLink extends HandLink {
  readonly asked: Asked[] = [];
  /** By slot, the calls whose start is to be told. */
  readonly watched = new Map<number, number>();
  readonly #names = new Map<number, Any>();

  override send(calls: readonly CallMessage[]): void {
    super.send(calls);
    for (const call of calls) {
      if (call.watched === undefined) {
        this.watched.delete(call.slot);
      } else {
        this.watched.set(call.slot, call.watched);
        this.#names.set(call.watched, nameOf(call));
      }
    }
  }

  override begin(): Got | undefined {
    const got = super.begin();
    const call = got && this.watched.get(got.slot);
    if (call !== undefined) {
      this.outbox.push(() => this.events.onStarted(got!.slot, call));
    }
    return got;
  }

  /** Starts the next call, and says so if that is to be told. */
  start(): this {
    this.begin();
    this.deliver();
    return this;
  }

  abort(_slot: number, call: number, name: string, message: string): void {
    this.asked.push({ call: this.#names.get(call), name, message });
  }

  die(how = "was killed by the test", error?: unknown): void {
    this.events.onDeath(how, error === undefined ? undefined : { error });
  }
}

/** A child: shares no memory, so what it was handed counts as started. */
export class ControlChild extends ControlLink {
  /** What its main thread has to say. */
  readonly answers: (() => void)[] = [];

  override hasStarted(): boolean {
    return true;
  }

  override takeBack(): boolean {
    return false;
  }

  recall(slots: readonly number[]): void {
    this.#giveBack(slots);
  }

  override abort(
    slot: number,
    call: number,
    name: string,
    message: string,
  ): void {
    if (this.flags.get(slot) === "waiting") this.#giveBack([slot]);
    else super.abort(slot, call, name, message);
  }

  #giveBack(slots: readonly number[]): void {
    const back = slots.filter((slot) => this.flags.get(slot) === "waiting");
    for (const slot of back) this.flags.set(slot, "taken back");
    this.answers.push(() => this.events.onReturned(back));
  }

  /** The pool hears the main thread. */
  answerFromMain(): void {
    // What it is asked meanwhile, it answers the next time.
    for (const tell of this.answers.splice(0)) tell();
  }
}

/**
 * A child that is told to stop a call says whether that was told of it; and one
 * whose calls are kept from it until it is ready.
 */
export class AnsweringChild extends ControlChild {
  readonly answersAbort = true;
  startsLate = true;
  /** Whether it is up: nothing is sent to it before. */
  isUp = false;
  /** Whether the call that runs has asked for its signal. */
  listens = false;

  override ready(): this {
    this.isUp = true;
    return super.ready();
  }

  override send(calls: readonly CallMessage[]): void {
    assert(this.isUp || !this.startsLate, "it was sent a call before its time");
    super.send(calls);
  }

  override begin(): Got | undefined {
    this.listens = false;
    return super.begin();
  }

  /** The call that runs asks for its signal. */
  listen(): this {
    this.listens = true;
    const { slot } = this.current!;
    const call = this.watched.get(slot);
    if (call !== undefined) {
      this.outbox.push(() => this.events.onListens(slot, call));
    }
    return this;
  }

  override abort(
    slot: number,
    call: number,
    name: string,
    message: string,
  ): void {
    const runs = this.flags.get(slot) !== "waiting";
    super.abort(slot, call, name, message);
    if (!runs) return;
    const { listens } = this;
    this.answers.push(() => this.events.onAborting(slot, call, listens));
  }
}

/** A pool whose calls the test stops. */
export class ControlPool extends HandPool {
  declare readonly links: ControlLink[];

  constructor(
    options: Partial<PoolKind> & { Link?: typeof ControlLink } = {},
  ) {
    super({ Link: ControlLink, ...options });
  }

  /** Submits `fn(...args)` through a view with these options. */
  with(options: SubmitOptions, fn: unknown, ...args: unknown[]): Future<Any> {
    return this.submit(fn, args, checkSubmitOptions(options));
  }

  get last(): ControlLink {
    return this.links.at(-1)!;
  }
}

/** A pool of children that the test plays. */
export class ControlChildPool extends ControlPool {
  declare readonly links: ControlChild[];

  constructor(options: Partial<PoolKind> = {}) {
    super({ Link: ControlChild, ...options });
  }
}

/** A pool of children that answer. */
export class AnsweringPool extends ControlPool {
  declare readonly links: AnsweringChild[];

  constructor(options: Partial<PoolKind> = {}) {
    super({ Link: AnsweringChild, ...options });
  }
}

/** A ready worker that begins nothing for so long is deaf, in milliseconds. */
export const DEAF_MS = 1000;
/** One that takes so long for modules and initializer holds calls up, in milliseconds. */
export const SLOW_MS = 5000;

/** How long a call that was asked to stop may take to end, in milliseconds. */
export const GRACE_MS = 100;
