/** What becomes of calls when workers, servers and submitters fail. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  BrokenExecutor,
  CancelledError,
  RuntimeError,
  TimeoutError,
} from "../../errors.ts";
import type { Future } from "../../future.ts";
import {
  readResult,
  type WireResult,
} from "../../internal/remote/check_messages.ts";
import { toBytes } from "../../internal/remote/envelope.ts";
import type { Job, SubmitterEvents } from "../../internal/remote/transport.ts";
import { NatsExecutor, type NatsExecutorOptions } from "../../nats.ts";
import { progress } from "../../progress.ts";
import { wait } from "../../wait.ts";
import { CountingAbortController } from "../_helpers.ts";
import {
  Cable,
  Log,
  NatsServer,
  startWorker,
  withoutNats,
  type WorkerProcess,
} from "../_nats.ts";
import { startDeno } from "../_programs.ts";
import { socketGate } from "../contract.ts";
import { rejection, until } from "../contract/kind.ts";
import * as tasks from "../modules/drill_tasks.ts";

/** The longest that a drill may take: a bound, never a wait. */
const BOUND_MS = 120_000;
const LEASE = 1000;

/** What a drill is given. */
interface Drill {
  readonly server: NatsServer;
  readonly log: Log;
  readonly queue: string;
  /** Starts a worker, which ends with the drill. */
  work(...args: string[]): Promise<WorkerProcess>;
  /** Makes an executor, which ends with the drill. */
  submitter(options?: Partial<NatsExecutorOptions>): NatsExecutor;
}

let queues = 0;

/** Registers a drill; it fails where it would hang. */
function drill(sentence: string, fn: (drill: Drill) => Promise<void>): void {
  Deno.test({
    name: `nats faults: ${sentence}`,
    ignore: withoutNats || Deno.build.os !== "linux",
    async fn() {
      await using stack = new AsyncDisposableStack();
      const server = stack.use(await NatsServer.start());
      const log = stack.use(new Log());
      const queue = `drill-${++queues}`;
      const drill: Drill = {
        server,
        log,
        queue,
        async work(...args) {
          const worker = await startWorker({
            servers: server.url,
            queue,
            args: args.length > 0 ? args : undefined,
          });
          return stack.use(worker);
        },
        submitter(options) {
          const executor = new NatsExecutor({
            servers: server.url,
            queue,
            lease: LEASE,
            ...options,
          });
          stack.defer(() => executor.shutdown({ cancelFutures: true }));
          return executor;
        },
      };
      let timer: ReturnType<typeof setTimeout> | undefined;
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(
          () => reject(new Error(`hangs: nothing after ${BOUND_MS} ms`)),
          BOUND_MS,
        );
      });
      try {
        await Promise.race([fn(drill), late]);
      } finally {
        clearTimeout(timer);
      }
    },
  });
}

/** How to start a program of the tests: with the configuration, which knows the NATS packages. */
function program(name: string, ...permissions: string[]): string[] {
  const url = new URL(`../programs/${name}.ts`, import.meta.url);
  return ["run", "--no-prompt", ...permissions, url.href];
}

/** What a future fails with, which has to be that it is broken. */
async function broken(future: Future<unknown>): Promise<BrokenExecutor> {
  const error = await rejection(future.result());
  assertInstanceOf(error, BrokenExecutor);
  return error;
}

// ---- Workers that are lost -------------------------------------------------------

drill(
  "a worker that is killed breaks the call that it ran, and no other",
  async (d) => {
    await using gate = socketGate();
    const worker = await d.work();
    const pool = d.submitter();
    const fatal = pool.submit(tasks.held, d.log.path, gate.handle as number, 1);
    await gate.entered(1);
    worker.kill("SIGKILL");
    const error = await broken(fatal);
    assertMatch(
      error.message,
      /^Worker \(pid \d+\) was (lost|not heard of for 1000 ms) while it ran "held": it may or may not have had its effect$/,
    );
    await d.work();
    assertEquals(await pool.submit(tasks.adds, 1, 2).result(), 3);
    assertEquals(d.log.count("start 1"), 1);
  },
);

drill(
  "a worker that is killed has its call run once more, if it may be",
  async (d) => {
    await using gate = socketGate();
    const workers = [await d.work(), await d.work()];
    const pool = d.submitter({ maxAttempts: 2 });
    const future = pool.submit(
      tasks.held,
      d.log.path,
      gate.handle as number,
      1,
    );
    await gate.entered(1);
    d.log.starter(1, workers).kill("SIGKILL");
    await until(() => d.log.count("start 1") === 2);
    assertEquals(future.running(), true);
    assertEquals(future.cancel(), false);
    gate.open();
    assertEquals(await future.result(), 1);
  },
);

