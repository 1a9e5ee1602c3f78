/** Whole programs: what they print, how they end, and that they end at all. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertNotMatch,
  assertStringIncludes,
} from "@std/assert";
import { UPPER_BOUND_MS } from "./_helpers.ts";

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

function test(sentence: string, fn: () => Promise<void>): void {
  Deno.test(`program: ${sentence}`, fn);
}

test("ends by itself, without a shutdown", async () => {
  assertEquals(await run("ends_by_itself"), {
    code: 0,
    stdout: "2,4,6\n",
    stderr: "",
  });
});

test("ends when its calls are done, though nobody waits for them", async () => {
  assertEquals(await run("ends_though_nobody_waits"), {
    code: 0,
    stdout: "submitted\ncall 1\ncall 2\ncall 3\n",
    stderr: "",
  });
});

test("ends with its shutdown, however long idle workers may stay", async () => {
  assertEquals(await run("ends_with_an_idle_minute"), {
    code: 0,
    stdout: "5\n",
    stderr: "",
  });
});

test("completes its work after shutdown({ wait: false })", async () => {
  assertEquals(await run("shutdown_without_wait"), {
    code: 0,
    stdout: "shut down\nresult 1\nresult 2\nresult 3\n",
    stderr: "",
  });
});

test("prints nothing of failed futures that nobody asks, and succeeds", async () => {
  assertEquals(await run("failed_futures"), {
    code: 0,
    stdout: "done\n",
    stderr: "",
  });
});

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

// ---- A script that names itself as its workers' module ---------------------

test("that is its own module works if its main part is guarded", async () => {
  assertEquals(await run("guarded", "--allow-read"), {
    code: 0,
    stdout: "16\n4\n7\n10\n",
    stderr: "",
  });
});

test("that is its own module may make its pool outside of the guard", async () => {
  assertEquals(await run("pool_at_top_level", "--allow-read"), {
    code: 0,
    stdout: "15\n",
    stderr: "",
  });
});

test("that is its own module and may not be read says so", async () => {
  const { code, stdout, stderr } = await run("guarded");
  assertEquals([code, stdout], [1, ""]);
  assertMatch(stderr, /Cannot import .*guarded\.ts/);
  assertStringIncludes(stderr, "--allow-read");
});

for (const how of ["await", "main"]) {
  test(`that is its own module and unguarded, by ${how}, gets a RuntimeError that says so`, async () => {
    const { code, stdout, stderr } = await run(
      `unguarded_${how}`,
      "--allow-read",
    );
    assertEquals([code, stdout], [1, ""]);
    assertMatch(stderr, /Uncaught .*RuntimeError: /);
    assertStringIncludes(stderr, "import.meta.main");
    assertFewLoads(stderr);
  });
}

test("that is its own module and unguarded is told so even if its copies catch what they get", async () => {
  const { code, stdout, stderr } = await run(
    "unguarded_caught",
    "--allow-read",
  );
  assertEquals(code, 0);
  assertMatch(stdout, /^RuntimeError: .*import\.meta\.main/m);
  assertFewLoads(stderr);
});

test("that is its own module and unguarded, and late to make its pool, does not multiply", async () => {
  const { code, stdout, stderr } = await run(
    "unguarded_late_main",
    "--allow-read",
  );
  // The call may be answered before the worker's copy gets that far.
  if (code === 0) assertEquals(stdout, "3\n");
  else assertStringIncludes(stderr, "import.meta.main");
  assertFewLoads(stderr);
});

/** The program is loaded once by itself, and once by each of its own workers. */
function assertFewLoads(stderr: string): void {
  const loads = stderr.split("\n").filter((line) => line === "loaded").length;
  assert(loads >= 2 && loads <= 3, `loaded ${loads} times: ${stderr}`);
}
