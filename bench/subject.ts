/** The subjects: what they are, and how a row of one is run. */

import { WAITING } from "./rows.ts";

/** What a subject says of itself. */
export interface Description {
  readonly name: string;
  readonly group: "threads" | "processes" | "both" | "queues";
  readonly kind: "library" | "floor" | "peer";
  readonly npm?: string;
  /** Packages that this one wants beside it. */
  readonly npmToo?: readonly string[];
  readonly skips: Readonly<Record<string, string>>;
}

/** A program that can be measured. */
export interface Subject extends Description {
  /** The name of its file, without the ending: what `--subject` takes. */
  readonly id: string;
  readonly runtime: Runtime;
  readonly path: string;
}

/** What runs the files with an ending. */
export interface Runtime {
  readonly name: string;
  readonly version: string;
  /** The command for a program; `weighed`: one that is asked for its memory. */
  command(path: string, weighed: boolean): string[];
}

/** Figures by their id. */
export type Figures = Record<string, number>;

/** What a subject may say, in lines of JSON. */
type Said =
  | { subject: Description }
  | { weigh: "idle" | "waiting" }
  | { figures: Figures };

/** A program that had to be ended. */
export class TooLong extends Error {}

const LONGEST = 90_000;
/** How long a program may take to end by itself. */
const GRACE = 10_000;
const MIB = 1024 * 1024;

/** Asks a program for what it is. */
export async function describe(
  id: string,
  path: string,
  runtime: Runtime,
  env: Record<string, string>,
): Promise<Subject> {
  let description: Description | undefined;
  await start(runtime.command(path, false), "describe", env, (said) => {
    if ("subject" in said) description = said.subject;
  });
  if (!description) throw new Error(`${path} does not say what it is`);
  return { ...description, id, path, runtime };
}

/** Has a program run a row, and gives what came of it. */
export async function runRow(
  { path, runtime }: Subject,
  row: string,
  env: Record<string, string>,
): Promise<Figures> {
  const weights: Record<string, number> = {};
  let figures: Figures | undefined;
  let first = 0;
  const began = performance.now();
  const ms = await start(
    runtime.command(path, row === "i"),
    row,
    env,
    async (said, pid) => {
      if ("weigh" in said) weights[said.weigh] = await weigh(pid);
      if ("figures" in said) {
        first = performance.now() - began;
        figures = said.figures;
        // Its calls would wait for long.
        if (row === "i") await killTree(pid);
      }
    },
  );
  if (!figures) throw new Error("no figures came");
  if (row === "h") return { h1: first, h2: ms };
  if (row === "i") {
    const { idle, waiting } = weights;
    return { i1: idle / MIB, i2: (waiting - idle) / WAITING };
  }
  return figures;
}

/** Runs a program until it ends, and gives how long that took. */
async function start(
  [command, ...args]: string[],
  row: string,
  env: Record<string, string>,
  onSaid: (said: Said, pid: number) => unknown,
): Promise<number> {
  const began = performance.now();
  const child = new Deno.Command(command, {
    args: [...args, row],
    env,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const { pid } = child;
  let late: string | undefined;
  const limit = (ms: number) =>
    setTimeout(() => {
      late = `took longer than ${ms / 1000} s`;
      killTree(pid);
    }, ms);
  let timer = limit(LONGEST);
  const input = child.stdin.getWriter();
  const errors = new Response(child.stderr).text();

  let rest = "";
  let done = false;
  const lines = child.stdout.pipeThrough(new TextDecoderStream());
  for await (const text of lines) {
    const parts = (rest + text).split("\n");
    rest = parts.pop()!;
    for (const line of parts.filter((line) => line.startsWith("{"))) {
      const said: Said = JSON.parse(line);
      await onSaid(said, pid);
      if ("weigh" in said) await input.write(new Uint8Array([10]));
      if ("figures" in said) {
        done = true;
        clearTimeout(timer);
        timer = limit(GRACE);
      }
    }
  }
  const { success, code, signal } = await child.status;
  const ms = performance.now() - began;
  clearTimeout(timer);
  input.abort().catch(() => {});
  const stderr = (await errors).trim();
  if (late && done) late += " to end after its last word";
  if (late) throw new TooLong(late);
  if (!success && !done) {
    const last = stderr.split("\n").slice(-3).join(" / ");
    throw new Error(`${signal ?? `exit code ${code}`}${last && `: ${last}`}`);
  }
  return ms;
}

/** A process, its parent, and its RSS in bytes. */
interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly rss: number;
}

/** A process and all that it started. */
async function treeOf(pid: number): Promise<Process[]> {
  const { stdout } = await new Deno.Command("ps", {
    args: ["-A", "-o", "pid=,ppid=,rss="],
  }).output();
  const all = new TextDecoder().decode(stdout).trim().split("\n").map(
    (line) => {
      const [pid, parent, kib] = line.trim().split(/\s+/).map(Number);
      return { pid, parent, rss: kib * 1024 };
    },
  );
  const tree = all.filter((process) => process.pid === pid);
  for (const { pid } of tree) {
    tree.push(...all.filter(({ parent }) => parent === pid));
  }
  return tree;
}

/** The RSS of a process and all that it started; what they share counts in each. */
async function weigh(pid: number): Promise<number> {
  return (await treeOf(pid)).reduce((sum, { rss }) => sum + rss, 0);
}

async function killTree(pid: number): Promise<void> {
  const tree = await treeOf(pid).catch(() => [{ pid }]);
  for (const { pid } of tree) {
    try {
      Deno.kill(pid, "SIGKILL");
    } catch {
      // It has ended.
    }
  }
}
