/** Children that die: in every way, at every time. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { BrokenProcessPool } from "../../errors.ts";
import type { Future } from "../../future.ts";
import type {
  ProcessPoolExecutor,
  ProcessPoolExecutorOptions,
} from "../../process_pool.ts";
import { type Any, make, soon, test } from "../_children.ts";
import { childrenOf, deno, isAlive, programArgs } from "../_programs.ts";
import { socketGate, until } from "../contract.ts";
import {
  diesInResult,
  diesInside,
  moduleThatDies,
  neverEnds,
  ways,
} from "../deaths.ts";

/** A way to die, and what the pool then says of it. */
interface Way {
  /** What the child does: self-contained. */
  readonly source: string;
  readonly says: RegExp;
  readonly options?: ProcessPoolExecutorOptions<Any>;
}

const outOfMemory = () => {
  const all: number[][] = [];
  for (;;) all.push(new Array(10_000).fill(1.5));
};

const inside: Record<string, Way> = {
  ...Object.fromEntries(
    Object.entries(ways).map(([name, way]) => [name, {
      source: String(way),
      says: /ended with exit code [013] after /,
    }]),
  ),
  "SIGKILL to itself": {
    source: String(() => Deno.kill(Deno.pid, "SIGKILL")),
    says: /was killed by SIGKILL/,
  },
  "SIGSEGV": {
    // V8 takes the first for one of WebAssembly's.
    source: String(() => {
      for (;;) Deno.kill(Deno.pid, "SIGSEGV");
    }),
    says: /was killed by SIGSEGV/,
  },
  "SIGTERM": {
    source: String(() => Deno.kill(Deno.pid, "SIGTERM")),
    says: /was killed by SIGTERM/,
  },
  "running out of memory": {
    source: String(outOfMemory),
    says: /was killed by SIG(TRAP|ABRT|ILL)/,
    options: { execArgv: ["--v8-flags=--max-old-space-size=30"] },
  },
};

function pool(
  way: Way,
  options: ProcessPoolExecutorOptions<Any> = {},
): ProcessPoolExecutor {
  return make({
    maxWorkers: 2,
    permissions: { run: true, net: true },
    env: { NO_COLOR: "1" },
    ...way.options,
    ...options,
  });
}

/** All of these have an error of their own that tells of one death, and so has each submit. */
async function assertBroken(
  executor: ProcessPoolExecutor,
  pending: readonly Future<unknown>[],
  says: RegExp,
): Promise<string> {
  const errors = new Set<Error>();
  for (const future of pending) {
    const error = await future.exception();
    assertInstanceOf(error, BrokenProcessPool);
    assert(!errors.has(error), "each future has an error of its own");
    errors.add(error);
  }
  const messages = new Set([...errors].map(({ message }) => message));
  assert(messages.size <= 1, "all tell of one death");
  const later = assertThrows(
    () => executor.submit(Math.sqrt, 4),
    BrokenProcessPool,
  );
  const [message] = [...messages, later.message];
  assertMatch(message, says);
  const pid = Number(/child \d+ \(pid (\d+)\)/i.exec(message)?.[1]);
  assert(pid > 0, `no pid: ${message}`);
  await executor.shutdown();
  assertEquals(isAlive(pid), false);
  return message;
}