drill(
  "a call that kills every worker is broken after its last attempt, the others complete",
  async (d) => {
    for (let i = 0; i < 3; i++) await d.work("--max-workers", "1");
    const pool = d.submitter({ maxAttempts: 2 });
    const fatal = pool.submit(tasks.poison, d.log.path, 1);
    const others = Array.from(
      { length: 20 },
      (_, n) => pool.submit(tasks.adds, n, 1),
    );
    const error = await broken(fatal);
    assertMatch(
      error.message,
      /while it ran "poison": that was attempt 2 of 2$/,
    );
    for (const [n, future] of others.entries()) {
      assertEquals(await future.result(), n + 1);
    }
    assertEquals(d.log.count("start 1"), 2);
  },
);

drill(
  "a child that dies breaks its call at once, and its worker goes on",
  async (d) => {
    await using gate = socketGate();
    await d.work();
    // Nothing of this takes a lease.
    const pool = d.submitter({ lease: 60_000 });
    const held = pool.submit(tasks.held, d.log.path, gate.handle as number, 1);
    await gate.entered(1);
    const error = await broken(pool.submit(tasks.exits, d.log.path, 2));
    assertMatch(
      error.message,
      /^Worker \(pid \d+\): Child 2 \(pid \d+\) ended with exit code 7 after Deno\.exit\(7\) while it ran "exits": it may or may not/,
    );
    assertEquals(await pool.submit(tasks.adds, 1, 2).result(), 3);
    gate.open();
    assertEquals(await held.result(), 1);
  },
);

drill(
  "a child that dies has its call run once more, if it may be",
  async (d) => {
    await d.work();
    const pool = d.submitter({ lease: 60_000, maxAttempts: 2 });
    assertEquals(await pool.submit(tasks.exitsOnce, d.log.path, 1).result(), 1);
    assertEquals([d.log.count("start 1"), d.log.count("end 1")], [2, 1]);
  },
);

drill("a call that computes for three leases starts once", async (d) => {
  await d.work();
  await d.work();
  const pool = d.submitter({ maxAttempts: 3 });
  const future = pool.submit(tasks.spins, d.log.path, 1, 3 * LEASE);
  assertEquals(await future.result(), 1);
  assertEquals([d.log.count("start 1"), d.log.count("end 1")], [1, 1]);
});

drill(
  "a worker that freezes and thaws settles its call no second time",
  async (d) => {
    await using gate = socketGate();
    const workers = [await d.work(), await d.work()];
    const pool = d.submitter({ maxAttempts: 2 });
    const future = pool.submit(
      tasks.held,
      d.log.path,
      gate.handle as number,
      1,
    );
    let settled = 0;
    future.addDoneCallback(() => settled++);
    await gate.entered(1);
    const frozen = d.log.starter(1, workers);
    frozen.kill("SIGSTOP");
    await until(() => d.log.count("start 1") === 2);
    gate.open();
    assertEquals(await future.result(), 1);
    frozen.kill("SIGCONT");
    // Both come to their ends, and the one that thaws takes calls again.
    await until(() => d.log.count("end 1") === 2);
    for (let n = 0; n < 20; n++) {
      assertEquals(await pool.submit(tasks.adds, n, 1).result(), n + 1);
    }
    assertEquals(settled, 1);
  },
);

drill(
  "a worker that is told to end completes its call, takes no other, and ends with code 0",
  async (d) => {
    await using gate = socketGate();
    const port = gate.handle as number;
    const first = await d.work("--max-workers", "1");
    // What is given back comes to the other at once, and not after a lease.
    const pool = d.submitter({ lease: 60_000 });
    const held = pool.submit(tasks.held, d.log.path, port, 1);
    await gate.entered(1);
    first.kill("SIGTERM");
    await first.says("ending");
    const next = pool.submit(tasks.held, d.log.path, port, 2);
    const second = await d.work("--max-workers", "1");
    await gate.entered(2);
    assert(d.log.starter(2, [first, second]) === second);
    gate.open();
    assertEquals([await held.result(), await next.result()], [1, 2]);
    assertEquals(await first.status, { success: true, code: 0, signal: null });
  },
);

