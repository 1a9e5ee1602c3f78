/** The options of the process pool, and the ends that a caller can bring about. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertNotEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  BrokenProcessPool,
  CancelledError,
  RuntimeError,
} from "../../errors.ts";
import {
  ProcessPoolExecutor,
  type ProcessPoolExecutorOptions,
} from "../../process_pool.ts";
import { make, test } from "../_children.ts";
import { UPPER_BOUND_MS } from "../_helpers.ts";
import { childrenOf, deno, isAlive } from "../_programs.ts";
import { socketGate } from "../contract.ts";

const windows = Deno.build.os === "windows";

Deno.test("process pool: an option of a wrong type is refused, and which it is is said", () => {
  for (
    const [options, says] of [
      [{ env: { A: 5 } }, "env.A must be a string: received 5"],
      [{ env: ["A=5"] }, "env must be an object of strings: received an obj"],
      [{ env: "A=5" }, 'env must be an object of strings: received "A=5"'],
      [
        { execArgv: "--quiet" },
        'execArgv must be an array of strings: received "--quiet"',
      ],
      [{ execArgv: [1] }, "execArgv[0] must be a string: received 1"],
      [{ execPath: 5 }, "execPath must be a string or a URL: received 5"],
      [{ cwd: null }, "cwd must be a string or a URL: received null"],
      [{ config: {} }, "config must be a string or a URL: received an object"],
      [{ initargs: 5 }, "initargs must be an array: received 5"],
      [null, "The options of an executor must be an object: received null"],
      ["2", 'The options of an executor must be an object: received "2"'],
    ] as const
  ) {
    const error = assertThrows(
      () =>
        new ProcessPoolExecutor(
          options as unknown as ProcessPoolExecutorOptions,
        ),
      TypeError,
    );
    assertStringIncludes(error.message, says);
  }
});

Deno.test("process pool: maxWorkers and maxTasksPerChild must be integers greater than 0", () => {
  for (const name of ["maxWorkers", "maxTasksPerChild"]) {
    for (const value of [0, -1]) {
      assertThrows(
        () => new ProcessPoolExecutor({ [name]: value }),
        RangeError,
        `${name} must be greater than 0`,
      );
    }
    for (const value of [1.5, NaN, -Infinity, "1", null, true, {}]) {
      const error = assertThrows(
        () => new ProcessPoolExecutor({ [name]: value as number }),
        TypeError,
      );
      assertMatch(error.message, new RegExp(name));
    }
  }
});

Deno.test("process pool: on Windows there are at most 61 children", () => {
  const os = Deno.build.os;
  const build = Deno.build as { os: string };
  const own = Object.getOwnPropertyDescriptor(Deno, "build")!;
  Object.defineProperty(Deno, "build", {
    ...own,
    value: { ...build, os: "windows" },
  });
  try {
    const error = assertThrows(
      () => new ProcessPoolExecutor({ maxWorkers: 62 }),
      RangeError,
    );
    assertMatch(error.message, /61.*62/);
    new ProcessPoolExecutor({ maxWorkers: 61 });
  } finally {
    Object.defineProperty(Deno, "build", own);
  }
  assertEquals(Deno.build.os, os);
  if (!windows) new ProcessPoolExecutor({ maxWorkers: 62 });
});

Deno.test("process pool: the default of maxWorkers is at most 61 on Windows, however many processors there are", () => {
  const own = Object.getOwnPropertyDescriptor(Deno, "build")!;
  const os = (name: string) =>
    Object.defineProperty(Deno, "build", {
      ...own,
      value: { ...own.value, os: name },
    });
  Object.defineProperty(navigator, "hardwareConcurrency", {
    value: 128,
    configurable: true,
  });
  try {
    for (const name of ["windows", "linux"]) {
      os(name);
      new ProcessPoolExecutor();
    }
  } finally {
    Object.defineProperty(Deno, "build", own);
    // What is uncovered is the prototype's own.
    Reflect.deleteProperty(navigator, "hardwareConcurrency");
  }
});

test("maxWorkers defaults to the number of processors", async () => {
  const most = navigator.hardwareConcurrency;
  const pool = make({ permissions: { net: true } });
  await using gate = socketGate();
  const futures = Array.from(
    { length: most + 3 },
    (_, i) => pool.submit(gate.pass, gate.handle, i),
  );
  await gate.entered(...Array.from({ length: most }, (_, i) => i));
  assertEquals(gate.ids.size, most);
  gate.open();
  for (const future of futures) await future.result();
  await pool.shutdown();
});

// ---- maxTasksPerChild --------------------------------------------------------------

for (const maxTasksPerChild of [1, 2, 3]) {
  test(`a child is replaced after ${maxTasksPerChild} calls, and a backlog of 30 is never starved`, async () => {
    const pool = make({ maxWorkers: 1, maxTasksPerChild });
    const futures = Array.from(
      { length: 30 },
      () => pool.submit(() => Deno.pid),
    );
    const runs = new Map<number, number>();
    for (const future of futures) {
      const pid = await future.result();
      runs.set(pid, (runs.get(pid) ?? 0) + 1);
    }
    assertEquals(
      [...runs.values()],
      Array(30 / maxTasksPerChild).fill(maxTasksPerChild),
    );
    await pool.shutdown();
    for (const pid of runs.keys()) assertEquals(isAlive(pid), false);
  });
}

test("a child keeps its state until it is replaced, and the initializer runs in each", async () => {
  const pool = make({
    maxWorkers: 1,
    maxTasksPerChild: 2,
    initializer: (start: number) => {
      Reflect.set(globalThis, "calls", start);
    },
    initargs: [10],
  });
  const count = () => {
    const calls: number = Reflect.get(globalThis, "calls") + 1;
    Reflect.set(globalThis, "calls", calls);
    return calls;
  };
  assertEquals(await Array.fromAsync(pool.map(count, Array(6).fill(0))), [
    11,
    12,
    11,
    12,
    11,
    12,
  ]);
  await pool.shutdown();
});

test("calls that fail count for maxTasksPerChild, too", async () => {
  const pool = make({ maxWorkers: 1, maxTasksPerChild: 1 });
  const pids = new Set<number>();
  for (let i = 0; i < 3; i++) {
    await pool.submit(() => {
      throw new Error("fails");
    }).exception();
    pids.add(await pool.submit(() => Deno.pid).result());
  }
  assertEquals(pids.size, 3);
  await pool.shutdown();
});

// ---- How children start --------------------------------------------------------------

test("env is added to the program's own variables", async () => {
  const pool = make({
    maxWorkers: 1,
    env: { OF_THE_POOL: "a=b c" },
    permissions: { env: true },
  });
  const seen = await pool.submit(
    () => [Deno.env.get("OF_THE_POOL"), Deno.env.get("PATH")],
  ).result();
  assertEquals(seen, ["a=b c", Deno.env.get("PATH")]);
  await pool.shutdown();
});

test("cwd is the working directory of the children, as a path or a URL", async () => {
  const folder = await Deno.realPath(await Deno.makeTempDir());
  try {
    for (const cwd of [folder, new URL(`file://${folder}/`)]) {
      const pool = make({ maxWorkers: 1, cwd, permissions: { read: true } });
      assertEquals(await pool.submit(() => Deno.cwd()).result(), folder);
      await pool.shutdown();
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

test("execArgv are flags of deno run", async () => {
  const pool = make({
    maxWorkers: 1,
    execArgv: ["--v8-flags=--expose-gc", "--seed=7"],
  });
  assertEquals(
    await pool.submit(() => typeof Reflect.get(globalThis, "gc")).result(),
    "function",
  );
  const first = await pool.submit(Math.random).result();
  await pool.shutdown();
  const again = make({ maxWorkers: 1, execArgv: ["--seed=7"] });
  assertEquals(await again.submit(Math.random).result(), first);
  await again.shutdown();
});

test("execPath may be a path, a URL, or a program on the PATH that starts deno", async () => {
  const folder = await Deno.makeTempDir();
  const script = `${folder}/my deno`;
  await Deno.writeTextFile(
    script,
    `#!/bin/sh\nexport THROUGH=script\nexec "${Deno.execPath()}" "$@"\n`,
    { mode: 0o755 },
  );
  try {
    for (const execPath of [script, new URL(`file://${encodeURI(script)}`)]) {
      const pool = make({
        maxWorkers: 1,
        execPath,
        permissions: { env: true },
      });
      assertEquals(
        await pool.submit(() => Deno.env.get("THROUGH")).result(),
        "script",
      );
      await pool.shutdown();
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

test("the import map near the main module holds in children, wherever the program is run from", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${folder}/project/src`, { recursive: true });
    await Deno.mkdir(`${folder}/elsewhere`);
    await Deno.writeTextFile(
      `${folder}/project/deno.json`,
      JSON.stringify({ imports: { "#helper": "./helper.ts" } }),
    );
    await Deno.writeTextFile(
      `${folder}/project/helper.ts`,
      "export const help = (n: number) => n + 1;",
    );
    await Deno.writeTextFile(
      `${folder}/project/src/tasks.ts`,
      `import { help } from "#helper"; export const task = (n: number) => help(n);`,
    );
    await Deno.writeTextFile(
      `${folder}/project/src/main.ts`,
      `import { ProcessPoolExecutor, taskModule } from "${
        import.meta.resolve("../../mod.ts")
      }";
       const tasks = taskModule(import.meta.resolve("./tasks.ts"));
       await using pool = new ProcessPoolExecutor({ maxWorkers: 1, ...JSON.parse(Deno.args[0]) });
       console.log(await pool.submit(tasks.task, 1).result().catch((error) => error.message));`,
    );
    const run = (cwd: string, permissions: string[], options: object) =>
      deno([
        "run",
        "--no-prompt",
        ...permissions,
        `${folder}/project/src/main.ts`,
        JSON.stringify(options),
      ], { cwd });
    for (const cwd of ["elsewhere", "project/src"]) {
      const { stdout, stderr } = await run(`${folder}/${cwd}`, [
        "--allow-run",
        "--allow-read",
      ], {});
      assertEquals([stdout, stderr], ["2\n", ""]);
    }
    // Where the program may not look, it has to be named.
    const lost = await run(`${folder}/elsewhere`, ["--allow-run"], {});
    assertMatch(lost.stdout, /Cannot import .*#helper/);
    const named = await run(`${folder}/elsewhere`, ["--allow-run"], {
      config: `${folder}/project/deno.json`,
    });
    assertEquals([named.stdout, named.stderr], ["2\n", ""]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

// ---- deno compile --------------------------------------------------------------------

function standalone(fn: () => void): void {
  const own = Object.getOwnPropertyDescriptor(Deno, "build")!;
  Object.defineProperty(Deno, "build", {
    ...own,
    value: { ...Deno.build, standalone: true },
  });
  try {
    fn();
  } finally {
    Object.defineProperty(Deno, "build", own);
  }
}

Deno.test("process pool: in a compiled program a pool needs execPath, and says so when it is made", () => {
  standalone(() => {
    const error = assertThrows(() => new ProcessPoolExecutor(), RuntimeError);
    assertMatch(error.message, /compile.*execPath/);
    new ProcessPoolExecutor({ execPath: "/usr/bin/deno" });
  });
});

test("a program made by deno compile never starts itself, and works with execPath", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(
      `${folder}/main.ts`,
      `import { ProcessPoolExecutor } from "${
        import.meta.resolve("../../mod.ts")
      }";
       console.log("started");
       try { new ProcessPoolExecutor(); } catch (error) { console.log(error.name); }
       await using pool = new ProcessPoolExecutor({ maxWorkers: 1, execPath: Deno.args[0] });
       console.log(await pool.submit((n: number) => n + 1, 1).result());`,
    );
    const made = await deno([
      "compile",
      "--quiet",
      "--no-config",
      "--no-check",
      "--allow-run",
      "--output",
      `${folder}/main`,
      `${folder}/main.ts`,
    ]);
    if (made.code !== 0) {
      console.log(
        `skipped, for deno compile does not work here: ${
          made.stderr.split("\n")[0]
        }`,
      );
      return;
    }
    const { stdout } = await new Deno.Command(`${folder}/main`, {
      args: [Deno.execPath()],
    }).output();
    assertEquals(
      new TextDecoder().decode(stdout),
      "started\nRuntimeError\n2\n",
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

// ---- terminateWorkers() and killWorkers() -----------------------------------------------

for (const how of ["terminateWorkers", "killWorkers"] as const) {
  test(`${how}() breaks what runs, cancels what waits, and ends busy loops`, async () => {
    await using gate = socketGate();
    const pool = make({ maxWorkers: 2, permissions: { net: true } });
    const pids = await Promise.all(
      [1, 2].map(() => pool.submit(() => Deno.pid).result()),
    );
    const held = pool.submit(gate.pass, gate.handle, 1);
    await gate.entered(1);
    const spins = pool.submit(() => {
      for (;;);
    });
    const waiting = [1, 2, 3].map(() => pool.submit(Math.sqrt, 4));
    pool[how]();
    for (const future of [held, spins]) {
      assertEquals(future.done(), true);
      const error = await future.exception();
      assertInstanceOf(error, BrokenProcessPool);
      assertMatch(error.message, new RegExp(`pid \\d+.*${how}\\(\\)`));
    }
    assertNotEquals(await held.exception(), await spins.exception());
    for (const future of waiting) {
      assertEquals(future.cancelled(), true);
      await future.result().then(
        () => assert(false),
        (error) => assertInstanceOf(error, CancelledError),
      );
    }
    const error = assertThrows(() => pool.submit(Math.sqrt, 4), RuntimeError);
    assertEquals(error instanceof BrokenProcessPool, false);
    assertThrows(() => pool.map(Math.sqrt, [4]), RuntimeError);
    pool[how]();
    await pool.shutdown();
    for (const pid of pids) assertEquals(isAlive(pid), false);
    pool[how]();
  });

  test(`${how}() on a pool that was never used, and on an idle one, shuts it down`, async () => {
    const unused = make({ maxWorkers: 1 });
    unused[how]();
    assertThrows(
      () => unused.submit(Math.sqrt, 4),
      RuntimeError,
      "cannot schedule new futures after shutdown",
    );
    await unused.shutdown();
    const idle = make({ maxWorkers: 1 });
    const pid = await idle.submit(() => Deno.pid).result();
    idle[how]();
    assertThrows(
      () => idle.submit(Math.sqrt, 4),
      RuntimeError,
      "cannot schedule new futures after shutdown",
    );
    await idle.shutdown();
    assertEquals(isAlive(pid), false);
  });

  test(`${how}() on children that are about to start leaves none`, async () => {
    const pool = make({ maxWorkers: 2 });
    const futures = [1, 2, 3].map((n) => pool.submit(Math.sqrt, n));
    pool[how]();
    assertEquals(futures.map((future) => future.done()), [true, true, true]);
    await pool.shutdown();
  });
}

for (
  const [how, signal] of [
    ["terminateWorkers", "SIGTERM"],
    ["killWorkers", "SIGKILL"],
  ] as const
) {
  test(`${how}() sends ${signal}, which a call ${signal === "SIGTERM" ? "can" : "can't"} handle`, async () => {
    const folder = await Deno.makeTempDir();
    try {
      const pool = make({ maxWorkers: 1, permissions: { write: [folder] } });
      await pool.submit((mark: string) => {
        Deno.addSignalListener("SIGTERM", () => {
          Deno.writeTextFileSync(mark, "handled");
          Deno.exit();
        });
      }, `${folder}/mark`).result();
      pool[how]();
      await pool.shutdown();
      const marks = [...Deno.readDirSync(folder)].length;
      assertEquals(marks, signal === "SIGTERM" ? 1 : 0);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });

  test(`${how}() has signalled all children when it returns`, async () => {
    await using gate = socketGate();
    const pool = make({ maxWorkers: 2, permissions: { net: true } });
    const held = [0, 1].map((id) => pool.submit(gate.pass, gate.handle, id));
    await gate.entered(0, 1);
    const pids = childrenOf(Deno.pid);
    assertEquals(pids.length, 2);
    pool[how]();
    // The event loop does not turn meanwhile: they die of what was done.
    const end = performance.now() + UPPER_BOUND_MS / 10;
    while (pids.some(isAlive)) {
      assert(performance.now() < end, "hangs: a child is still alive");
    }
    assert(held.every((future) => future.done()));
    await pool.shutdown();
  });
}

test("terminateWorkers() ends even a child that handles SIGTERM", async () => {
  const pool = make({ maxWorkers: 1 });
  const pid = await pool.submit(() => {
    Deno.addSignalListener("SIGTERM", () => {});
    return Deno.pid;
  }).result();
  pool.terminateWorkers();
  await pool.shutdown();
  assertEquals(isAlive(pid), false);
});

test("a call in a child runs and can't be cancelled; one that waits can", async () => {
  await using gate = socketGate();
  const pool = make({ maxWorkers: 1, permissions: { net: true } });
  const running = pool.submit(gate.pass, gate.handle, 1);
  assertEquals([running.running(), running.cancel()], [true, false]);
  const waiting = pool.submit(gate.pass, gate.handle, 2);
  assertEquals([waiting.running(), waiting.cancel(), waiting.cancel()], [
    false,
    true,
    true,
  ]);
  gate.open();
  assertEquals(await running.result(), 1);
  assertEquals([running.running(), running.cancel()], [false, false]);
  await pool.shutdown();
  assertEquals([...gate.ids], [1]);
});
