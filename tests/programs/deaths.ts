/** Workers that die in every way and at every time. */

import { ThreadPoolExecutor } from "../../mod.ts";
import {
  diesAfter,
  diesInResult,
  diesInside,
  moduleThatDies,
  neverEnds,
  ways,
} from "../deaths.ts";

const silent = new SharedArrayBuffer(4);

for (const way of Object.values(ways).map(String)) {
  const pools = {
    importing: new ThreadPoolExecutor({ module: moduleThatDies(way) }),
    starting: new ThreadPoolExecutor({
      initializer: diesInside,
      initargs: [way],
    }),
    running: new ThreadPoolExecutor(),
    // Its worker is to die by itself, not to be ended for being idle.
    idle: new ThreadPoolExecutor({ maxWorkers: 1, idleTimeout: 60_000 }),
    answering: new ThreadPoolExecutor({ maxWorkers: 1 }),
  };
  pools.running.submit(diesInside, way);
  pools.answering.submit(diesInResult, way);
  await pools.idle.submit(diesAfter, way, silent).result();
  for (const pool of Object.values(pools)) {
    try {
      await pool.submit(neverEnds).result();
    } catch (error) {
      if (!(error instanceof Error && error.name === "BrokenThreadPool")) {
        throw error;
      }
    }
    await pool.shutdown();
  }
}
console.log("done");