drill(
  "a worker that is interrupted at its terminal completes its call all the same",
  async (d) => {
    await using gate = socketGate();
    await using worker = await startWorker({
      servers: d.server.url,
      queue: d.queue,
      alone: true,
    });
    const pool = d.submitter();
    const held = pool.submit(tasks.held, d.log.path, gate.handle as number, 1);
    await gate.entered(1);
    worker.interrupt();
    await worker.says("ending");
    gate.open();
    assertEquals(await held.result(), 1);
    assertEquals(await worker.status, { success: true, code: 0, signal: null });
  },
);

drill(
  "a worker with --threads runs its calls in itself, and completes them when it is told to end",
  async (d) => {
    await using gate = socketGate();
    const worker = await d.work("--threads", "--max-workers", "2");
    const pool = d.submitter({ lease: 60_000 });
    assertEquals(await pool.submit(tasks.whereabouts).result(), worker.pid);
    const held = [1, 2].map((id) =>
      pool.submit(tasks.held, d.log.path, gate.handle as number, id)
    );
    await gate.entered(1, 2);
    worker.kill("SIGTERM");
    await worker.says("ending");
    gate.open();
    for (const [i, future] of held.entries()) {
      assertEquals(await future.result(), i + 1);
    }
    assertEquals(await worker.status, { success: true, code: 0, signal: null });
  },
);

drill("calls wait for a worker, and start when one comes", async (d) => {
  const pool = d.submitter();
  const futures = [1, 2, 3].map((n) => pool.submit(tasks.adds, n, n));
  await d.work();
  for (const [i, future] of futures.entries()) {
    assertEquals(await future.result(), 2 * (i + 1));
  }
});

drill(
  "calls that wait for longer than workerTimeout with no worker there break the executor",
  async (d) => {
    const pool = d.submitter({ workerTimeout: 500 });
    const futures = [1, 2].map((n) => pool.submit(tasks.adds, n, n));
    for (const future of futures) {
      const error = await broken(future);
      assertEquals(error.message, "No worker was there for 500 ms");
    }
    assertThrows(
      () => pool.submit(tasks.adds, 1, 2),
      BrokenExecutor,
      "no worker",
    );
  },
);

drill(
  "calls that wait for a busy worker wait for as long as that takes",
  async (d) => {
    await d.work("--max-workers", "1");
    const pool = d.submitter({ workerTimeout: 200 });
    const busy = pool.submit(tasks.spins, d.log.path, 1, 2500);
    const future = pool.submit(tasks.adds, 1, 2);
    assertEquals(await future.result(), 3);
    assertEquals(await busy.result(), 1);
  },
);

// ---- Servers that are lost -------------------------------------------------------

drill(
  "a server that is killed and comes back with its store loses no call",
  async (d) => {
    await using gate = socketGate();
    const port = gate.handle as number;
    await d.work();
    await d.work();
    const pool = d.submitter();
    const futures = Array.from(
      { length: 20 },
      (_, id) => pool.submit(tasks.held, d.log.path, port, id),
    );
    await gate.entered(0, 1, 2, 3);
    await d.server.kill();
    await d.server.start();
    gate.open();
    for (const [id, future] of futures.entries()) {
      assertEquals(await future.result(), id);
      assertEquals(d.log.count(`start ${id}`), 1);
    }
  },
);

drill(
  "a server that is killed time and again, as soon as calls run, loses none and starts none twice",
  async (d) => {
    await d.work();
    await d.work();
    for (let round = 0; round < 16; round++) {
      await using gate = socketGate();
      const ids = Array.from({ length: 12 }, (_, i) => 12 * round + i);
      // What the server has left of the one before is of nobody.
      const pool = d.submitter();
      await wait(ids.map((id) => pool.submit(tasks.adds, id, 1)));
      const futures = ids.map((id) =>
        pool.submit(tasks.held, d.log.path, gate.handle as number, id)
      );
      await until(() => gate.ids.size === 4);
      // It may not have written down what it has delivered, nor what was answered for.
      await d.server.kill();
      await d.server.start();
      gate.open();
      for (const [i, id] of ids.entries()) {
        assertEquals(await futures[i].result(), id);
        assertEquals(d.log.count(`start ${id}`), 1);
      }
      await pool.shutdown();
    }
  },
);

