/** Workers that the test plays, for pools that send items of a `map` in chunks. */

import { assert, assertEquals } from "@std/assert";
import { BrokenProcessPool } from "../errors.ts";
import { NO_OPTIONS } from "../internal/call/limits.ts";
import { MapResults, splitMapArguments } from "../internal/call/map_results.ts";
import type { CallMessage, Outcome } from "../internal/call/protocol.ts";
import type { PoolKind } from "../internal/pool/pool_link.ts";
import { type Any, type Got, HandLink, HandPool, returned } from "./_hand.ts";

/** More than any chunk has items. */
const TAKEN = 1 << 30;

/** A call or a chunk as the worker has it. */
interface Entry {
  readonly slot: number;
  readonly isChunk: boolean;
  /** What the tests call its items. */
  readonly names: readonly Any[];
  /** The number of the item that it comes to next. */
  next: number;
  /** How many outcomes the pool has not heard. */
  unheard: number;
  /** Whether the pool knows that nothing more of it will start. */
  isOver: boolean;
}

/** An item that runs. */
interface Running extends Got {
  readonly item: number;
  readonly entry: Entry;
}

/** A worker that claims the items of a chunk one by one, as `worker_runtime.ts` does. */
export class ChunkLink extends HandLink {
  /** What of each slot in use has started, as the two sides share it. */
  readonly claims = new Map<number, number>();
  readonly entries: Entry[] = [];
  declare current: Running | undefined;
  /** What it passed over and has not told of. */
  #passed: Entry[] = [];
  /** What of the outbox tells of an outcome. */
  readonly outcomes = new WeakSet<() => void>();

  override send(calls: readonly CallMessage[]): void {
    assertEquals(this.ended, 0, "nothing is sent to a worker that was ended");
    assert(calls.length > 0, "no message is empty");
    this.check(calls);
    this.messages.push(calls.map(namesOf).map((names) => names.join("")));
    for (const call of structuredClone(calls)) {
      const { slot, count } = call;
      const names = namesOf(call);
      assertEquals(names.length, count ?? 1, "each item has arguments");
      assert(names.length > 0, "no chunk is empty");
      assert(!this.claims.has(slot), `slot ${slot} is in use`);
      this.claims.set(slot, 0);
      this.slots.push(slot);
      this.entries.push({
        slot,
        isChunk: count !== undefined,
        names,
        next: 0,
        unheard: 0,
        isOver: false,
      });
    }
  }

  override hasStarted(slot: number): boolean {
    return this.claims.get(slot)! > 0;
  }

  override takeBack(slot: number): boolean {
    assert(this.claims.has(slot), `slot ${slot} is of no call`);
    if (this.claims.get(slot) !== 0) return false;
    this.claims.set(slot, -1);
    return true;
  }

  /** Has no more of a chunk start. */
  takeAll(slot: number): number {
    const claimed = this.claims.get(slot) ?? TAKEN;
    if (this.claims.has(slot)) this.claims.set(slot, TAKEN);
    return claimed;
  }

  override begin(): Running | undefined {
    assertEquals(this.current, undefined, "one call at a time");
    for (let entry; (entry = this.entries[0]); this.entries.shift()) {
      if (entry.next >= entry.names.length) continue;
      const { slot, next: item } = entry;
      const claimed = this.claims.get(slot)!;
      if (claimed !== item) {
        this.#passed.push(entry);
        continue;
      }
      this.claims.set(slot, claimed + 1);
      entry.next++;
      entry.unheard++;
      const name = entry.names[item];
      this.started.push(name);
      return this.current = { slot, name, item, entry };
    }
    const passed = this.#passed;
    this.#passed = [];
    if (passed.length > 0) {
      this.outbox.push(() => {
        for (const entry of passed) this.#over(entry);
        this.events.onSkipped(passed.map(({ slot }) => slot));
      });
    }
    return undefined;
  }

  /** What tells the pool of an outcome. */
  outcomeOf(
    { slot, item, entry }: Running,
    outcome: Outcome,
    ms: number,
  ): () => void {
    const tell = () => {
      entry.unheard--;
      if (entry.next >= entry.names.length) this.#over(entry);
      else this.#free(entry);
      this.events.onOutcome(slot, ms, outcome, false, item);
    };
    this.outcomes.add(tell);
    return tell;
  }

  override finish(outcome: Outcome = returned(undefined), ms = 1): void {
    const running = this.current ?? this.begin()!;
    this.current = undefined;
    this.outbox.push(this.outcomeOf(running, outcome, ms));
  }

