/** Whole programs: what they print, how they end, and that they end at all. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertNotMatch,
  assertStringIncludes,
} from "@std/assert";
import { UPPER_BOUND_MS, within } from "./_helpers.ts";
import { runCells } from "./_jupyter.ts";

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs Deno to its end; fails if it comes to none. */
async function deno(...args: string[]): Promise<Ended> {
  const child = new Deno.Command(Deno.execPath(), {
    args,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
  }).spawn();
  let hangs = false;
  const timer = setTimeout(() => {
    hangs = true;
    child.kill("SIGKILL");
  }, UPPER_BOUND_MS);
  try {
    const { code, stdout, stderr } = await child.output();
    const [out, err] = [stdout, stderr].map((bytes) =>
      new TextDecoder().decode(bytes)
    );
    assert(!hangs, `hangs after it has printed ${out} and ${err}`);
    return { code, stdout: out, stderr: err };
  } finally {
    clearTimeout(timer);
  }
}

/** Runs a program with the permissions that are named, and no others. */
function run(program: string, ...permissions: string[]): Promise<Ended> {
  const url = new URL(`./programs/${program}.ts`, import.meta.url);
  return deno("run", "--no-prompt", "--no-config", ...permissions, url.href);
}

/** Runs a program with a pool of processes in the place of its threads. */
async function runWithProcesses(
  program: string,
  ...permissions: string[]
): Promise<Ended> {
  const url = new URL(`./programs/${program}.ts`, import.meta.url);
  const source = (await Deno.readTextFile(url))
    .replaceAll("ThreadPoolExecutor", "ProcessPoolExecutor")
    .replaceAll("../../mod.ts", import.meta.resolve("../mod.ts"));
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/${program}.ts`;
    await Deno.writeTextFile(path, source);
    return await deno(
      "run",
      "--no-prompt",
      "--no-config",
      ...permissions,
      path,
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function test(sentence: string, fn: () => Promise<void>): void {
  Deno.test(`program: ${sentence}`, fn);
}

/** Runs a program with what its pool needs. */
type Run = (program: string) => Promise<Ended>;

/** Registers a test for a program that is run with either pool. */
function testBoth(
  sentence: string,
  fn: (run: Run) => Promise<void>,
  ...threadsNeed: string[]
): void {
  test(sentence, () => fn((program) => run(program, ...threadsNeed)));
  Deno.test(
    `program with processes: ${sentence}`,
    () => fn((program) => runWithProcesses(program, "--allow-run")),
  );
}

testBoth("ends by itself, without a shutdown", async (run) => {
  assertEquals(await run("ends_by_itself"), {
    code: 0,
    stdout: "2,4,6\n",
    stderr: "",
  });
});

testBoth(
  "ends when its calls are done, though nobody waits for them",
  async (run) => {
    assertEquals(await run("ends_though_nobody_waits"), {
      code: 0,
      stdout: "submitted\ncall 1\ncall 2\ncall 3\n",
      stderr: "",
    });
  },
);

testBoth(
  "ends with its shutdown, however long idle workers may stay",
  async (run) => {
    assertEquals(await run("ends_with_an_idle_minute"), {
      code: 0,
      stdout: "5\n",
      stderr: "",
    });
  },
);

testBoth("completes its work after shutdown({ wait: false })", async (run) => {
  assertEquals(await run("shutdown_without_wait"), {
    code: 0,
    stdout: "shut down\nresult 1\nresult 2\nresult 3\n",
    stderr: "",
  });
});

testBoth(
  "prints nothing of failed futures that nobody asks, and succeeds",
  async (run) => {
    assertEquals(await run("failed_futures"), {
      code: 0,
      stdout: "done\n",
      stderr: "",
    });
  },
);

test("needs no permission for self-contained functions", async () => {
  assertEquals(await run("no_permissions"), {
    code: 0,
    stdout: "Hello world\n[ 8, 9 ]\nTypeError: no harm\nNotCapable\n",
    stderr: "",
  });
});

test("runs as Python's examples are written, its helpers outside of the functions", async () => {
  assertEquals(await run("closures", "-A"), {
    code: 0,
    stdout: "begins\n" +
      "process: 112272535095293 is prime: true, 115797848077098 is prime: false, 6 steps, 120\n" +
      "thread: 112272535095293 is prime: true, 115797848077098 is prime: false, 6 steps, 120\n",
    stderr: "",
  });
});

test("without the permission to look around functions, is told what would let it", async () => {
  const { code, stdout } = await run("closures_refused");
  assertEquals(code, 0);
  assertEquals(
    stdout,
    "ReferenceError: limit is not defined in the worker, where an anonymous function went as source alone: " +
      "pass limit as an argument, or export the function, with a name, from a module and name that with " +
      "the module option (module: import.meta.url) or taskModule(); " +
      "or run the program with --allow-sys, for it to take along what is around it\n" +
      "true\n",
  );
  assertMatch((await run("closures_refused", "--allow-sys")).stdout, /^true\n/);
});

test("whose closure uses a module that imports the program is told what needs the guard", async () => {
  const { stdout } = await run("closure_in_circle", "-A");
  assertMatch(
    stdout,
    /^RuntimeError: Cannot start workers .*in_circle\.ts itself, or from what it imports, .*the module that does under "if \(import\.meta\.main\)"$/m,
  );
});

test("has timers loaded when its first submit is over, which runs other code in some versions", async () => {
  assertEquals((await run("timers_late")).stdout, "submitted, timers\n");
});

test("prints nothing when workers die, in whatever way and at whatever time", async () => {
  assertEquals(await run("deaths", "--allow-read"), {
    code: 0,
    stdout: "done\n",
    stderr: "",
  });
});

test("that waits for a call whose worker dies ends with BrokenThreadPool", async () => {
  const { code, stdout, stderr } = await run("waits_for_the_dead");
  assertEquals([code, stdout], [1, ""]);
  assertMatch(stderr, /Uncaught .*BrokenThreadPool: .*"exits"/);
});

test("ends with the exception of a call that it does not catch", async () => {
  const { code, stdout, stderr } = await run("uncaught");
  assertEquals([code, stdout], [1, ""]);
  assertMatch(stderr, /Uncaught .*RangeError: of a call\n/);
  assertMatch(stderr, /TypeError: of its cause/);
  // Where this library made it anew is of no interest.
  assertNotMatch(stderr, /internal\/|thread_pool\.ts/);
  // Deno 2.5 prints none but the frames where an exception was made.
  const probe = await deno(
    "eval",
    'const e = new Error("a"); e.stack = "Error: a\\n    at probe (b:1:1)"; throw e',
  );
  if (probe.stderr.includes("probe")) assertMatch(stderr, /at fails /);
});

test("shows what its calls print", async () => {
  assertEquals(await run("prints"), {
    code: 0,
    stdout: "out of a call\nwritten\n",
    stderr: "err of a call\n",
  });
});

test("ends by itself after calls with limits, whether they were reached or not", async () => {
  assertEquals(await run("ends_after_limits"), {
    code: 0,
    stdout: "2\nTimeoutError\n3\n2\nTimeoutError\n3\n",
    stderr: "",
  });
});

test("runs calls on the event loop with no permission, and ends by itself", async () => {
  assertEquals(await run("event_loop"), {
    code: 0,
    stdout: "call 1 on EventLoopExecutor_0\n" +
      "call 2 on EventLoopExecutor_1\nnobody waits for this one\n",
    stderr: "",
  });
});

test("starts no call on the event loop within submit, not even its first", async () => {
  assertEquals(await run("event_loop_first"), {
    code: 0,
    stdout: "submitted,runs false true\n",
    stderr: "",
  });
});

test("can exit though a call never ends", async () => {
  assertEquals(await run("spins"), { code: 7, stdout: "exits\n", stderr: "" });
});

test("runs in deno eval", async () => {
  const source = `
    import { ThreadPoolExecutor } from "${import.meta.resolve("../mod.ts")}";
    await using pool = new ThreadPoolExecutor({ maxWorkers: 2 });
    const add = (a: number, b: number): number => a + b;
    console.log(await pool.submit(add, 1, 2).result());
    console.log(await Array.fromAsync(pool.map(Math.sqrt, [1, 4, 9])));`;
  assertEquals(await deno("eval", "--ext=ts", "--no-config", source), {
    code: 0,
    stdout: "3\n[ 1, 2, 3 ]\n",
    stderr: "",
  });
});

test("runs in the REPL, where functions and pools are made line by line", async () => {
  const lines = [
    `const { ThreadPoolExecutor, ProcessPoolExecutor } = await import("${
      import.meta.resolve("../mod.ts")
    }")`,
    "const pool = new ThreadPoolExecutor({ maxWorkers: 2 })",
    "function twice(n) { return n * 2 }",
    "await pool.submit(twice, 21).result()",
    "await Array.fromAsync(pool.map(Math.sqrt, [1, 4, 9]))",
    "(await pool.submit(() => twice(1)).exception()).name",
    "await pool.shutdown()",
    "const children = new ProcessPoolExecutor({ maxWorkers: 1 })",
    "await children.submit(twice, 4).result()",
    "await children.shutdown()",
  ];
  const repl = new Deno.Command(Deno.execPath(), {
    args: ["repl", "--quiet", "--no-config", "--allow-run", "--allow-read"],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
  }).spawn();
  const writer = repl.stdin.getWriter();
  await writer.write(new TextEncoder().encode(lines.join("\n") + "\n"));
  await writer.close();
  const { stdout, stderr } = await within(repl.output());
  const shown = new TextDecoder().decode(stdout).trimEnd().split("\n");
  assertEquals(
    shown.filter((line) => line !== "undefined"),
    ["42", "[ 1, 2, 3 ]", '"ReferenceError"', "8"],
    new TextDecoder().decode(stderr),
  );
});