drill(
  "a server that comes back with nothing breaks what is pending, and takes nothing from a new queue",
  async (d) => {
    await using gate = socketGate();
    const port = gate.handle as number;
    const worker = await d.work();
    const pool = d.submitter();
    const futures = Array.from(
      { length: 6 },
      (_, id) => pool.submit(tasks.held, d.log.path, port, id),
    );
    await gate.entered(0, 1);
    await d.server.kill();
    await d.server.clear();
    await d.server.start();
    const errors = await Promise.all(futures.map(broken));
    for (const error of errors) {
      assertStringIncludes(
        error.message,
        `The server has lost the queue "${d.queue}"`,
      );
    }
    assertThrows(() => pool.submit(tasks.adds, 1, 2), BrokenExecutor);
    // The worker still runs, and answers for, two calls of the old queue.
    await worker.says("ready again");
    const other = d.submitter();
    const more = Array.from(
      { length: 20 },
      (_, n) => other.submit(tasks.adds, n, 1),
    );
    gate.open();
    for (const [n, future] of more.entries()) {
      assertEquals(await future.result(), n + 1);
    }
  },
);

drill(
  "a server that is not there breaks the executor at its first call",
  async (d) => {
    await d.server.kill();
    const pool = d.submitter();
    const error = await broken(pool.submit(tasks.adds, 1, 2));
    assertMatch(error.message, /^Cannot connect to NATS at 127\.0\.0\.1:\d+: /);
    assertInstanceOf(error.cause, Error);
    assertThrows(() => pool.submit(tasks.adds, 1, 2), BrokenExecutor);
    await pool.shutdown();
  },
);

drill("a server that is gone at shutdown() does not hold it up", async (d) => {
  await using gate = socketGate();
  await d.work();
  const idle = d.submitter();
  assertEquals(await idle.submit(tasks.adds, 1, 2).result(), 3);
  const pool = d.submitter();
  const future = pool.submit(tasks.held, d.log.path, gate.handle as number, 1);
  await gate.entered(1);
  await d.server.kill();
  await idle.shutdown();
  await pool.shutdown();
  const error = await broken(future);
  assertMatch(error.message, /^The server was away for 1000 ms$/);
});

drill("a server without JetStream says what to do", async (d) => {
  await using plain = await NatsServer.start({ jetstream: false });
  const pool = d.submitter({ servers: plain.url });
  const error = await broken(pool.submit(tasks.adds, 1, 2));
  assertMatch(error.message, /: start nats-server with -js$/);
});

drill(
  "a server that asks for a password gets that of the URL, and breaks the executor without it",
  async (d) => {
    await using server = await NatsServer.start({
      user: "ada",
      pass: "p@ss:word",
    });
    const url = server.url.replace(
      "//",
      `//ada:${encodeURIComponent("p@ss:word")}@`,
    );
    await using _worker = await startWorker({
      servers: "",
      queue: d.queue,
      env: { NATS_URL: url },
    });
    const pool = d.submitter({ servers: url });
    assertEquals(await pool.submit(tasks.adds, 1, 2).result(), 3);
    const other = d.submitter({ servers: server.url });
    const error = await broken(other.submit(tasks.adds, 1, 2));
    assertMatch(error.message, /authorization/i);
    // A connection that the server resets meanwhile ends no program.
    const many = Array.from(
      { length: 40 },
      () => d.submitter({ servers: server.url }).submit(tasks.adds, 1, 2),
    );
    await Promise.all(many.map(broken));
  },
);

// ---- Submitters that are lost ----------------------------------------------------

drill(
  "a submitter that is killed leaves nothing behind that starts",
  async (d) => {
    await using gate = socketGate();
    await d.work("--max-workers", "2");
    const child = startDeno([
      ...program("nats_submits", "-A"),
      ...[d.server.url, d.queue, d.log.path, `${gate.handle}`, "8"],
    ]);
    const output = child.output();
    await gate.entered(0, 1);
    child.kill("SIGKILL");
    await output;
    gate.open();
    await until(() => d.log.count("end 0") + d.log.count("end 1") === 2);
    await d.server.holds(d.queue, 0);
    assertEquals(
      d.log.lines.filter((line) => line.startsWith("start")).length,
      2,
    );
    // The worker is free for others.
    const pool = d.submitter();
    assertEquals(await pool.submit(tasks.adds, 1, 2).result(), 3);
  },
);