for (const [name, way] of Object.entries(inside)) {
  test(`${name} while a module is imported breaks the pool`, async () => {
    const executor = pool(way, { module: moduleThatDies(way.source) });
    await assertBroken(
      executor,
      [1, 2, 3].map(() => executor.submit(neverEnds)),
      way.says,
    );
  });

  test(`${name} in an initializer breaks the pool`, async () => {
    const executor = pool(way, {
      initializer: diesInside,
      initargs: [way.source],
    });
    await assertBroken(
      executor,
      [1, 2, 3].map(() => executor.submit(neverEnds)),
      way.says,
    );
  });

  test(`${name} in a call breaks the pool, which names the call`, async () => {
    const executor = pool(way);
    const futures = [
      executor.submit(diesInside, way.source),
      ...[1, 2, 3].map(() => executor.submit(neverEnds)),
    ];
    const message = await assertBroken(executor, futures, way.says);
    assertMatch(message, /while it ran "diesInside"/);
  });

  test(`${name} on an idle child breaks the pool`, async () => {
    await using gate = socketGate();
    const executor = pool(way, { maxWorkers: 1, idleTimeout: 30_000 });
    // Dies once the gate opens, when the call is long done.
    await executor.submit(
      (pass: string, port: unknown, way: string) => {
        (0, eval)(`(${pass})`)(port, 1).then(() => (0, eval)(`(${way})()`));
      },
      String(gate.pass),
      gate.handle,
      way.source,
    ).result();
    await gate.entered(1);
    gate.open();
    await until(() => {
      try {
        executor.submit(Math.sqrt, 4);
        return false;
      } catch {
        return true;
      }
    });
    await assertBroken(executor, [], way.says);
  });

  test(`${name} while a result is read breaks the pool`, async () => {
    const executor = pool(way, { maxWorkers: 1 });
    const fatal = executor.submit(diesInResult, way.source);
    const others = [1, 2, 3].map(() => executor.submit(neverEnds));
    await assertBroken(executor, others, way.says);
    // The result may have been sent before the end came.
    const error = await fatal.exception();
    if (error) assertInstanceOf(error, BrokenProcessPool);
    else assertEquals(await fatal.result(), { value: 5 });
  });

  test(`${name} during the shutdown breaks the pool, and the shutdown ends`, async () => {
    const executor = pool(way, { maxWorkers: 1 });
    const future = executor.submit(diesInside, way.source);
    const waiting = executor.submit(neverEnds);
    const shutdown = executor.shutdown();
    for (
      const { message } of [
        await future.exception(),
        await waiting.exception(),
      ] as Error[]
    ) {
      assertMatch(message, way.says);
    }
    await shutdown;
  });
}

// ---- From outside ------------------------------------------------------------

test("a signal that a child survives interrupts it in nothing that it waits for", async () => {
  for (let i = 0; i < 5; i++) {
    await using pool = make({ maxWorkers: 1 });
    const pid = await pool.submit(() => Deno.pid).result();
    // It stands in a read now. V8 takes a first one for one of WebAssembly's.
    Deno.kill(pid, "SIGSEGV");
    assertEquals(await pool.submit(Math.sqrt, 9).result(), 3);
  }
});

test("a signal that reaches the thread which reads for a child that listens interrupts nothing", async () => {
  const libc = Deno.dlopen("libc.so.6", {
    tgkill: { parameters: ["i32", "i32", "i32"], result: "i32" },
  });
  await using pool = make({ maxWorkers: 1, idleTimeout: 30_000 });
  const pid = await pool.submit(() => Deno.pid).result();
  // Once it was sent no call for a while, another thread than the first reads.
  let reader: number | undefined;
  await until(() => (reader = readerOf(pid)) !== undefined);
  const SIGSEGV = 11;
  assertEquals(libc.symbols.tgkill(pid, reader!, SIGSEGV), 0);
  libc.close();
  // What came before would be read, and nothing interrupted.
  await until(() => !isPending(pid, reader!));
  assertEquals(await pool.submit(Math.sqrt, 9).result(), 3);
});

/** Whether a signal is still on its way to a thread. */
function isPending(pid: number, thread: number): boolean {
  try {
    const status = Deno.readTextFileSync(`/proc/${pid}/task/${thread}/status`);
    return !/^SigPnd:\s+0+$/m.test(status);
  } catch {
    // The thread has ended.
    return false;
  }
}

/** A thread of a process, other than the first, that stands in a read. */
function readerOf(pid: number): number | undefined {
  const read = Deno.build.arch === "x86_64" ? "0 " : "63 ";
  for (const { name } of Deno.readDirSync(`/proc/${pid}/task`)) {
    if (name === `${pid}`) continue;
    try {
      const call = Deno.readTextFileSync(`/proc/${pid}/task/${name}/syscall`);
      if (call.startsWith(read)) return Number(name);
    } catch {
      // A thread that has ended meanwhile.
    }
  }
  return undefined;
}

/** V8 takes a first SIGSEGV for one of WebAssembly's: sent until it works. */
function kill(pid: number, signal: Deno.Signal): Promise<void> {
  return until(() => {
    if (isAlive(pid)) Deno.kill(pid, signal);
    return !isAlive(pid);
  });
}

