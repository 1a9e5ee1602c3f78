/**
 * Every example is run as its own head says, with no permission more, in a
 * process of its own.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { within } from "./_helpers.ts";
import { withoutNats } from "./_nats.ts";

const root = new URL("../", import.meta.url);

/** The pools that the examples show. */
const POOLS = ["ThreadPoolExecutor", "ProcessPoolExecutor"];

/** What the groups of a pattern caught in a text that has to match it. */
function parse(pattern: RegExp, text: string): string[] {
  const found = pattern.exec(text);
  assert(found, `${pattern} does not match ${text}`);
  return found.slice(1);
}

/** The arguments of `deno` that an example's head names. */
async function commandOf(example: string): Promise<string[]> {
  const text = await Deno.readTextFile(new URL(`examples/${example}`, root));
  return parse(/^ \* Run it: deno (.+)$/m, text)[0].split(" ");
}

/** The lines that an example printed. */
interface Printed {
  readonly stdout: string[];
  readonly stderr: string[];
}

/** Runs an example that prints to stdout alone, and gives its lines. */
async function run(example: string): Promise<string[]> {
  const { stdout, stderr } = await runBoth(example);
  assertEquals(stderr, [""]);
  return stdout;
}

/** Runs an example until it ends by itself. */
async function runBoth(example: string): Promise<Printed> {
  const child = new Deno.Command(Deno.execPath(), {
    args: await commandOf(example),
    cwd: root,
    // Debian has nats-server where only root looks.
    env: { NO_COLOR: "1", PATH: `${Deno.env.get("PATH")}:/usr/sbin` },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const ended = child.output();
  try {
    const { code, stdout, stderr } = await within(ended);
    const linesOf = (bytes: Uint8Array) =>
      new TextDecoder().decode(bytes).trimEnd().split(/\r?\n/);
    const printed = { stdout: linesOf(stdout), stderr: linesOf(stderr) };
    assertEquals(code, 0, printed.stderr.join("\n"));
    return printed;
  } catch (error) {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await ended;
    throw error;
  }
}

/** What an example prints for each pool, after the pool's name. */
function byPool(lines: readonly string[]): Record<string, string[]> {
  const sections: Record<string, string[]> = {};
  let section: string[] | undefined;
  for (const line of lines) {
    if (POOLS.includes(line)) sections[line] = section = [];
    else {
      assert(section, `before the name of a pool: ${line}`);
      section.push(line);
    }
  }
  return sections;
}

/** The same for each pool. */
function forEachPool(lines: string[]): Record<string, string[]> {
  return Object.fromEntries(POOLS.map((pool) => [pool, lines]));
}

Deno.test("primes.ts tells which of the six numbers are prime, and how long that took", async () => {
  const lines = await run("primes.ts");
  assertEquals(lines.slice(0, 7), [
    "112272535095293 is prime: true",
    "112582705942171 is prime: true",
    "112272535095293 is prime: true",
    "115280095190773 is prime: true",
    "115797848077099 is prime: true",
    "1099726899285419 is prime: false",
    "",
  ]);
  const [title, ...rows] = lines.slice(7);
  assertMatch(title, /^\d+ workers?, median of 5 rounds:$/);
  const names = rows.map((row) =>
    parse(/^(.*?) +\d+ ms, \d+\.\d\d times as fast$/, row)[0]
  );
  assertEquals(names, [
    "Inline",
    ...POOLS.flatMap((pool) => [`${pool}, cold, once`, `${pool}, warm`]),
  ]);
});

Deno.test("The demo task runs primes.ts with the permissions that its head names", async () => {
  const { tasks } = JSON.parse(
    await Deno.readTextFile(new URL("deno.json", root)),
  );
  const command = await commandOf("primes.ts");
  assertEquals(tasks.demo.command, `deno ${command.join(" ")}`);
});

Deno.test("load_urls.ts tells the size of each page, and what happened to those that failed", async () => {
  const lines = await run("load_urls.ts");
  // Whichever is there first comes first.
  const outcomes = new Map(lines.map((line) => {
    const [path, outcome] = parse(
      /^http:\/\/127\.0\.0\.1:\d+(\/\w*) (.+)$/,
      line,
    );
    return [path, outcome];
  }));
  const unreachable = outcomes.get("/");
  outcomes.delete("/");
  assertEquals(
    outcomes,
    new Map([
      ["/news", "page is 13000 bytes"],
      ["/business", "page is 9000 bytes"],
      ["/weather", "page is 5 bytes"],
      [
        "/broken",
        "generated an exception: Error: HTTP 500: Internal Server Error",
      ],
    ]),
  );
  assertMatch(
    unreachable ?? "",
    /^generated an exception: (Type)?Error: .*client error \(Connect\)/,
  );
});

Deno.test("copy_files.ts copies four files", async () => {
  assertEquals(await run("copy_files.ts"), [
    "dest1.txt: File number 1",
    "dest2.txt: File number 2",
    "dest3.txt: File number 3",
    "dest4.txt: File number 4",
  ]);
});

Deno.test("by_value.ts has functions travel as their source, and shows what stays behind", async () => {
  const sections = byPool(await run("by_value.ts"));
  for (const section of Object.values(sections)) {
    assertMatch(section[4], /^ReferenceError: greeting is not defined/);
    section[4] = "";
  }
  assertEquals(
    sections,
    forEachPool([
      "6765",
      "desserts",
      ".txt",
      'Map(2) { 3 => [ "one", "two" ], 5 => [ "three" ] }',
      "",
      "Hello, Ada!",
    ]),
  );
});

Deno.test("builtins.ts has functions of the runtime travel by name", async () => {
  assertEquals(
    byPool(await run("builtins.ts")),
    forEachPool([
      "104329",
      "[ 256, 65536, 4294967296 ]",
      "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed",
      "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3",
      "true",
    ]),
  );
});

Deno.test("by_module.ts has workers import the program itself", async () => {
  assertEquals(
    byPool(await run("by_module.ts")),
    forEachPool(["oboe: 3", "rhythm: 0", "ouagadougou: 8"]),
  );
});

Deno.test("task_module.ts has only a worker load the tasks, and that once", async () => {
  const sections = byPool(await run("task_module.ts"));
  for (const section of Object.values(sections)) {
    section[1] = section[1].replace(/\d+$/, (size) => {
      assert(Number(size) < 200, size);
      return "few";
    });
  }
  assertEquals(
    sections,
    forEachPool([
      "tasks.ts is loaded",
      "9000 bytes became few",
      "the same again: true",
    ]),
  );
});

Deno.test("mapreduce_wordcount.ts lists the ten words that come most often", async () => {
  const lines = await run("mapreduce_wordcount.ts");
  assertEquals(lines.length, 10);
  const counts = lines.map((line) =>
    Number(parse(/^ *(\d+) {2}\p{L}+$/u, line)[0])
  );
  assertEquals(counts, counts.toSorted((a, b) => b - a));
});

Deno.test("stop_a_busy_loop.ts ends a loop that never ends, and goes on", async () => {
  const lines = await run("stop_a_busy_loop.ts");
  assertMatch(
    lines[3],
    /^Child 1 \(pid \d+\) was ended by killWorkers\(\) while it ran "stepsToOne"$/,
  );
  lines[3] = "";
  assertEquals(lines, [
    "27: 111 steps",
    "0: no end in sight",
    "0: stopped: true",
    "",
    "97: cancelled: true",
    "97: 118 steps",
  ]);
});

Deno.test("progress.ts shows on stderr how far it is, and its results on stdout", async () => {
  const { stdout, stderr } = await runBoth("progress.ts");
  const longest = "230631 takes 442 steps";
  assertEquals(stdout[0], longest);
  // Which ones come before it depends on who is first.
  assertEquals(stdout.at(-1), longest);
  for (const label of ["In order", "As they end"]) {
    const last = stderr.findLast((line) => line.startsWith(`${label}: `));
    assertMatch(last ?? "", /: 100\/100 \(100%\), [\d.]+\/\w+, in \w/);
  }
});

Deno.test("crawl.ts reads every page but the one that never answers, with a bar for each level", async () => {
  const { stdout, stderr } = await runBoth("crawl.ts");
  assertEquals(stdout, [
    '/21: TimeoutError: "linksOf" did not end within its time limit of 1000 ms',
    "31 pages: 30 read, 1 failed, 0 cancelled",
  ]);
  assertEquals(
    stderr.map((line) => parse(/^(Level \d): (\d+)\//, line).join()),
    ["Level 1,1", "Level 2,2", "Level 3,4", "Level 4,8", "Level 5,16"],
  );
});

Deno.test({
  name:
    "cluster/main.ts runs one program on threads, on processes and on workers, one of which is lost",
  ignore: withoutNats || Deno.build.os !== "linux",
  async fn() {
    const lines = await run("cluster/main.ts");
    const results = [
      "ThreadPoolExecutor",
      "ProcessPoolExecutor",
      "NatsExecutor",
    ]
      .map((name) => {
        const own = lines.filter((line) => line.startsWith(`${name}: `));
        return own.map((line) => line.slice(name.length));
      });
    assertEquals(results[0].length, 2);
    // As many inputs as make it worth to have more than one machine.
    const [, parts] = /in (\d+) parts/.exec(results[0][1]) ?? [];
    assert(Number(parts) >= 300, results[0][1]);
    assertEquals(results[1], results[0]);
    assertEquals(results[2], results[0]);
    const [, ...rest] = lines.slice(lines.indexOf("A worker is killed:"));
    for (const line of rest.slice(0, 2)) {
      assertMatch(line, /^Worker w1 was .* while it ran "takeTime": it may or/);
    }
    assertEquals(rest.slice(2), [
      "4 of 6 calls have a result",
      "",
      "Another one, and its calls may be started once more:",
      "4 of 4 calls have a result",
    ]);
  },
});

Deno.test("time_limit.ts stops one regular expression of three, and goes on", async () => {
  assertEquals(await run("time_limit.ts"), [
    "a{50}!$ is found: true",
    '^(a+)+$: "search" did not end within its time limit of 500 ms',
    "^[a-z]+$ is found: false",
    "2 returned, 1 failed",
  ]);
});

Deno.test("thumbnails.ts moves three pictures, and gets three small ones", async () => {
  assertEquals(await run("thumbnails.ts"), [
    "0,0,0 bytes are left of the pictures",
    "100 × 75, ends in 254,0,0,255",
    "100 × 75, ends in 0,254,0,255",
    "100 × 75, ends in 0,127,254,255",
  ]);
});
