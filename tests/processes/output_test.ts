/** What children print, and what they read. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { LineForwarder } from "../../internal/processes/forward_output.ts";
import { test } from "../_children.ts";
import { deno, programArgs } from "../_programs.ts";

test("what a call prints appears on the program's own output, before its result does", async () => {
  const { code, stdout, stderr } = await deno(
    programArgs("process_prints", ["--allow-run"]),
  );
  assertEquals({ code, stdout, stderr }, {
    code: 0,
    stdout: ["log", "writeSync", "write", "writable", "process.stdout"]
      .map((way) => `${way}\nafter ${way}\n`).join("") + "no newline",
    stderr: "error\nstderr\n",
  });
});

test("10 MB of output and bytes that look like frames arrive whole, and harm nothing", async () => {
  const child = new Deno.Command(Deno.execPath(), {
    args: programArgs("process_prints_much", ["--allow-run"]),
    stdout: "piped",
    stderr: "piped",
  });
  const { code, stdout, stderr } = await child.output();
  assertEquals([code, new TextDecoder().decode(stderr)], [0, "much noise\n"]);
  const lines = 100_000 * 100;
  const mark = 0x1e;
  const noise = Uint8Array.from(
    { length: 200_000 },
    (_, i) => i % 17 === 0 ? mark : (i * 7) & 255,
  );
  const frames = [
    '{"type":"outcome","slot":0}\n',
    '{"type":"died"}\n',
    '{"v8":99}\n',
  ]
    .flatMap((
      text,
    ) => [
      mark,
      ...new Uint8Array(11),
      0,
      0,
      0,
      text.length,
      ...new TextEncoder().encode(text),
    ]);
  assertEquals(stdout.length, lines + noise.length + frames.length + 1);
  assert(
    stdout.subarray(0, lines).every((byte, i) =>
      byte === (i % 100 === 99 ? 10 : 120)
    ),
  );
  assertEquals(
    stdout.subarray(lines),
    new Uint8Array([...noise, ...frames, mark]),
  );
});

test("what a child printed just before it was killed arrives to the last byte", async () => {
  const { code, stdout, stderr } = await deno(
    programArgs("process_dies_printing", ["--allow-run"]),
  );
  assertEquals({ code, stdout, stderr }, {
    code: 0,
    stdout: "printed\x1e",
    stderr: "told",
  });
});

test("nothing is printed when children die, in whatever way and at whatever time", async () => {
  const { code, stdout, stderr } = await deno(
    programArgs("process_deaths", ["--allow-run"]),
  );
  assertEquals({ code, stdout, stderr }, {
    code: 0,
    stdout: "done\n",
    stderr: "",
  });
});

test("what a call prints without waiting for it arrives, though the pool is shut down at once", async () => {
  const { code, stdout } = await deno(
    programArgs("process_prints_later", ["--allow-run"]),
  );
  assertEquals([code, stdout.length], [0, 60 << 18]);
});

test("lines of several children are never mixed", async () => {
  const { code, stdout } = await deno(
    programArgs("process_lines", ["--allow-run"]),
  );
  assertEquals(code, 0);
  const lines = stdout.trimEnd().split("\n");
  assertEquals(lines.length, 900);
  for (const name of "abc") {
    assertEquals(
      lines.filter((line) => line.startsWith(name)).map((line) =>
        line.replaceAll(name, "").length + line.length
      ),
      Array.from({ length: 300 }, (_, i) => i + 2),
    );
  }
});

test("a program that a call starts prints on after the call, and holds nobody up", async () => {
  const { code, stdout, stderr } = await deno(
    programArgs("process_grandchild", ["--allow-run"]),
  );
  assertEquals([code, stderr], [0, "err 1\n"]);
  assertMatch(stdout, /^out 1\n(out 2\n)*shut down\n$/);
});

/** The ways that are closed one by one where stdin can't be moved as a whole. */
const usualWays = [
  "read",
  "readSync",
  "readable",
  "isTerminal",
  "command",
  "spawn",
  "outputSync",
];
const allWays = [
  ...usualWays,
  "denoSpawnAndWait",
  "nodeSpawn",
  "nodeSpawnSync",
  "nodeStdin",
  "nodeReadSync",
  "worker",
];

for (const way of allWays) {
  // What moves stdin is for systems of Unix's kind.
  const ignore = Deno.build.os === "windows" && !usualWays.includes(way);
  test(
    `a call that reads stdin by ${way} finds its end, and takes nothing from the pool`,
    async () => {
      assertEquals(await readStdin(way), {
        code: 0,
        stdout: `${way} nothing\n3\n`,
        stderr: "",
      });
    },
    { ignore },
  );
}

for (const way of usualWays) {
  test(`where stdin can't be moved, a call that reads it by ${way} finds its end all the same`, async () => {
    assertEquals(await readStdin(way, "--deny-ffi"), {
      code: 0,
      stdout: `${way} nothing\n3\n`,
      stderr: "",
    });
  });
}

function readStdin(
  ...args: string[]
): Promise<{ code: number; stdout: string; stderr: string }> {
  const url = new URL("../programs/process_stdin.ts", import.meta.url);
  return deno(
    ["run", "--no-prompt", "--no-config", "-A", url.href, ...args],
  ).then(({ code, stdout, stderr }) => ({ code, stdout, stderr }));
}