test("runs in Jupyter, cell by cell", async () => {
  const shown = await within(runCells([
    `import { ProcessPoolExecutor, ThreadPoolExecutor } from "${
      import.meta.resolve("../mod.ts")
    }";
     const pool = new ThreadPoolExecutor({ maxWorkers: 2 });
     function twice(n: number): number { return n * 2; }`,
    "await pool.submit(twice, 21).result()",
    "console.log(await Array.fromAsync(pool.map(Math.sqrt, [1, 4, 9])))",
    "await pool.submit(() => { throw new RangeError('why'); }).result()",
    `await pool.shutdown();
     const children = new ProcessPoolExecutor({ maxWorkers: 1 });
     const four = await children.submit(twice, 2).result();
     await children.shutdown();
     four`,
  ]));
  assertEquals(shown.slice(1), [
    "42",
    "[ 1, 2, 3 ]\n",
    "RangeError: why",
    "4",
  ]);
});

test("made by deno compile has threads, with no permission", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const made = await deno(
      "compile",
      "--quiet",
      "--no-config",
      "--no-check",
      "--output",
      `${folder}/program`,
      new URL("./programs/no_permissions.ts", import.meta.url).href,
    );
    if (made.code !== 0) {
      console.log(
        `skipped, for deno compile does not work here: ${
          made.stderr.split("\n")[0]
        }`,
      );
      return;
    }
    const { stdout } = await new Deno.Command(`${folder}/program`).output();
    assertEquals(
      new TextDecoder().decode(stdout),
      "Hello world\n[ 8, 9 ]\nTypeError: no harm\nNotCapable\n",
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

// ---- A script that names itself as its workers' module ---------------------

testBoth(
  "that is its own module works if its main part is guarded",
  async (run) => {
    assertEquals(await run("guarded"), {
      code: 0,
      stdout: "16\n4\n7\n10\n",
      stderr: "",
    });
  },
  "--allow-read",
);

testBoth(
  "that is its own module may make its pool outside of the guard",
  async (run) => {
    assertEquals(await run("pool_at_top_level"), {
      code: 0,
      stdout: "15\n",
      stderr: "",
    });
  },
  "--allow-read",
);

test("that is its own module and may not be read says so", async () => {
  const { code, stdout, stderr } = await run("guarded");
  assertEquals([code, stdout], [1, ""]);
  assertMatch(stderr, /Cannot import .*guarded\.ts/);
  assertStringIncludes(stderr, "--allow-read");
});

for (const how of ["await", "main"]) {
  testBoth(
    `that is its own module and unguarded, by ${how}, gets a RuntimeError that says so`,
    async (run) => {
      const { code, stdout, stderr } = await run(`unguarded_${how}`);
      assertEquals([code, stdout], [1, ""]);
      assertMatch(stderr, /Uncaught .*RuntimeError: /);
      assertStringIncludes(stderr, "import.meta.main");
      assertFewLoads(stderr);
    },
    "--allow-read",
  );
}

testBoth(
  "that is its own module and unguarded is told so even if its copies catch what they get",
  async (run) => {
    const { code, stdout, stderr } = await run("unguarded_caught");
    assertEquals(code, 0);
    assertMatch(stdout, /^RuntimeError: .*import\.meta\.main/m);
    assertFewLoads(stderr);
  },
  "--allow-read",
);

testBoth(
  "that is its own module and unguarded, and late to make its pool, does not multiply",
  async (run) => {
    const { code, stdout, stderr } = await run("unguarded_late_main");
    // The call may be answered before the worker's copy gets that far.
    if (code === 0) assertEquals(stdout, "3\n");
    else assertStringIncludes(stderr, "import.meta.main");
    assertFewLoads(stderr);
  },
  "--allow-read",
);

/** The program is loaded once by itself, and once by each of its own workers. */
function assertFewLoads(stderr: string): void {
  const loads = stderr.split("\n").filter((line) => line === "loaded").length;
  assert(loads >= 2 && loads <= 3, `loaded ${loads} times: ${stderr}`);
}

Deno.test({
  name:
    "pools at the top of a test file are clean under the sanitizers, whoever of its tests use them",
  // Before 2.8 a timer is one that the sanitizers see.
  ignore: Number(Deno.version.deno.split(".")[1]) < 8,
  fn: () =>
    within((async () => {
      const { code, stdout, stderr } = await deno(
        "test",
        "-A",
        "--no-check",
        "--sanitize-ops",
        "--sanitize-resources",
        new URL("./programs/shared_pools.ts", import.meta.url).href,
      );
      assertEquals([code, stderr], [0, ""], stdout);
      assert(stdout.includes("10 passed"), stdout);
    })()),
});
