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
