/** No child outlives its program, nor its pool. */

import { assert, assertEquals } from "@std/assert";
import { test } from "../_children.ts";
import { UPPER_BOUND_MS, within } from "../_helpers.ts";
import { deno, programArgs, startDeno } from "../_programs.ts";
import { until } from "../contract.ts";

/** The processes that run children whose parent this program does not know any more. */
function withMark(mark: string): number[] {
  const found: number[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      if (Deno.readTextFileSync(`/proc/${name}/environ`).includes(mark)) {
        found.push(Number(name));
      }
    } catch {
      // It has ended meanwhile, or is somebody else's.
    }
  }
  return found;
}

/** What children are about when their program dies, and how many pids it knows then. */
const states = {
  idle: 3,
  busy: 3,
  starting: 0,
  importing: 0,
  initializing: 0,
  receiving: 3,
  nested: 2,
};

for (const [state, count] of Object.entries(states)) {
  for (
    const way of ["Deno.exit()", "an uncaught error", "SIGTERM", "SIGKILL"]
  ) {
    test(`a program that dies by ${way} leaves no child that is ${state}`, async () => {
      const mark = `MARK=${crypto.randomUUID()}`;
      const { stdout } = await deno(
        [
          ...programArgs("process_dies", ["--allow-run", "--allow-read"]),
          state,
          way,
        ],
        { through: ["env", mark] },
      );
      const pids: number[] = JSON.parse(stdout);
      assertEquals(pids.length, count);
      if (state === "receiving") {
        for (const pid of pids) goOn(pid);
      }
      await until(() => withMark(mark).length === 0);
    });
  }
}

/** Lets a stopped process go on, unless the system has done so, and it has ended. */
function goOn(pid: number): void {
  try {
    Deno.kill(pid, "SIGCONT");
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** What 200 pools may leave at most: less than one of anything for each. */
const limits = {
  objects: 100,
  // Compiled code, and what the runtime learns of it, is no leak.
  bytes: 1e6,
  // The runtime may have opened some of its own meanwhile, once for all.
  files: 5,
  threads: 0,
  children: 0,
};

for (const kind of ["thread", "process"]) {
  Deno.test({
    name: `${kind} pool: 200 pools leave no ${kind}, no file and no memory`,
    ignore: Deno.build.os !== "linux",
    async fn() {
      const args = [kind, "200", JSON.stringify(limits)];
      const child = startDeno([...programArgs("many_pools", ["-A"]), ...args]);
      const [stdout, stderr] = await within(
        Promise.all([child.stdout.text(), child.stderr.text()]),
        // Ten seconds of work, on a machine that may have much else to do.
        5 * UPPER_BOUND_MS,
      );
      await child.status;
      assertEquals(stderr, "");
      const left: Record<string, number> = JSON.parse(stdout);
      for (const [what, most] of Object.entries(limits)) {
        assert(left[what] <= most, `${left[what]} ${what} more`);
      }
    },
  });
}