for (const signal of ["SIGKILL", "SIGSEGV", "SIGTERM", "SIGABRT"] as const) {
  const says = new RegExp(`was killed by ${signal}`);

  test(`${signal} from outside on a busy child breaks the pool`, async () => {
    await using gate = socketGate();
    const executor = pool({ source: "", says }, { maxWorkers: 1 });
    const pid = await executor.submit(() => Deno.pid).result();
    const futures = [
      executor.submit(gate.pass, gate.handle, 1),
      executor.submit(neverEnds),
    ];
    await gate.entered(1);
    await kill(pid, signal);
    const message = await assertBroken(executor, futures, says);
    assertMatch(message, new RegExp(`\\(pid ${pid}\\).* while it ran "pass"`));
  });

  test(`${signal} from outside on a child in a busy loop breaks the pool`, async () => {
    const executor = pool({ source: "", says }, { maxWorkers: 1 });
    const pid = await executor.submit(() => Deno.pid).result();
    const spins = executor.submit(() => {
      for (;;);
    });
    await kill(pid, signal);
    await assertBroken(executor, [spins], says);
  });

  test(`${signal} from outside on an idle child breaks the pool, which says that it was idle`, async () => {
    const executor = pool({ source: "", says }, {
      maxWorkers: 1,
      idleTimeout: 30_000,
    });
    const pid = await executor.submit(() => Deno.pid).result();
    await kill(pid, signal);
    await until(() => {
      try {
        executor.submit(neverEnds);
        return false;
      } catch {
        return true;
      }
    });
    await assertBroken(executor, [], says);
  });
}

test("a child that is killed as soon as it has started breaks the pool", async () => {
  const executor = make({
    maxWorkers: 1,
    permissions: { run: true },
  });
  const future = executor.submit(neverEnds);
  for (const pid of childrenOf(Deno.pid)) Deno.kill(pid, "SIGKILL");
  await assertBroken(executor, [future], /was killed by SIGKILL/);
});

test("a child that is stopped, not killed, is ended by the shutdown all the same", async () => {
  const executor = pool({ source: "", says: /./ }, { maxWorkers: 1 });
  const pid = await executor.submit(() => Deno.pid).result();
  Deno.kill(pid, "SIGSTOP");
  await executor.shutdown();
  assertEquals(isAlive(pid), false);
});

test("the message has the last lines that a dead child wrote to stderr, without colours", async () => {
  const executor = make({ maxWorkers: 1 });
  const future = executor.submit(() => {
    for (let i = 0; i < 20; i++) console.error(`\x1b[31mline ${i}\x1b[0m`);
    Deno.exit(3);
  });
  const { message } = await future.exception() as Error;
  assertMatch(message, /exit code 3/);
  assertMatch(message, /line 18\nline 19$/);
  assert(!message.includes("line 5\n"));
  await executor.shutdown();
});

test("what nobody caught is the cause of the broken pool's errors", async () => {
  for (const way of ["an error in the background", "an unhandled rejection"]) {
    const executor = make({ maxWorkers: 1 });
    const error = await executor.submit(diesInside, String(ways[way]))
      .exception() as Error;
    assertInstanceOf(error.cause, RangeError);
    assertEquals(error.cause.message, "in the background");
    await executor.shutdown();
  }
});

// ---- What is no child ----------------------------------------------------------

