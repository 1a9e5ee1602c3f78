import { BrokenProcessPool } from "../errors.ts";
import { ProcessPoolExecutor } from "../process_pool.ts";
import { contractSuite, type ExecutorKind, socketGate } from "./contract.ts";

const process: ExecutorKind = {
  name: "process",
  // The suite's tasks connect to a gate and read files.
  make: (options) =>
    new ProcessPoolExecutor({
      ...options,
      permissions: { net: true, read: true, write: true, env: true, sys: true },
      // As this program may have been started itself.
      execArgv: ["--v8-flags=--expose-gc"],
    }),
  can: {
    copy: true,
    travel: true,
    importModules: true,
    workers: true,
    die: true,
    cancelHandedOver: false,
    shareMemory: false,
    control: true,
  },
  broken: BrokenProcessPool,
  makeGate: socketGate,
  whoAmI: () => globalThis.name,
};

contractSuite(process);
