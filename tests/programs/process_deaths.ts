/** Children that die in every way and at every time: none of it is printed. */

import { ProcessPoolExecutor } from "../../mod.ts";
import {
  diesInResult,
  diesInside,
  moduleThatDies,
  neverEnds,
  ways,
} from "../deaths.ts";

// A pool that has ended its idle child has another, which does not die.
const options = { maxWorkers: 1, idleTimeout: 600_000 };

for (const way of Object.values(ways).map(String)) {
  const pools = {
    importing: new ProcessPoolExecutor({
      ...options,
      module: moduleThatDies(way),
    }),
    starting: new ProcessPoolExecutor({
      ...options,
      initializer: diesInside,
      initargs: [way],
    }),
    running: new ProcessPoolExecutor(options),
    idle: new ProcessPoolExecutor(options),
    answering: new ProcessPoolExecutor(options),
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
