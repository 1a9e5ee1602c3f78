/** Whole programs that show progress: on a terminal that `script` makes, and without one. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { within } from "../_helpers.ts";
import { Terminal } from "../_terminal.ts";

const PROGRAM = new URL("../programs/progress.ts", import.meta.url);
const COLUMNS = 70;

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function output(
  command: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Ended> {
  const child = new Deno.Command(command, {
    args: [...args],
    cwd: new URL("../../", import.meta.url),
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", NO_PROGRESS: "", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const ended = child.output();
  try {
    const { code, stdout, stderr } = await within(ended);
    const [out, err] = [stdout, stderr].map((bytes) =>
      new TextDecoder().decode(bytes)
    );
    return { code, stdout: out, stderr: err };
  } catch (error) {
    child.kill("SIGKILL");
    await ended;
    throw error;
  }
}

function denoArgs(mode: string, ...flags: string[]): string[] {
  return ["run", "--no-prompt", ...flags, PROGRAM.pathname, mode];
}

/** Runs the program where no terminal is, with no permission but what is named. */
function run(mode: string, ...flags: string[]): Promise<Ended> {
  return output(Deno.execPath(), denoArgs(mode, ...flags));
}

// ---- Where no terminal is --------------------------------------------------

function test(sentence: string, fn: () => Promise<void>): void {
  Deno.test(`progress program: ${sentence}`, fn);
}

test("writes plain lines to stderr where no terminal is, and nothing to stdout", async () => {
  const { code, stdout, stderr } = await run("known");
  assertEquals([code, stdout], [0, ""]);
  const lines = stderr.trimEnd().split("\n");
  for (const line of lines) {
    assertMatch(line, /^Work: \d+\/20 \(\d+%\)[, \w./]*$/);
  }
  assertMatch(lines.at(-1)!, /^Work: 20\/20 \(100%\), \d+\/s, in \d/);
});

test("writes its lines as the work goes on, though no timer fires", async () => {
  const { stderr } = await run("busy");
  const lines = stderr.trimEnd().split("\n");
  assert(lines.length > 2, stderr);
  assertMatch(lines.at(-1)!, /^30\/30 \(100%\), /);
});

test("tells without a total what it can", async () => {
  const { code, stdout, stderr } = await run("unknown");
  assertEquals([code, stdout], [0, ""]);
  assertMatch(stderr, /^20, \d+\/s, in [\d.]+s\n$/m);
});

test("tells where a loop was left, and goes on", async () => {
  const { code, stdout, stderr } = await run("leaves");
  assertEquals([code, stdout], [0, "left\n"]);
  assertMatch(stderr, /^5\/20 \(25%\), .*, stopped at [\d.]+s\n$/m);
});

for (const [mode, who] of [["throws", "loop"], ["fails", "source"]]) {
  test(`ends with the exception of its ${who}`, async () => {
    const { code, stdout, stderr } = await run(mode);
    assertEquals([code, stdout], [1, ""]);
    assertMatch(stderr, /^5\/20 \(25%\), .*, stopped at [\d.]+s\n/m);
    assertStringIncludes(stderr, `RangeError: of the ${who}`);
  });
}

test("ends by itself though it has left its progress behind", async () => {
  const { code, stdout } = await run("abandoned");
  assertEquals([code, stdout], [0, "abandoned\n"]);
});

test("shows nothing when quiet", async () => {
  assertEquals(await run("quiet"), { code: 0, stdout: "quiet\n", stderr: "" });
});

test("shows nothing when NO_PROGRESS is set and may be read", async () => {
  const env = { NO_PROGRESS: "1" };
  const may = denoArgs("known", "--allow-env=NO_PROGRESS");
  assertEquals(await output(Deno.execPath(), may, env), {
    code: 0,
    stdout: "",
    stderr: "",
  });
  // Where it may not be read, nobody is asked and nothing fails.
  const { code, stderr } = await output(
    Deno.execPath(),
    denoArgs("known"),
    env,
  );
  assertEquals(code, 0);
  assertMatch(stderr, /20\/20/);
});

test("takes an empty NO_PROGRESS for none", async () => {
  const { stderr } = await run("known", "--allow-env=NO_PROGRESS");
  assertMatch(stderr, /20\/20/);
});

