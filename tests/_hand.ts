/** A pool whose workers the test plays, event by event. */

import { assert, assertEquals } from "@std/assert";
import { BrokenThreadPool } from "../errors.ts";
import type { Future } from "../future.ts";
import type {
  CallMessage,
  Outcome,
  Thrown,
} from "../internal/call/protocol.ts";
import { taskModule } from "../internal/functions/describe.ts";
import { Pool } from "../internal/pool/pool.ts";
import type {
  LinkEvents,
  PoolKind,
  PoolLink,
} from "../internal/pool/pool_link.ts";
import { FakeClock, turn } from "./_helpers.ts";

// deno-lint-ignore no-explicit-any -- calls of whatever type
export type Any = any;

// ---- A worker whose every step the test takes ------------------------------

/** A call as the worker got it. */
export interface Got {
  readonly slot: number;
  /** The first argument: what the tests call a call. */
  readonly name: Any;
}

export function nameOf({ args }: CallMessage): Any {
  return (args as unknown[])[0];
}

/** Whether a call waits, has started, or was taken back. */
export type Flag = "waiting" | "started" | "taken back";

/**
 * A worker as `worker_runtime.ts` is one, but for its clock: `begin` has it take
 * the next call, `finish` end it, and `deliver` lets the pool hear of it.
 */
export class HandLink implements PoolLink {
  readonly label: string;
  readonly index: number;
  readonly depth: number;
  readonly events: LinkEvents;
  /** Every message, by the names of its calls. */
  readonly messages: Any[][] = [];
  /** The slots of all calls, in the order in which they came. */
  readonly slots: number[] = [];
  /** The names of the calls that were started. */
  readonly started: Any[] = [];
  /** The flags of the slots that are in use. */
  readonly flags = new Map<number, Flag>();
  /** Calls that came and were not yet looked at. */
  readonly inbox: Got[] = [];
  /** What the pool was not yet told. */
  readonly outbox: (() => void)[] = [];
  skipped: number[] = [];
  current: Got | undefined;
  /** How often it was ended, or killed. */
  ended = 0;
  killedBy: Deno.Signal | undefined;
  /** What `end()` waits for. */
  gone: Promise<void> = Promise.resolve();
  /** Throws what `send` is to throw. */
  check: (calls: readonly CallMessage[]) => void = () => {};

  constructor(index: number, depth: number, events: LinkEvents) {
    this.label = `worker "hand_${index}"`;
    this.index = index;
    this.depth = depth;
    this.events = events;
  }

  // ---- What the pool asks

  send(calls: readonly CallMessage[]): void {
    assertEquals(this.ended, 0, "nothing is sent to a worker that was ended");
    assert(calls.length > 0, "no message is empty");
    this.check(calls);
    this.messages.push(calls.map(nameOf));
    // As `postMessage` does.
    for (const call of structuredClone(calls)) {
      const { slot } = call;
      assert(!this.flags.has(slot), `slot ${slot} is in use`);
      this.flags.set(slot, "waiting");
      this.slots.push(slot);
      this.inbox.push({ slot, name: nameOf(call) });
    }
  }

  hasStarted(slot: number): boolean {
    return this.flags.get(slot) === "started";
  }

  takeBack(slot: number): boolean {
    assert(this.flags.has(slot), `slot ${slot} is of no call`);
    if (this.flags.get(slot) !== "waiting") return false;
    this.flags.set(slot, "taken back");
    return true;
  }

  end(): Promise<void> {
    this.ended++;
    return this.gone;
  }

  kill(signal: Deno.Signal): Promise<void> {
    this.ended++;
    this.killedBy = signal;
    return this.gone;
  }

  // ---- What the worker does

  /** Modules are imported, and the initializer has run. */
  ready(): this {
    this.events.onReady();
    return this;
  }

  /** Starts the next call that was not taken back. */
  begin(): Got | undefined {
    assertEquals(this.current, undefined, "one call at a time");
    for (let got; (got = this.inbox.shift());) {
      if (this.flags.get(got.slot) === "taken back") {
        this.skipped.push(got.slot);
        continue;
      }
      this.flags.set(got.slot, "started");
      this.started.push(got.name);
      return this.current = got;
    }
    const slots = this.skipped;
    this.skipped = [];
    if (slots.length > 0) {
      this.outbox.push(() => {
        for (const slot of slots) this.flags.delete(slot);
        this.events.onSkipped(slots);
      });
    }
    return undefined;
  }

  /** Ends the call that runs, or the next. */
  finish(outcome: Outcome = returned(undefined), ms = 1): void {
    const { slot } = this.current ?? this.begin()!;
    this.current = undefined;
    this.outbox.push(() => {
      this.flags.delete(slot);
      this.events.onOutcome(slot, ms, outcome);
    });
  }