  #over(entry: Entry): void {
    entry.isOver = true;
    this.#free(entry);
  }

  #free({ isOver, unheard, slot }: Entry): void {
    if (isOver && unheard === 0) this.claims.delete(slot);
  }

  /** The names of what it has and that was not taken back. */
  override get holds(): Any[] {
    const waiting = this.entries.flatMap(({ slot, next, names }) =>
      this.claims.get(slot) === next ? names.slice(next) : []
    );
    return this.current ? [this.current.name, ...waiting] : waiting;
  }

  /** Runs so many calls, each of which returns its name. */
  run(count: number, ms = 0.001): void {
    for (let i = 0; i < count; i++) {
      this.finish(returned((this.current ?? this.begin()!).name), ms);
      this.deliver();
    }
  }

  die(how = "was killed by the test"): void {
    this.events.onDeath(how);
  }
}

function namesOf({ args, count }: CallMessage): Any[] {
  const all = args as Any[][];
  return count === undefined ? [all[0]] : all.map(([name]) => name);
}

/** One that shares memory with the pool. */
export class ChunkThread extends ChunkLink {
  takeRest(slot: number): number {
    return this.takeAll(slot);
  }
}

/** One that is asked, by its main thread. */
export class ChunkChild extends ChunkLink {
  readonly recalls: (readonly [readonly number[], readonly number[]])[] = [];
  /** What its main thread has to say. */
  readonly answers: (() => void)[] = [];

  override send(calls: readonly CallMessage[]): void {
    // A child reads what it is told in order.
    this.answerRecalls();
    super.send(calls);
  }

  override hasStarted(): boolean {
    return true;
  }

  override takeBack(): boolean {
    return false;
  }

  recall(slots: readonly number[], chunks: readonly number[]): void {
    assertEquals(this.ended, 0, "nothing is asked of a child that was ended");
    assert(slots.length + chunks.length > 0, "no recall is empty");
    this.recalls.push([slots, chunks]);
  }

  /** The main thread takes what it was asked for. */
  answerRecalls(): this {
    for (let recall; (recall = this.recalls.shift());) {
      const [slots, chunks] = recall;
      const back = slots.filter((slot) => this.claims.get(slot) === 0);
      for (const slot of back) this.claims.set(slot, -1);
      const rest = chunks.map((slot) => [slot, this.takeAll(slot)] as const);
      this.answers.push(() => this.events.onReturned(back, rest));
    }
    return this;
  }

  /** The main thread writes what the worker has left and not written. */
  takeOver(): this {
    for (const tell of this.outbox.splice(0)) {
      (this.outcomes.has(tell) ? this.answers : this.outbox).push(tell);
    }
    return this;
  }

  /** The pool hears the main thread. */
  deliverMain(): this {
    for (let tell; (tell = this.answers.shift());) tell();
    return this;
  }
}

/** A pool of workers that the test plays and that take chunks. */
export class ChunkPool extends HandPool {
  declare readonly links: ChunkThread[];

  constructor(
    options: Partial<PoolKind> & { Link?: typeof ChunkLink } = {},
  ) {
    const chunks = { isFlat: () => false, takes: () => true };
    super({ Link: ChunkThread, chunks, ...options });
  }

  /** As an executor's `map` does. */
  override map(fn: Any, ...rest: Any[]): Any {
    const { inputs, options } = splitMapArguments(fn, rest);
    const { chunksize: most = Infinity, unordered } = options;
    const items = super.map(fn, NO_OPTIONS, { most, unordered });
    return new MapResults<Any>(items, inputs, options);
  }

  /** The calls, by what has become of them. */
  get counts(): string {
    const { waiting, running, finished, failed, cancelled } =
      this.stats().calls;
    return [waiting, running, finished, failed, cancelled].join(" ");
  }
}

/** A pool of children that the test plays. */
export class ChunkChildPool extends ChunkPool {
  declare readonly links: Any[];

  constructor(options: Partial<PoolKind> = {}) {
    super({ broken: BrokenProcessPool, Link: ChunkChild, ...options });
  }

  /** Has children run all calls that the test left. */
  async runAll(): Promise<void> {
    for (let busy = true; busy;) {
      await this.finishAll();
      busy = false;
      for (const link of this.links as ChunkChild[]) {
        if (link.ended > 0) continue;
        busy ||= link.recalls.length + link.answers.length > 0;
        link.answerRecalls().deliverMain();
        busy ||= link.entries.length > 0 || link.outbox.length > 0;
      }
    }
  }
}
