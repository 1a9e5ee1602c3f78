/** The contract on the event loop, and what is its own. */

import { BrokenExecutor, EventLoopExecutor } from "../mod.ts";
import { contractSuite, type ExecutorKind, socketGate } from "./contract.ts";

const loop: ExecutorKind = {
  name: "event loop",
  make: ({ maxWorkers } = {}) => new EventLoopExecutor({ maxWorkers }),
  can: {
    copy: false,
    travel: false,
    importModules: false,
    workers: false,
    die: false,
    cancelHandedOver: true,
    shareMemory: true,
  },
  broken: BrokenExecutor,
  makeGate: socketGate,
  whoAmI: () => undefined,
};

contractSuite(loop);