  /** Tells the pool all that it was not told. */
  deliver(): void {
    for (let tell; (tell = this.outbox.shift());) tell();
  }

  /** Ends the call that runs, or the next, and says so. */
  answer(value?: unknown, ms = 1): void {
    this.finish(returned(value), ms);
    this.deliver();
  }

  /** Passes calls over that were taken back, and says so. */
  skip(): void {
    assertEquals(this.begin(), undefined);
    this.deliver();
  }

  /** The names of the calls that it has and that were not taken back. */
  get holds(): Any[] {
    const waiting = this.inbox.filter(({ slot }) =>
      this.flags.get(slot) === "waiting"
    );
    return [this.current, ...waiting].flatMap((got) => got ? [got.name] : []);
  }
}

export function returned(value: unknown): Outcome {
  return { is: "returned", value };
}

export function threw(thrown: Thrown): Outcome {
  return { is: "threw", what: thrown };
}

/** An exception as a worker records it. */
export function record(name: string, message: string): Thrown {
  return {
    thrown: { error: 0 },
    errors: [{
      class: [name],
      name,
      message,
      stack: `${name}: ${message}`,
      links: {},
      props: {},
    }],
  };
}

/** A pool of workers that the test plays. */
export class HandPool extends Pool {
  /** All workers that were started. */
  readonly links: HandLink[];

  constructor(
    options: Partial<PoolKind> & {
      onOpen?: (link: HandLink) => void;
      /** What to start as a worker. */
      Link?: typeof HandLink;
    } = {},
  ) {
    const { Link = HandLink } = options;
    const links: HandLink[] = [];
    super({
      name: "HandPool",
      maxWorkers: 1,
      modules: [],
      idleTimeout: 200,
      broken: BrokenThreadPool,
      slots: 256,
      maxTasks: Infinity,
      onWorkerLost: "break",
      pack: (_fn, args, now) => now ? args : structuredClone(args),
      open(index, depth, events) {
        const link = new Link(index, depth, events);
        options.onOpen?.(link);
        links.push(link);
        return link;
      },
      ...options,
    });
    this.links = links;
  }

  /** Submits `fn(...args)`, as an executor does. */
  call(fn: unknown, ...args: unknown[]): Future<Any> {
    return this.submit(fn, args);
  }

  /** What each worker has, taken-back calls aside. */
  get held(): Any[][] {
    return this.links.map((link) => link.holds);
  }

  /** Has a worker of its own run all calls that the test left. */
  async finishAll(): Promise<void> {
    for (let busy = true; busy;) {
      busy = false;
      await turn();
      for (const link of this.links) {
        if (link.ended > 0) continue;
        link.ready();
        while (link.current || link.begin()) {
          busy = true;
          link.answer();
        }
        busy ||= link.outbox.length > 0;
        link.deliver();
      }
    }
  }
}

let functions = 0;

/** A function that no pool knows anything about. */
export function unknownFn(name = `call${functions++}`): Any {
  return taskModule<Any>("file:///tasks.ts")[name];
}

/** A function of whose calls all pools know that they take `ms` milliseconds. */
export async function knownFn(ms: number): Promise<Any> {
  const fn = unknownFn();
  const pool = new HandPool();
  pool.call(fn);
  pool.links[0].ready().answer(undefined, ms);
  await pool.shutdown();
  return fn;
}

/** A test whose clock stands still until it moves it. */
export function test(
  name: string,
  fn: (clock: FakeClock) => void | Promise<void>,
  options: { ignore?: boolean } = {},
): void {
  Deno.test({
    name,
    ...options,
    async fn() {
      const clock = new FakeClock();
      try {
        await fn(clock);
      } finally {
        clock.restore();
      }
    },
  });
}

/** Submits calls with these names, and has them handed over. */
export async function callAll(
  pool: HandPool,
  fn: unknown,
  names: Iterable<unknown>,
): Promise<Future<Any>[]> {
  const futures = [...names].map((name) => pool.call(fn, name));
  await turn();
  return futures;
}

/**
 * A pool whose first worker runs "running" and has calls waiting behind it; its
 * other workers run calls of which nothing is known.
 */
export async function poolWithCallsBehind(
  behind: Iterable<unknown>,
  maxWorkers = 1,
): Promise<{ pool: HandPool; fn: Any; futures: Future<Any>[] }> {
  const fn = await knownFn(0.001);
  const pool = new HandPool({ maxWorkers });
  const futures = [pool.call(fn, "running")];
  for (let i = 1; i < maxWorkers; i++) pool.call(unknownFn(), `unknown ${i}`);
  for (const link of pool.links) link.ready().begin();
  for (const name of behind) {
    futures.push(pool.call(fn, name));
    await turn();
  }
  return { pool, fn, futures };
}