// ---- On a terminal ---------------------------------------------------------

/** `script` as util-linux has it: that of others takes other arguments. */
const hasScript = await output("script", ["--version"])
  .then(({ stdout }) => stdout.includes("util-linux"), () => false);
if (!hasScript) {
  console.warn(
    "progress on a terminal is not tested: there is no `script` of util-linux",
  );
}

/** What a program has shown on a terminal that has both its stdout and its stderr. */
interface Shown {
  readonly code: number;
  readonly raw: string;
  readonly lines: string[];
}

async function show(
  mode: string,
  { flags = [], env = {}, redirect = "" }: {
    flags?: string[];
    env?: Record<string, string>;
    redirect?: string;
  } = {},
): Promise<Shown> {
  const command = [Deno.execPath(), ...denoArgs(mode, ...flags)]
    .map((arg) => `'${arg}'`).join(" ");
  const { code, stdout } = await output(
    "script",
    ["-qfec", `stty cols ${COLUMNS}; ${command} ${redirect}`, "/dev/null"],
    env,
  );
  const terminal = new Terminal().write(stdout);
  // Nothing is left changed, and what comes next begins a line of its own.
  assertEquals(terminal.settings, []);
  const { lines, cursor } = terminal;
  assertEquals(cursor, [lines.length - 1, 0]);
  // No bar is longer than the terminal, which would break its line.
  for (const line of lines.filter((line) => /[█░]/.test(line))) {
    assert(line.length < COLUMNS, line);
  }
  return { code, raw: stdout, lines: lines.slice(0, -1) };
}

function onTerminal(sentence: string, fn: () => Promise<void>): void {
  Deno.test({
    name: `progress program: on a terminal, it ${sentence}`,
    ignore: !hasScript,
    fn,
  });
}

onTerminal("draws a bar that is full in the end", async () => {
  const { code, lines } = await show("known");
  assertEquals(code, 0);
  assertEquals(lines.length, 1);
  assertMatch(lines[0], /^Work █+ 100% \| 20\/20 \| \d+\/s \| in [\d.]+s$/);
});

onTerminal(
  "draws the bar as the work goes on, though no timer fires",
  async () => {
    const { raw, lines } = await show("busy");
    assertEquals(lines.length, 1);
    assertMatch(lines[0], /^█+ 100% \| 30\/30 /);
    const counts = new Set(raw.match(/\d+\/30/g));
    assert(counts.has("0/30") && counts.has("30/30"), raw);
    assert(counts.size > 2, raw);
  },
);

onTerminal("counts without a total", async () => {
  const { code, raw, lines } = await show("unknown");
  assertEquals([code, lines.length], [0, 1]);
  assertMatch(lines[0], /^20 \| \d+\/s \| in [\d.]+s$/);
  assert(!raw.includes("█") && !raw.includes("░"), raw);
});

onTerminal("has what threads print stand above the bar", async () => {
  const { code, lines } = await show("threads");
  assertEquals(code, 0);
  assertMatch(lines.at(-2)!, /^Threads █+ 100% \| 6\/6 /);
  assertEquals(lines.at(-1), "without a bar");
  const printed = lines.slice(0, -2);
  // A thread that prints before it has heard of the bar may do so by itself.
  const expected = [0, 1, 2, 3, 4, 5].flatMap((n) => [
    `thread ${n} { n: ${n} }`,
    `error ${n}`,
    `bytes ${n}`,
    `late ${n}`,
  ]);
  for (const line of expected) {
    assert(printed.includes(line), `${line}: ${lines.join("\n")}`);
  }
  assertEquals(printed.length, expected.length, printed.join("\n"));
});

onTerminal(
  "leaves the bar where the loop was left, and prints below it",
  async () => {
    const { code, lines } = await show("leaves");
    assertEquals([code, lines.length], [0, 2]);
    assertMatch(lines[0], /^█+░+ +25% \| 5\/20 \| .* \| stopped at [\d.]+s$/);
    assertEquals(lines[1], "left");
  },
);