test("all that is printed arrives on a stdout that others have made non-blocking", async () => {
  const perl =
    "use Fcntl; my $f = fcntl(STDOUT, F_GETFL, 0); fcntl(STDOUT, F_SETFL, $f | O_NONBLOCK); exec @ARGV;";
  const url = new URL("../programs/process_prints_much.ts", import.meta.url);
  const child = new Deno.Command("perl", {
    args: [
      "-e",
      perl,
      Deno.execPath(),
      "run",
      "--no-config",
      "--allow-run",
      url.href,
    ],
    stdout: "piped",
    stderr: "piped",
  });
  const { stdout } = await child.output();
  assert(stdout.length > 10_000_000, `only ${stdout.length} bytes`);
});

// ---- Lines -------------------------------------------------------------------

function forwarder(): { lines: LineForwarder; written: string[] } {
  const written: string[] = [];
  const lines = new LineForwarder({
    writeSync(bytes) {
      written.push(new TextDecoder().decode(bytes));
      return bytes.length;
    },
  });
  return { lines, written };
}

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("output: lines are passed on whole, and what has no end yet waits", () => {
  const { lines, written } = forwarder();
  for (const part of ["a", "b\nc", "d", "\ne\nf\ng"]) lines.push(bytes(part));
  assertEquals(written, ["ab\n", "cd\ne\nf\n"]);
  lines.flush();
  assertEquals(written.join(""), "ab\ncd\ne\nf\ng");
});

Deno.test("output: a line of a megabyte is passed on in pieces", () => {
  const { lines, written } = forwarder();
  for (let i = 0; i < 40; i++) lines.push(bytes("x".repeat(65536)));
  assert(written.length > 0);
  lines.flush();
  assertEquals(written.join("").length, 40 * 65536);
});

Deno.test("output: what is kept is a copy, since the reader reads on into the same memory", () => {
  const { lines, written } = forwarder();
  const memory = bytes("begun");
  lines.push(memory);
  memory.fill(0);
  lines.push(bytes(" ended\n"));
  assertEquals(written, ["begun ended\n"]);
});

Deno.test("output: a target that takes a part only gets the rest, and one that fails harms nobody", () => {
  const taken: string[] = [];
  const lines = new LineForwarder({
    writeSync(part) {
      if (taken.length > 5) throw new Deno.errors.BrokenPipe();
      taken.push(new TextDecoder().decode(part.subarray(0, 2)));
      return Math.min(2, part.length);
    },
  });
  lines.push(bytes("abcde\n"));
  assertEquals(taken.join(""), "abcde\n");
  for (let i = 0; i < 5; i++) lines.push(bytes("more\n"));
});

Deno.test("output: a signal that interrupts a write loses nothing", () => {
  const taken: string[] = [];
  let writes = 0;
  const lines = new LineForwarder({
    writeSync(part) {
      if (++writes % 2 === 1) throw new Deno.errors.Interrupted();
      taken.push(new TextDecoder().decode(part.subarray(0, 2)));
      return Math.min(2, part.length);
    },
  });
  lines.push(bytes("abcde\n"));
  assertEquals(taken, ["ab", "cd", "e\n"]);
});

Deno.test("output: the last five lines are known", () => {
  const { lines } = forwarder();
  for (let i = 0; i < 1000; i++) lines.push(bytes(`line ${i}\n`));
  assertEquals(
    lines.lastLines(),
    "line 995\nline 996\nline 997\nline 998\nline 999",
  );
});

Deno.test("output: where the last lines are below an error, what is known begins with the error", () => {
  const { lines } = forwarder();
  lines.push(bytes("before\n\x1b[31merror\x1b[0m: Uncaught Error: why\n"));
  for (let i = 0; i < 9; i++) lines.push(bytes(`    at frame ${i}\n`));
  assertEquals(
    lines.lastLines(),
    "error: Uncaught Error: why\n    at frame 0\n    at frame 1\n    at frame 2\n    at frame 3",
  );
});

test("what threads that a task started print gets into no result, however large that is", async () => {
  const { code, stdout, stderr } = await deno(
    programArgs("process_threads_print", ["--allow-run"]),
  );
  assertEquals({ code, stderr }, { code: 0, stderr: "all as they were\n" });
  // What they printed arrives, too; a program's threads may print into each other.
  const lines = stdout.split("\n");
  assert(lines.length > 100, `${lines.length} lines`);
  const whole = lines.filter((line) => line === "x".repeat(60)).length;
  assert(whole > lines.length / 2, `${whole} of ${lines.length} are whole`);
});

for (const way of ["closeSync", "writeSync", "Deno.stdout", "console"]) {
  test(`a task that takes away the child's stdout (${way}) breaks its pool in few words, or nothing`, async () => {
    const { code, stdout, stderr } = await deno(
      [...programArgs("process_takes_stdout", ["--allow-run"]), way],
    );
    assertEquals(code, 0);
    assertMatch(stdout, /(?:BrokenProcessPool|7)\n$/);
    assert(stderr.length < 5000, `${stderr.length} units on stderr`);
  });
}