drill(
  "a program that does not shut down its executor ends by itself, with net permission alone",
  async (d) => {
    await d.work();
    const host = new URL(d.server.url).host;
    const child = startDeno([
      ...program("nats_ends", `--allow-net=${host}`),
      ...[d.server.url, d.queue],
    ]);
    const { code, stdout, stderr } = await child.output();
    const [out, err] = [stdout, stderr].map((bytes) =>
      new TextDecoder().decode(bytes)
    );
    assertEquals([code, err, out], [0, "", "3\n"]);
  },
);

drill(
  "a program without net permission is told which one it needs",
  async (d) => {
    const child = startDeno([
      ...program("nats_ends"),
      ...[d.server.url, d.queue],
    ]);
    const { code, stderr } = await child.output();
    assertEquals(code, 1);
    assertMatch(
      new TextDecoder().decode(stderr),
      /BrokenExecutor: Cannot connect to NATS .*Requires net access to .*--allow-net/,
    );
  },
);

drill(
  "a submitter that is busy for ten seconds loses none of 12,000 results",
  async (d) => {
    await d.work("--max-workers", "8");
    const pool = d.submitter();
    const futures = Array.from(
      { length: 12_000 },
      (_, n) => pool.submit(tasks.adds, n, 1),
    );
    await wait(futures.slice(0, 3000));
    const end = performance.now() + 10_000;
    while (performance.now() < end);
    let wrong = 0;
    for (const [n, future] of futures.entries()) {
      if (await future.result() !== n + 1) {
        wrong++;
      }
    }
    assertEquals(wrong, 0);
  },
);

drill("two submitters on one queue get each its own results", async (d) => {
  await d.work();
  await d.work();
  const pools = [d.submitter(), d.submitter()];
  const futures = Array.from(
    { length: 400 },
    (_, n) => pools[n % 2].submit(tasks.adds, n, 1),
  );
  for (const [n, future] of futures.entries()) {
    assertEquals(await future.result(), n + 1);
  }
});

drill(
  "a submitter that was cut off gets the results that came meanwhile, small and large",
  async (d) => {
    await using gate = socketGate();
    const port = gate.handle as number;
    await d.work("--max-workers", "4");
    await using cable = new Cable(d.server.url);
    const pool = d.submitter({ servers: cable.url, lease: 60_000 });
    const held = [0, 1, 2].map((id) =>
      pool.submit(tasks.held, d.log.path, port, id)
    );
    const large = pool.submit(
      tasks.holdsAndMakes,
      d.log.path,
      port,
      3,
      2 ** 21,
    );
    await gate.entered(0, 1, 2, 3);
    cable.cut();
    gate.open();
    await until(() => d.log.count("end") === 4);
    // The worker has answered for all of them.
    await d.server.holds(d.queue, 0);
    assertEquals(held.map((future) => future.done()), [false, false, false]);
    cable.mend();
    for (const [id, future] of held.entries()) {
      assertEquals(await future.result(), id);
    }
    assertEquals((await large.result()).length, 2 ** 21);
    assertEquals(d.log.count("start"), 4);
  },
);

/** What a submitter hears that wants nothing. */
const DEAF: SubmitterEvents = {
  onClaim: () => "no",
  onResult() {},
  onWorker() {},
  onAway() {},
  onBack() {},
  onLost() {},
  onRefused() {},
};

drill(
  "a submitter takes back its own messages, and nobody loses any by that",
  async (d) => {
    const transport = d.server.transport(d.queue);
    const one = await transport.submitter(DEAF);
    const other = await transport.submitter(DEAF);
    const jobs: Job[] = [];
    const worker = await transport.worker("w", {
      slots: 1,
      onStop() {},
      ...DEAF,
      onJob: (job) => jobs.push(job),
      onHanded: () => false,
      onAsked: () => [],
    });
    try {
      const messages: number[] = [];
      for (const [i, link] of [one, other, one, other].entries()) {
        messages.push(await link.publish(`${i}`, new Uint8Array([i])));
      }
      assertEquals(messages, [1, 2, 3, 4]);
      assertEquals([await one.isEmpty(), await other.isEmpty()], [
        false,
        false,
      ]);
      worker.want(2);
      await until(() => jobs.length === 2);
      await one.discard([1, 3]);
      assertEquals([await one.isEmpty(), await other.isEmpty()], [true, false]);
      // What waits is delivered, and so is what is given back.
      jobs[1].giveBack();
      worker.want(2);
      await until(() => jobs.length === 4);
      assertEquals(jobs.map(({ message }) => message).sort(), [1, 2, 2, 4]);
      for (const job of jobs.slice(2)) job.done();
      await d.server.holds(d.queue, 0);
    } finally {
      await worker.close();
      await one.close();
      await other.close();
    }
  },
);