for (const [mode, who] of [["throws", "loop"], ["fails", "source"]]) {
  onTerminal(`shows the exception of its ${who} below the bar`, async () => {
    const { code, lines } = await show(mode);
    assertEquals(code, 1);
    assertMatch(lines[0], /^█+░+ +25% \| 5\/20 \| .* \| stopped at [\d.]+s$/);
    assertMatch(lines[1], new RegExp(`Uncaught .*RangeError: of the ${who}$`));
  });
}

onTerminal("shows what is printed meanwhile above the bar, whole", async () => {
  const { code, lines } = await show("prints");
  assertEquals(code, 0);
  assertEquals(lines.slice(0, -2), [
    "value 0",
    "value 1",
    "┌───────┬───┐",
    "│ (idx) │ i │",
    "├───────┼───┤",
    "│     0 │ 1 │",
    "└───────┴───┘",
    "value 2",
    "to stderr",
    "value 3",
    "begun, ended",
  ]);
  assertMatch(lines.at(-2)!, /^█+ 100% \| 4\/4 /);
  assertEquals(lines.at(-1), "after it");
});

onTerminal("leaves stdout alone that goes elsewhere", async () => {
  const file = await Deno.makeTempFile();
  try {
    const { lines } = await show("prints", { redirect: `> '${file}'` });
    assertEquals(lines[0], "to stderr");
    assertMatch(lines[1], /^█+ 100% \| 4\/4 /);
    assertEquals(lines.length, 2);
    const printed = await Deno.readTextFile(file);
    assertMatch(printed, /^value 0\nvalue 1\n[^]*begun, ended\nafter it\n$/);
    assert(!printed.includes("\x1b"), printed);
  } finally {
    await Deno.remove(file);
  }
});

onTerminal(
  "has a bar for each loop, the inner ones above when they are over",
  async () => {
    const { code, lines } = await show("nested");
    assertEquals([code, lines.length], [0, 3]);
    assertMatch(lines[0], /^Inner 1 █+ 100% \| 3\/3 \| .* \| in [\d.]+s$/);
    assertMatch(lines[1], /^Inner 2 █+ 100% \| 3\/3 \| .* \| in [\d.]+s$/);
    assertMatch(lines[2], /^Outer █+ 100% \| 2\/2 \| .* \| in [\d.]+s$/);
  },
);

onTerminal(
  "ends by itself, with the line ended, though it has left its progress behind",
  async () => {
    const { code, lines } = await show("abandoned");
    assertEquals([code, lines.length], [0, 2]);
    assertEquals(lines[0], "abandoned");
    assertMatch(lines[1], /^░+ +0% \| 0\/20/);
  },
);

onTerminal("shows nothing when quiet, or when NO_PROGRESS is set", async () => {
  assertEquals((await show("quiet")).raw, "quiet\r\n");
  const { code, raw } = await show("known", {
    flags: ["--allow-env"],
    env: { NO_PROGRESS: "1" },
  });
  assertEquals([code, raw], [0, ""]);
});

// ---- Without what draws bars -------------------------------------------------

for (
  const [why, cliProgress] of [
    ["npm packages may not be loaded", undefined],
    ["it throws", `throw new Error("broken")`],
    ["it is something else", "export default { Format: {} }"],
  ] as const
) {
  test(`the loop goes on with plain lines where bars can't be drawn, since ${why}`, async () => {
    const folder = await Deno.makeTempDir();
    try {
      const config = `${folder}/deno.json`;
      const imports = cliProgress === undefined
        ? { "cli-progress": "npm:cli-progress@^3.12.0" }
        : { "cli-progress": `data:text/javascript,${cliProgress}` };
      await Deno.writeTextFile(config, JSON.stringify({ imports }));
      const ended = await output(Deno.execPath(), [
        "run",
        "--no-prompt",
        "--no-check",
        "--no-lock",
        ...cliProgress === undefined ? ["--no-npm"] : [],
        `--config=${config}`,
        new URL("../programs/progress_without_bars.ts", import.meta.url)
          .pathname,
      ]);
      assertEquals(ended, {
        code: 0,
        stdout: "6 Adding: 3/3 (100%)\n\n[ 4, 5 ]\n1\n",
        stderr: "",
      });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}
