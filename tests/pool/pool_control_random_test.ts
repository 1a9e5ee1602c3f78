/** Aborts, time limits, deaths and cancels in whatever order: what holds whatever comes. */

import { assert } from "@std/assert";
import {
  BrokenThreadPool,
  CancelledError,
  TimeoutError,
} from "../../errors.ts";
import type { Future } from "../../future.ts";
import { type Any, knownFn, returned, test, unknownFn } from "../_hand.ts";
import {
  AnsweringChild,
  ControlChild,
  ControlLink,
  ControlPool,
  GRACE_MS,
} from "../_hand_control.ts";
import { CountingAbortController, type FakeClock } from "../_helpers.ts";

/** A small generator of numbers that are the same for the same seed. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 1103515245 + 12345) % 2 ** 31;
    return Math.floor(state / 2 ** 31 * below);
  };
}

interface Played {
  readonly id: number;
  readonly future: Future<Any>;
  readonly limited: boolean;
  readonly controller: CountingAbortController | undefined;
  ends: number;
}

async function play(
  clock: FakeClock,
  fns: readonly Any[],
  seed: number,
): Promise<void> {
  const random = generator(seed);
  const check = (holds: boolean, what: string) =>
    assert(holds, `${what} (seed ${seed})`);
  const Link = [ControlLink, ControlChild, AnsweringChild][random(3)];
  const maxWorkers = 1 + random(3);
  const pool = new ControlPool({ Link, maxWorkers, onWorkerLost: "replace" });
  const controllers = [1, 2, 3].map(() => new CountingAbortController());
  const calls: Played[] = [];
  /** Those that ran when their worker died. */
  const mayBeLost = new Set<number>();
  let open = true;
  const alive = () => pool.links.filter(({ ended }) => ended === 0);

  const submit = () => {
    const id = calls.length;
    const fn = fns[random(fns.length)];
    const kind = random(4);
    const controller = kind === 1 || kind === 3
      ? controllers[random(controllers.length)]
      : undefined;
    const timeLimit = kind === 2 || kind === 3 ? 1 + random(100) : undefined;
    const future = kind === 0
      ? pool.call(fn, id)
      : pool.with({ signal: controller?.signal, timeLimit }, fn, id);
    const call: Played = {
      id,
      future,
      limited: kind > 0,
      controller,
      ends: 0,
    };
    calls.push(call);
    future.addDoneCallback(() => {
      call.ends++;
      if (open && random(20) === 0) submit();
      if (random(20) === 0) calls[random(calls.length)].future.cancel();
    });
  };
  const step = (link: ControlLink) => {
    if (!link.current) link.ready().begin();
    else if (link instanceof AnsweringChild && random(3) === 0) link.listen();
    else link.finish(returned(link.current.name), random(8) === 0 ? 5 : 0.001);
  };
  const hear = (link: ControlLink) => {
    if (link instanceof ControlChild && random(2) === 0) link.answerFromMain();
    else link.outbox.shift()?.();
  };

  for (let i = 0; i < 300; i++) {
    const links = alive();
    const link = links[random(Math.max(links.length, 1))];
    const dice = random(100);
    if (dice < 30) submit();
    else if (dice < 36 && calls.length > 0) {
      calls[random(calls.length)].future.cancel();
    } else if (dice < 65) link && step(link);
    else if (dice < 85) link && hear(link);
    else if (dice < 88) {
      const at = random(controllers.length);
      const old = controllers[at];
      controllers[at] = new CountingAbortController();
      old.abort(`reason of ${seed}`);
      for (const { controller, future } of calls) {
        if (controller !== old) continue;
        // Where it is to be killed, it fails with that.
        const isKilled = Link === AnsweringChild && future.running();
        check(future.done() || isKilled, "an abort ends its calls");
      }
    } else if (dice < 90) {
      // Only one that runs: else the pool may give up, and rightly so.
      if (link?.current) {
        // All that it has said is heard before.
        link.deliver();
        if (link.current && link.ended === 0) mayBeLost.add(link.current.name);
        link.die();
      }
    } else if (dice < 97) await clock.tickAsync(random(5));
    else await clock.tickAsync(random(GRACE_MS + 20));
    for (let j = 0; j < 3; j++) await null;
  }

  open = false;
  const over = pool.shutdown();
  for (let i = 0; i < 10_000 && alive().length > 0; i++) {
    for (const link of alive()) {
      step(link);
      hear(link);
      if (link instanceof ControlChild) link.answerFromMain();
    }
    for (let j = 0; j < 3; j++) await null;
  }
  check(alive().length === 0, "all workers end");
  await over;

  const count = { finished: 0, failed: 0, cancelled: 0 };
  const begun = pool.links.flatMap(({ started }) => started);
  check(new Set(begun).size === begun.length, "no call is begun twice");
  for (const { id, future, ends, limited, controller } of calls) {
    check(future.done() && ends === 1, `call ${id} ends once`);
    if (future.cancelled()) {
      count.cancelled++;
      check(!begun.includes(id), "what was cancelled never starts");
      const error = await future.result().catch((error) => error);
      check(
        error instanceof CancelledError || error instanceof TimeoutError ||
          controller !== undefined && error === `reason of ${seed}`,
        `a CancelledError, or why it was stopped: ${error}`,
      );
      continue;
    }
    const error = await future.exception();
    if (error === undefined) {
      count.finished++;
      check(await future.result() === id, `its own result: ${id}`);
      continue;
    }
    count.failed++;
    if (error instanceof BrokenThreadPool) {
      check(mayBeLost.has(id), `call ${id} was on a worker that died`);
    } else if (error instanceof TimeoutError) {
      check(limited, "only a call with a limit is stopped");
    } else {
      check(error === `reason of ${seed}`, `a reason: ${error}`);
      check(controller !== undefined, "only a call with a signal is stopped");
    }
  }
  const { waiting, running, ...ended } = pool.stats().calls;
  check(waiting === 0 && running === 0, "nothing is left");
  for (const key of ["finished", "failed", "cancelled"] as const) {
    check(ended[key] === count[key], `${key}: ${ended[key]}, ${count[key]}`);
  }
  for (const { listeners } of controllers) {
    check(listeners === 0, `${listeners} listeners stay`);
  }
  for (const { ended } of pool.links) check(ended === 1, "ended once");
}

test("a pool keeps its promises whatever is stopped, cancelled or dies in whatever order", async (clock) => {
  const fns = [
    await knownFn(0.001),
    await knownFn(0.1),
    await knownFn(10),
    unknownFn(),
  ];
  for (let seed = 1; seed <= 100; seed++) await play(clock, fns, seed);
});