drill(
  "a submitter that was cut off for long has its waiting calls run all the same",
  async (d) => {
    await using cable = new Cable(d.server.url);
    await using gate = socketGate();
    await d.work("--max-workers", "1");
    const pool = d.submitter({ servers: cable.url });
    const other = d.submitter();
    const port = gate.handle as number;
    const first = other.submit(tasks.held, d.log.path, port, 1);
    await gate.entered(1);
    const future = pool.submit(tasks.adds, 1, 2);
    await d.server.holds(d.queue, 2);
    cable.cut();
    gate.open();
    assertEquals(await first.result(), 1);
    // The worker takes the submitter for gone, and drops what it had.
    await d.server.holds(d.queue, 0);
    cable.mend();
    assertEquals(await future.result(), 3);
  },
);

drill(
  "a call that a submitter hands over as it is cut off runs once all the same",
  async (d) => {
    await using gate = socketGate();
    await d.work("--max-workers", "1");
    await using cable = new Cable(d.server.url);
    const pool = d.submitter({ servers: cable.url, lease: 60_000 });
    assertEquals(await pool.submit(tasks.adds, 1, 2).result(), 3);
    cable.cut();
    const future = pool.submit(
      tasks.held,
      d.log.path,
      gate.handle as number,
      1,
    );
    cable.mend();
    await gate.entered(1);
    assertEquals(future.running(), true);
    gate.open();
    assertEquals(await future.result(), 1);
    assertEquals(d.log.count("start 1"), 1);
  },
);

drill(
  "a call that its worker has no room for any more waits, and can be cancelled",
  async (d) => {
    await using gate = socketGate();
    const port = gate.handle as number;
    await d.work("--max-workers", "1");
    const [pool, other] = [d.submitter(), d.submitter()];
    for (const each of [other, pool]) {
      assertEquals(await each.submit(tasks.adds, 1, 2).result(), 3);
    }
    const held = other.submit(tasks.held, d.log.path, port, 1);
    await until(() => held.running());
    // For this submitter the worker was free a moment ago.
    const waiting = pool.submit(tasks.held, d.log.path, port, 2);
    await gate.entered(1);
    await until(() => !waiting.running());
    assertEquals(waiting.cancel(), true);
    const next = pool.submit(tasks.held, d.log.path, port, 3);
    gate.open();
    assertEquals(await next.result(), 3);
    assertEquals(await held.result(), 1);
    assertEquals(d.log.count("start 2"), 0);
  },
);

// ---- Cancelling ------------------------------------------------------------------

drill(
  "a call whose cancel() was true has never started, in 200 races with two workers",
  async (d) => {
    await using gate = socketGate();
    gate.open();
    await d.work();
    await d.work();
    const pool = d.submitter();
    const cancelled = new Set<number>();
    const futures: Future<number>[] = [];
    for (let id = 0; id < 200; id++) {
      const future = pool.submit(
        tasks.held,
        d.log.path,
        gate.handle as number,
        id,
      );
      futures.push(future);
      // As it is about to start, as often as not.
      if (id >= 4) await wait([futures[id - 4]]);
      const runs = future.running();
      if (id % 2 === 0 && future.cancel()) {
        assertEquals(runs, false);
        cancelled.add(id);
      }
    }
    for (const [id, future] of futures.entries()) {
      if (cancelled.has(id)) {
        await assertRejects(() => future.result(), CancelledError);
      } else assertEquals(await future.result(), id);
      assertEquals(d.log.count(`start ${id}`), cancelled.has(id) ? 0 : 1);
    }
  },
);

// ---- Values, functions and versions ----------------------------------------------

drill("values of any size travel, beyond what a message holds", async (d) => {
  await d.work();
  const pool = d.submitter();
  for (const length of [2 ** 20 - 1, 2 ** 20 + 1, 20 * 2 ** 20]) {
    const bytes = new Uint8Array(length).fill(7);
    assertEquals(await pool.submit(tasks.size, bytes).result(), length);
    const made = await pool.submit(tasks.makes, length).result();
    assertEquals(made.length, length);
    assert(made.every((byte) => byte === 7));
  }
});

drill(
  "a result that can't travel fails its call with a DataCloneError, and the worker lives",
  async (d) => {
    await d.work();
    const pool = d.submitter();
    const error = await rejection(pool.submit(tasks.unserializable).result());
    assertInstanceOf(error, DOMException);
    assertEquals(error.name, "DataCloneError");
    assertStringIncludes(error.message, "result.headers");
    assertEquals(await pool.submit(tasks.adds, 1, 2).result(), 3);
  },
);