test("an execPath that does not exist breaks the pool at its first call", async () => {
  const executor = make({ execPath: "/no/such/deno" });
  const error = await executor.submit(Math.sqrt, 4).exception();
  assertInstanceOf(error, BrokenProcessPool);
  assertMatch(
    error.message,
    /No worker can be started \(NotFound: .*\/no\/such\/deno/,
  );
  assertInstanceOf(error.cause, Deno.errors.NotFound);
  assertThrows(() => executor.submit(Math.sqrt, 4), BrokenProcessPool);
  await executor.shutdown();
});

for (
  const [program, says] of [
    ["/bin/false", /ended with exit code 1/],
    ["/bin/true", /ended with exit code 0/],
    ["/bin/echo", /ended with exit code 0/],
  ] as const
) {
  test(`${program} as execPath breaks the pool, which does not say that a call ran`, async () => {
    // What it prints, it prints to this program's stdout.
    const executor = make({
      maxWorkers: 2,
      execPath: program,
    });
    const futures = [1, 2, 3].map((n) => executor.submit(Math.sqrt, n));
    const message = await assertBroken(executor, futures, says);
    assertMatch(message, /before it ran a call/);
  });
}

test("a program that never says anything can be killed", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/silent`;
  await Deno.writeTextFile(path, "#!/bin/sh\nexec sleep 1000\n", {
    mode: 0o755,
  });
  try {
    const executor = make({ maxWorkers: 1, execPath: path });
    const future = executor.submit(Math.sqrt, 4);
    const waiting = executor.submit(Math.sqrt, 9);
    executor.terminateWorkers();
    assertInstanceOf(await future.exception(), BrokenProcessPool);
    assertEquals(waiting.cancelled(), true);
    await executor.shutdown();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

test("flags that deno does not know break the pool, which shows what deno says", async () => {
  const executor = make({
    maxWorkers: 1,
    execArgv: ["--no-such-flag"],
  });
  const error = await executor.submit(Math.sqrt, 4).exception() as Error;
  assertInstanceOf(error, BrokenProcessPool);
  assertMatch(error.message, /the last it wrote to stderr: ./);
  await executor.shutdown();
});

// ---- What must not kill --------------------------------------------------------

const harmless: Record<string, () => void> = {
  "posts messages of its own": () => {
    const { postMessage } = globalThis as unknown as {
      postMessage(data: unknown): void;
    };
    for (
      const data of ["text", null, undefined, 5, { exit: 7 }, { type: "died" }]
    ) postMessage(data);
  },
  "sets onmessage": () => {
    Reflect.set(globalThis, "onmessage", () => {
      throw new Error("heard");
    });
  },
  "puts its own in the place of what writes to stdout": () => {
    Deno.stdout.writeSync = (bytes) => bytes.length;
    Deno.stdout.write = (bytes) => Promise.resolve(bytes.length);
  },
};

for (const [what, fn] of Object.entries(harmless)) {
  test(`a task that ${what} does no harm`, async () => {
    await using executor = make({ maxWorkers: 1 });
    await soon(executor.submit(fn).result());
    assertEquals(
      await soon(executor.submit((n: number) => ({ n: n + 1 }), 5).result()),
      { n: 6 },
    );
  });
}

for (
  const [what, fn] of Object.entries({
    "closes stdout": () => {
      (Deno.stdout as unknown as { close(): void }).close();
    },
    "pipes a stream to stdout, which closes it": async () => {
      await new Response("").body!.pipeTo(Deno.stdout.writable);
    },
  })
) {
  test(`a task that ${what} hangs nobody`, async () => {
    await using executor = make({ maxWorkers: 1 });
    const futures: Future<unknown>[] = [executor.submit(fn)];
    try {
      futures.push(executor.submit(Math.sqrt, 9));
    } catch (error) {
      assertInstanceOf(error, BrokenProcessPool);
    }
    for (const future of futures) {
      const error = await soon(future.exception());
      if (error) assertInstanceOf(error, BrokenProcessPool);
    }
  });
}

// ---- In the middle of many short items ---------------------------------------

/** Self-contained: short, but for the item that is to wait. */
function pidOrWait(n: number): number | Promise<number> {
  return n === 50 ? new Promise(() => {}) : n * 2 ** 24 + Deno.pid;
}

for (const how of ["SIGKILL", "killWorkers()", "terminateWorkers()"]) {
  test(`${how} in the middle of a map over short items breaks it behind the results that there were`, async () => {
    const pool = make({ maxWorkers: 1 });
    const before = pool.map(pidOrWait, Array<number>(100).fill(0));
    await Array.fromAsync(before);
    const numbers = Array.from({ length: 100 }, (_, i) => i);
    const results = pool.map(pidOrWait, numbers);
    let pid = 0;
    for (let n = 0; n < 50; n++) {
      const { value } = await results.next();
      assertEquals(Math.floor(value / 2 ** 24), n);
      pid = value % 2 ** 24;
    }
    const next = results.next();
    const rejected = assertRejects(() => next, BrokenProcessPool);
    if (how === "SIGKILL") Deno.kill(pid, "SIGKILL");
    else if (how === "killWorkers()") pool.killWorkers();
    else pool.terminateWorkers();
    await rejected;
    assertEquals((await results.next()).done, true);
    assertThrows(() => pool.map(pidOrWait, [1]));
    await pool.shutdown();
    const { waiting, running, finished, failed, cancelled } =
      pool.stats().calls;
    assertEquals([waiting, running, finished], [0, 0, 150]);
    assertEquals(failed + cancelled, 50);
  });
}

Deno.test({
  name:
    "process pool: calls for which no child can be started wait for the children that there are",
  ignore: Deno.build.os === "windows",
  async fn() {
    const { code, stdout, stderr } = await deno(
      programArgs("few_files", ["--allow-run", "--allow-read", "--allow-sys"]),
      { through: ["sh", "-c", 'ulimit -n 80; exec "$0" "$@"'] },
    );
    assertEquals({ code, stdout, stderr }, {
      code: 0,
      stdout: "break 48 true\nreplace 48 true\n",
      stderr: "",
    });
  },
});
