/** No child outlives its program, nor its pool. */

import { assert, assertEquals } from "@std/assert";
import { ProcessPoolExecutor } from "../process_pool.ts";
import { test } from "./_children.ts";
import { childrenOf, deno, programArgs } from "./_programs.ts";
import { until } from "./contract.ts";

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

for (const state of ["idle", "busy", "starting"]) {
  for (
    const way of ["Deno.exit()", "an uncaught error", "SIGTERM", "SIGKILL"]
  ) {
    test(`a program that dies by ${way} leaves no child that is ${state}`, async () => {
      const mark = `MARK=${crypto.randomUUID()}`;
      const { stdout } = await deno(
        [...programArgs("process_dies", ["--allow-run"]), state, way],
        { through: ["env", mark] },
      );
      assertEquals(JSON.parse(stdout).length, state === "starting" ? 0 : 3);
      await until(() => withMark(mark).length === 0);
    });
  }
}

test("100 pools leave no process, no file and little memory", async () => {
  const use = async () => {
    const pool = new ProcessPoolExecutor({ maxWorkers: 1 });
    assertEquals(await pool.submit(Math.sqrt, 4).result(), 2);
    await pool.shutdown();
  };
  const files = () => [...Deno.readDirSync("/proc/self/fd")].length;
  for (let i = 0; i < 3; i++) await use();
  const before = { files: files(), rss: Deno.memoryUsage().rss };
  for (let i = 0; i < 100; i++) await use();
  assertEquals(childrenOf(Deno.pid), []);
  assert(
    files() <= before.files,
    `${files()} files instead of ${before.files}`,
  );
  const grown = Deno.memoryUsage().rss - before.rss;
  assert(grown < 100e6, `${grown} bytes more`);
});