drill("a worker runs nothing but the functions of its modules", async (d) => {
  await d.work();
  const pool = d.submitter();
  const { taskModule } = await import("../../mod.ts");
  const other = taskModule<{ fn(): void }>("file:///elsewhere/other.ts");
  const same = taskModule<
    { adds(a: number, b: number): number; missing(): void }
  >(
    "file:///elsewhere/drill_tasks.js",
  );
  const byValue = (n: number) => n + 1;
  const refusals: [Future<unknown>, string, RegExp][] = [
    [
      pool.submit(other.fn),
      "RuntimeError",
      /has no module "other", only "drill_tasks": start it with --module other=/,
    ],
    [pool.submit(Math.sqrt, 4), "RuntimeError", /"Math\.sqrt".*--allow-source/],
    [pool.submit(byValue, 4), "DataCloneError", /"byValue".*--allow-source/],
    [
      pool.submit(same.missing),
      "DataCloneError",
      /"missing" of .*the module does not export it/,
    ],
  ];
  for (const [future, name, message] of refusals) {
    const error = await rejection(future.result()) as Error;
    assertEquals(error.name, name);
    assertMatch(error.message, message);
  }
  // By the names of module and export, wherever the module is.
  assertEquals(await pool.submit(same.adds, 1, 2).result(), 3);
  assertEquals(await pool.submit(tasks.adds, 1, 2).result(), 3);
});

drill("a worker that allows source runs any function", async (d) => {
  await d.work("--allow-source");
  const pool = d.submitter();
  assertEquals(await pool.submit((n: number) => n + 1, 4).result(), 5);
  assertEquals(await pool.submit(Math.sqrt, 4).result(), 2);
});

drill(
  "a call of another version of the protocol fails alone, and says so",
  async (d) => {
    await d.work();
    const pool = d.submitter();
    const transport = d.server.transport(d.queue);
    const { promise, resolve } = Promise.withResolvers<WireResult>();
    const link = await transport.submitter({
      onClaim: () => "go",
      onWorker() {},
      onResult: (bytes) => resolve(readResult(bytes)),
      onAway() {},
      onBack() {},
      onLost() {},
      onRefused() {},
    });
    try {
      const fn = { by: "export", name: "adds", module: "drill_tasks" };
      await link.publish(
        "key",
        toBytes({ v: 99, id: "1", from: link.id, fn }, "[1,2]"),
      );
      const { head } = await promise;
      assertEquals([head.id, head.is], ["1", "refused"]);
      assertMatch(
        head.message!,
        /speaks version 1 of the protocol, and was sent version 99/,
      );
    } finally {
      await link.close();
    }
    assertEquals(await pool.submit(tasks.adds, 1, 2).result(), 3);
  },
);

// ---- What all executors have -------------------------------------------------------

drill(
  "a call in a busy loop ends where it runs when its signal aborts or its time is over, and its worker goes on",
  async (d) => {
    const worker = await d.work("--max-workers", "1");
    const pool = d.submitter();
    const controller = new AbortController();
    const stopped = pool.with(controller).submit(
      ...[tasks.spins, d.log.path, 1, 60_000] as const,
    );
    await until(() => d.log.count("start 1") === 1);
    controller.abort(new Error("enough"));
    assertEquals(stopped.done(), true);
    assertEquals(
      (await rejection(stopped.result()) as Error).message,
      "enough",
    );
    // There is room for one call: the loop is over.
    assertEquals(await pool.submit(tasks.adds, 1, 2).result(), 3);
    const late = pool.with({ timeLimit: 300 }).submit(
      ...[tasks.spins, d.log.path, 2, 60_000] as const,
    );
    const error = await rejection(late.result());
    assertInstanceOf(error, TimeoutError);
    assertMatch(
      error.message,
      /"spins" did not end within its time limit of 300 ms/,
    );
    assertEquals(await pool.submit(tasks.adds, 3, 4).result(), 7);
    assertEquals([d.log.count("start"), d.log.count("end")], [2, 0]);
    // Of calls that wait, none comes to a start.
    const gone = new AbortController();
    const { signal } = gone;
    await using gate = socketGate();
    const port = gate.handle as number;
    const held = pool.submit(tasks.held, d.log.path, port, 3);
    await gate.entered(3);
    const waits = [4, 5].map((id) =>
      pool.with({ signal }).submit(tasks.held, d.log.path, port, id)
    );
    gone.abort();
    assertEquals(waits.map((future) => future.cancelled()), [true, true]);
    gate.open();
    await held.result();
    await d.server.holds(d.queue, 0);
    assertEquals(d.log.count("start"), 3);
    assertEquals(worker.stderr.includes("left"), false);
  },
);

