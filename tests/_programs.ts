/** Whole programs, and the processes that they leave or do not leave. */

import { assert } from "@std/assert";
import { UPPER_BOUND_MS } from "./_helpers.ts";
/** The longest that a program may take: a bound, never a wait. */
const BOUND_MS = UPPER_BOUND_MS / 2;

/** What came of a program. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How to start a program. */
export interface StartOptions {
  readonly cwd?: string | URL;
  /** Another program that starts it: the first of its arguments is Deno. */
  readonly through?: readonly string[];
}

/** Starts Deno. */
export function startDeno(
  args: readonly string[],
  { cwd, through = [] }: StartOptions = {},
): Deno.ChildProcess {
  const [command, ...rest] = [...through, Deno.execPath(), ...args];
  return new Deno.Command(command, {
    args: rest,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
    ...(cwd !== undefined && { cwd }),
  }).spawn();
}

/** Runs Deno to its end; fails if it comes to none. */
export async function deno(
  args: readonly string[],
  options?: StartOptions,
): Promise<Ended> {
  const child = startDeno(args, options);
  let hangs = false;
  const timer = setTimeout(() => {
    hangs = true;
    child.kill("SIGKILL");
  }, BOUND_MS);
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

/** The flags for a program of `tests/programs`, with the permissions named. */
export function programArgs(
  name: string,
  permissions: readonly string[],
): string[] {
  const url = new URL(`./programs/${name}.ts`, import.meta.url);
  return ["run", "--no-prompt", "--no-config", ...permissions, url.href];
}

/** Whether a process is there; one that is dead and not yet waited for is not. */
export function isAlive(pid: number): boolean {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    return stat[stat.lastIndexOf(")") + 2] !== "Z";
  } catch {
    return false;
  }
}

/** The processes that a process has started and that are alive. */
export function childrenOf(pid: number): number[] {
  const found: number[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = Deno.readTextFileSync(`/proc/${name}/stat`);
      const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (Number(parent) === pid && state !== "Z") found.push(Number(name));
    } catch {
      // It has ended meanwhile.
    }
  }
  return found;
}
