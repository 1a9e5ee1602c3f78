/** Children that die in every way and at every time: none of it is printed. */

import { ProcessPoolExecutor } from "../../mod.ts";
import {
  diesInResult,
  diesInside,
  moduleThatDies,
  neverEnds,
  ways,
} from "../deaths.ts";

for (const way of Object.values(ways).map(String)) {
  const pools = {
    importing: new ProcessPoolExecutor({
      maxWorkers: 1,
      module: moduleThatDies(way),
    }),
    starting: new ProcessPoolExecutor({
      maxWorkers: 1,
      initializer: diesInside,
      initargs: [way],
    }),
    running: new ProcessPoolExecutor({ maxWorkers: 1 }),
    // Its child is to die by itself, not to be ended for being idle.
    idle: new ProcessPoolExecutor({ maxWorkers: 1, idleTimeout: 60_000 }),
    answering: new ProcessPoolExecutor({ maxWorkers: 1 }),
  };
  pools.running.submit(diesInside, way);
  pools.answering.submit(diesInResult, way);
  await pools.idle.submit((way: string) => {
    setTimeout(() => (0, eval)(`(${way})()`), 0);
  }, way).result();
  for (const pool of Object.values(pools)) {
    try {
      await pool.submit(neverEnds).result();
    } catch (error) {
      if (!(error instanceof Error && error.name === "BrokenProcessPool")) {
        throw error;
      }
    }
    await pool.shutdown();
  }
}
console.log("done");