drill(
  "a call that ends within its limits has its result, and leaves no listener",
  async (d) => {
    await d.work("--max-workers", "2");
    const pool = d.submitter();
    const controller = new CountingAbortController();
    const view = pool.with({ signal: controller.signal, timeLimit: 60_000 });
    const sums = await Array.fromAsync(
      view.map(tasks.adds, [1, 2, 3], [4, 5, 6]),
    );
    assertEquals([sums, controller.listeners], [[5, 7, 9], 0]);
  },
);

drill(
  "warmUp() waits for workers that come, as many as are wanted; stats() counts these, and this program's calls",
  async (d) => {
    const pool = d.submitter();
    assertEquals(pool.stats().workers, { live: 0, busy: 0 });
    const warm = pool.warmUp(3);
    await d.work("--max-workers", "2");
    await pool.warmUp();
    assertEquals(pool.stats().workers.live, 2);
    await d.work("--max-workers", "2");
    await warm;
    assertEquals(pool.stats().workers, { live: 4, busy: 0 });
    await pool.submit(tasks.adds, 1, 2).result();
    const { finished, failed, cancelled } = pool.stats().calls;
    assertEquals([finished, failed, cancelled], [1, 0, 0]);
    const ended = d.submitter();
    const never = ended.warmUp(9);
    await ended.shutdown();
    await assertRejects(() => never, RuntimeError, "shutdown");
  },
);

drill(
  "what a function captured goes along to a worker that allows source, however large it is",
  async (d) => {
    await d.work("--allow-source", "--max-workers", "2");
    const pool = d.submitter();
    const table = new Map([["a", 1], ["b", 2]]);
    const large = new Uint8Array(3_000_000).fill(7);
    const add = (n: number) => n + offset;
    const offset = 100;
    assertEquals(
      await pool.submit((key: string) => add(table.get(key)!), "b").result(),
      102,
    );
    const sizes = pool.map((i: number) => large.length + i, [1, 2]);
    assertEquals(await Array.fromAsync(sizes), [3_000_001, 3_000_002]);
    // Two of one source, that captured something else each.
    const adders = [1, 2].map((by) => (n: number) => n + by);
    const sums = adders.map((adder) => pool.submit(adder, 10).result());
    assertEquals(await Promise.all(sums), [11, 12]);
    // One object, captured and passed, is one there, too.
    assertEquals(
      await pool.submit((map: unknown) => map === table, table).result(),
      true,
    );
    const socket = new AbortController();
    const error = await rejection(
      pool.submit(() => socket.signal.aborted).result(),
    ) as Error;
    assertEquals(error.name, "DataCloneError");
    assertMatch(error.message, /captured "socket"/);
  },
);

drill(
  "a function that captured something is found by its export where a worker allows no source, or refused",
  async (d) => {
    await d.work();
    const pool = d.submitter();
    // With a constant of its module, which that has of its own.
    assertEquals(await pool.submit(tasks.scaled, 3).result(), 30);
    // With what can't travel, and need not.
    assertEquals(await pool.submit(tasks.counts, 2).result(), 2);
    const offset = 5;
    const error = await rejection(
      pool.submit((n: number) => n + offset, 1).result(),
    ) as Error;
    assertEquals(error.name, "DataCloneError");
    assertMatch(error.message, /--allow-source/);
  },
);

drill("progress() goes with a map on other machines", async (d) => {
  await d.work();
  const pool = d.submitter();
  const written: Uint8Array[] = [];
  const output = {
    isTerminal: () => false,
    writeSync: (bytes: Uint8Array) =>
      written.push(bytes.slice()) && bytes.length,
  };
  const sums: number[] = [];
  const results = pool.map(tasks.adds, [1, 2, 3], [1, 1, 1]);
  for await (const sum of progress(results, { total: 3, output })) {
    sums.push(sum);
  }
  assertEquals(sums, [2, 3, 4]);
  const text = written.map((bytes) => new TextDecoder().decode(bytes)).join("");
  assertMatch(text, /3\/3/);
});
