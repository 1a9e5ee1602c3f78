/** Maps, submits, cuts and cancels in whatever order: what holds whatever comes. */

import { assert } from "@std/assert";
import { CancelledError } from "../../errors.ts";
import type { Future } from "../../future.ts";
import { type Any, knownFn, returned, test, unknownFn } from "../_hand.ts";
import { ChunkChild, ChunkChildPool, ChunkPool } from "../_hand_chunks.ts";
import type { ChunkLink } from "../_hand_chunks.ts";
import type { FakeClock } from "../_helpers.ts";

/** How many games are played: `FAST_CHECK_RUNS`, or 300. */
const runs = Number(Deno.env.get("FAST_CHECK_RUNS") ?? 300);

/** A small generator of numbers that are the same for the same seed. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 1103515245 + 12345) % 2 ** 31;
    return Math.floor(state / 2 ** 31 * below);
  };
}

interface Mapped {
  readonly ids: number[];
  readonly read: unknown[];
  readonly results: AsyncIterableIterator<unknown>;
  isOver: boolean;
  isLeft: boolean;
  asked: boolean;
}

async function play(
  clock: FakeClock,
  fns: readonly Any[],
  seed: number,
): Promise<void> {
  const random = generator(seed);
  const check = (holds: boolean, what: string) =>
    assert(holds, `${what} (seed ${seed})`);
  const maxWorkers = 1 + random(3);
  const slots = [4, 8, 256][random(3)];
  const pool: ChunkPool = random(2) === 0
    ? new ChunkChildPool({ maxWorkers, slots })
    : new ChunkPool({ maxWorkers, slots });
  const links = () =>
    (pool.links as ChunkLink[]).filter(({ ended }) => ended === 0);
  let ids = 0;
  const maps: Mapped[] = [];
  const calls: { id: number; future: Future<Any> }[] = [];
  /** Those that throw. */
  const bad = new Set<number>();
  let cancels = false;

  const newId = () => {
    if (random(200) === 0) bad.add(ids);
    return ids++;
  };
  const submit = () => {
    const id = newId();
    const future = pool.call(fns[random(fns.length)], id);
    calls.push({ id, future });
  };
  const map = () => {
    const count = random([2, 10, 100, 1000][random(4)]);
    const own: number[] = [];
    const inputs = function* () {
      for (let i = 0; i < count; i++) {
        const id = newId();
        own.push(id);
        yield id;
      }
    };
    const results = pool.map(fns[random(fns.length)], inputs(), {
      chunksize: random(2) === 0 ? undefined : 1 + random(20),
      buffersize: random(2) === 0 ? undefined : 1 + random(50),
    });
    maps.push({
      ids: own,
      read: [],
      results,
      isOver: false,
      isLeft: false,
      asked: false,
    });
  };
  const read = (map: Mapped) => {
    if (map.isOver || map.asked) return;
    map.asked = true;
    map.results.next().then(({ done, value }) => {
      map.asked = false;
      if (done) map.isOver = true;
      else map.read.push(value);
    }, (error) => {
      map.isOver = true;
      map.asked = false;
      map.read.push(error);
    });
  };
  const leave = (map: Mapped) => {
    map.isLeft = true;
    map.isOver = true;
    map.results.return!();
  };
  const step = (link: ChunkLink) => {
    if (!link.current) link.ready().begin();
    else {
      const { name } = link.current;
      const ms = random(30) === 0 ? 5 : 0.001;
      if (bad.has(name)) {
        link.finish({ is: "raised", error: `bad ${name}` }, ms);
      } else link.finish(returned(name), ms);
    }
  };
  const hear = (link: ChunkLink) => {
    if (link instanceof ChunkChild && random(3) === 0) {
      const dice = random(4);
      // Outcomes are taken by one thread or the other, in whatever order.
      if (dice === 0) link.takeOver();
      if (dice < 2) link.answerRecalls();
      for (let i = random(3); i > 0; i--) link.answers.shift()?.();
    } else link.outbox.shift()?.();
  };
  const sums = () => {
    const { waiting, running, finished, failed, cancelled } =
      pool.stats().calls;
    const all = waiting + running + finished + failed + cancelled;
    check(all === ids, `${all} of ${ids} calls are counted`);
    check(waiting >= 0 && running >= 0, "nothing is counted below zero");
  };

  const steps = 100 + random(400);
  for (let i = 0; i < steps; i++) {
    const all = links();
    const link = all[random(Math.max(all.length, 1))];
    const dice = random(100);
    if (dice < 4) submit();
    else if (dice < 10) map();
    else if (dice < 11 && calls.length > 0) {
      calls[random(calls.length)].future.cancel();
    } else if (dice < 50) link && step(link);
    else if (dice < 80) link && hear(link);
    else if (dice < 90) maps.length > 0 && read(maps[random(maps.length)]);
    else if (dice < 91) maps.length > 0 && leave(maps[random(maps.length)]);
    else if (dice < 97) clock.tick(random(5));
    for (let j = random(4); j > 0; j--) await null;
    sums();
  }

  // With buffersize, what is left to be read would be refused after the end.
  cancels = random(4) === 0;
  const finish = async () => {
    for (let i = 0; i < 20; i++) {
      for (const link of links()) {
        step(link);
        hear(link);
        if (link instanceof ChunkChild) {
          link.answerRecalls();
          link.answers.shift()?.();
        }
      }
    }
    maps.forEach(read);
    for (let j = 0; j < 5; j++) await null;
    // What is read after a shutdown is refused, and so not counted.
    if (!cancels) sums();
  };
  let over: Promise<void> | undefined;
  if (cancels) over = pool.shutdown({ cancelFutures: true });
  for (let i = 0; i < 20_000 && maps.some(({ isOver }) => !isOver); i++) {
    await finish();
    if (i % 10 === 0) clock.tick(random(5));
  }
  check(maps.every(({ isOver }) => isOver), "each map comes to its end");
  over ??= pool.shutdown();
  for (let i = 0; i < 20_000 && links().length > 0; i++) {
    await finish();
    if (i % 10 === 0) clock.tick(random(5));
  }
  check(links().length === 0, "all workers end");
  await over;

  const begun = pool.links.flatMap(({ started }) => started);
  check(new Set(begun).size === begun.length, "no item is begun twice");
  for (const { ids, read, isLeft } of maps) {
    for (const [i, value] of read.entries()) {
      if (value === ids[i]) continue;
      check(i === read.length - 1, "an error comes last");
      check(
        value === `bad ${ids[i]}` && bad.has(ids[i]) ||
          cancels && (value instanceof CancelledError) &&
            !begun.includes(ids[i]) ||
          cancels && `${value}`.includes("after shutdown"),
        `result ${i} is ${value}`,
      );
    }
    if (!isLeft && read.length < ids.length) {
      check(
        typeof read.at(-1) !== "number",
        "what was not left is read as a whole",
      );
    }
  }
  for (const { id, future } of calls) {
    check(future.done(), "each call ends");
    check(future.cancelled() !== begun.includes(id), "cancelled, or begun");
  }
  const { waiting, running } = pool.stats().calls;
  check(waiting === 0 && running === 0, "nothing is left");
}

test("a pool keeps its promises to maps in whatever order things come", async (clock) => {
  const fns = [
    await knownFn(0.001),
    await knownFn(0.02),
    await knownFn(0.2),
    await knownFn(10),
    unknownFn(),
  ];
  for (let seed = 1; seed <= runs; seed++) await play(clock, fns, seed);
});
