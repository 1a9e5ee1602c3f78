/** The contract of `cancel()` in a race with the call that it is about, in many random tries. */

import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { CancelledError } from "../../errors.ts";
import type { Executor } from "../../executor.ts";
import type { Future } from "../../future.ts";
import { turn } from "../_helpers.ts";
import { contractTest, type ExecutorKind, generator } from "./kind.ts";

/** How many calls are tried with each kind: `RACE_TRIES`, or 4,000. */
const tries = Number(Deno.env.get("RACE_TRIES") ?? 4_000);
/** As many are tried in one test, which has an upper bound of time. */
const AT_ONCE = 4_000;
/** As many have one pool. */
const IN_A_POOL = 500;

/** Where calls leave a mark that they ran: memory that is shared, or else a file. */
type Where = SharedArrayBuffer | string;

// Each is a function of its own, of which the pool learns how long it takes:
// what is long among the calls of the first, passes for short.
const tasks = [1, 2, 3].map(() => (where: Where, id: number, ms: number) => {
  if (typeof where === "string") {
    Deno.writeTextFileSync(where, `${id}\n`, { append: true });
  } else {
    Atomics.add(new Uint8Array(where), id, 1);
  }
  const end = performance.now() + ms;
  while (ms > 0 && performance.now() < end);
  return id;
});

/** How often each call ran. */
function readMarks(where: Where): Uint8Array {
  if (typeof where !== "string") return new Uint8Array(where);
  const marks = new Uint8Array(AT_ONCE);
  const lines = Deno.readTextFileSync(where).split("\n");
  for (const id of lines.slice(0, -1)) marks[Number(id)]++;
  return marks;
}

/** Submits, cancels and waits in one pool, in an order that the seed says. */
class Race {
  readonly #pool: Executor;
  readonly #where: Where;
  readonly #random: (below: number) => number;
  readonly #nextId: () => number | undefined;
  /** Those that nobody cancelled, or in vain, the last one last. */
  readonly #uncertain: [id: number, future: Future<number>][] = [];
  readonly futures = new Map<number, Future<number>>();
  /** Those whose `cancel()` was true. */
  readonly cancelled = new Set<number>();
  /** Those whose results `map()` gave. */
  readonly given = new Set<number>();

  constructor(
    pool: Executor,
    where: Where,
    random: (below: number) => number,
    nextId: () => number | undefined,
  ) {
    this.#pool = pool;
    this.#where = where;
    this.#random = random;
    this.#nextId = nextId;
  }

  /** @returns whether there is more to do. */
  async step(): Promise<boolean> {
    const random = this.#random;
    const dice = random(100);
    if (dice < 45) return this.#submit(1);
    if (dice < 55) return this.#submit(1 + random(30));
    if (dice < 58) return await this.#map(1 + random(20));
    if (dice < 65) this.#cancel(1, true);
    else if (dice < 75) this.#cancel(1 + random(20), true);
    else if (dice < 80) this.#cancel(1 + random(20), false);
    else if (dice < 88) await null;
    else if (dice < 97) await turn();
    else await this.#uncertain[random(this.#uncertain.length)]?.[1].result();
    return true;
  }

  /** Mostly next to nothing, now and then enough to hold up those behind. */
  #length(): number {
    const dice = this.#random(100);
    return dice < 90 ? 0 : dice < 98 ? 0.3 : 6;
  }

  #submit(count: number): boolean {
    const task = tasks[this.#random(tasks.length)];
    for (let i = 0; i < count; i++) {
      const id = this.#nextId();
      if (id === undefined) return false;
      const ms = this.#length();
      const future = this.#pool.submit(task, this.#where, id, ms);
      this.futures.set(id, future);
      this.#uncertain.push([id, future]);
    }
    return true;
  }

  /** Reads some results, and goes: which cancels those that have not started. */
  async #map(count: number): Promise<boolean> {
    const task = tasks[this.#random(tasks.length)];
    const ids: number[] = [];
    for (let id; ids.length < count && (id = this.#nextId()) !== undefined;) {
      ids.push(id);
    }
    const results = this.#pool.map(
      task,
      ids.map(() => this.#where),
      ids,
      ids.map(() => this.#length()),
      { chunksize: ([1, 3, "auto"] as const)[this.#random(3)] },
    );
    let left = this.#random(count + 1);
    for await (const id of results) {
      this.given.add(id);
      if (--left <= 0) break;
    }
    return ids.length === count;
  }

  #cancel(count: number, last: boolean): void {
    const some = last
      ? this.#uncertain.splice(-count).reverse()
      : this.#uncertain.splice(0, count);
    for (const [id, future] of some) {
      // Half of them are asked first, which must change nothing.
      const ran = this.#random(2) === 0 && (future.running() || future.done());
      if (!future.cancel()) continue;
      assert(!ran, `call ${id} ran, and was cancelled`);
      this.cancelled.add(id);
    }
  }
}

export function testRaces(kind: ExecutorKind): void {
  const test = contractTest(kind);
  // Over a network, a mix of fewer calls is in `calls.ts`.
  if (kind.many !== undefined) return;

  for (let seed = 1; seed <= Math.ceil(tries / AT_ONCE); seed++) {
    test(`a call whose cancel() was true has never run, and each other one once, in a mix of ${AT_ONCE} calls (seed ${seed})`, async () => {
      const next = generator(seed);
      const random = (below: number) => Math.floor(next() * below);
      const file = kind.can.shareMemory ? undefined : await Deno.makeTempFile();
      const where = file ?? new SharedArrayBuffer(AT_ONCE);
      const races: Race[] = [];
      let id = 0;
      while (id < AT_ONCE) {
        const end = id + IN_A_POOL;
        const pool = kind.make({
          maxWorkers: 1 + random(3),
          maxTasksPerChild: random(2) === 0 ? 40 + random(60) : undefined,
        });
        const race = new Race(
          pool,
          where,
          random,
          () => id < end ? id++ : undefined,
        );
        races.push(race);
        while (await race.step());
        const cancelFutures = random(2) === 0;
        await pool.shutdown({ cancelFutures });
        for (const [id, future] of race.futures) {
          if (cancelFutures && future.cancelled()) race.cancelled.add(id);
        }
      }
      const marks = readMarks(where);
      if (file) await Deno.remove(file);
      let cancelled = 0;
      for (const race of races) {
        cancelled += race.cancelled.size;
        for (const [id, future] of race.futures) {
          const isCancelled = race.cancelled.has(id);
          assertEquals(marks[id], isCancelled ? 0 : 1, `call ${id}`);
          assertEquals(future.cancelled(), isCancelled);
          const result = await future.result().catch((error) => error);
          if (isCancelled) assertInstanceOf(result, CancelledError);
          else assertEquals(result, id);
        }
        for (const id of race.given) assertEquals(marks[id], 1, `item ${id}`);
      }
      // What map() left undone ran once or never.
      assert(marks.every((times) => times <= 1));
      const share = cancelled / AT_ONCE;
      assert(share > 0.1 && share < 0.9, `${cancelled} were cancelled`);
    });
  }
}
