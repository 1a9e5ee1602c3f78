import { assertEquals } from "@std/assert";
import { BrokenProcessPool } from "../errors.ts";
import { ProcessPoolExecutor } from "../process_pool.ts";
import { make, test } from "./_children.ts";
import { turn } from "./_helpers.ts";
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
    ownWorkers: true,
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

test("calls of a child run in their order, however they come to its worker", async () => {
  await using executor = make({ maxWorkers: 1 });
  const spin = (ms: number) => {
    const end = performance.now() + ms;
    while (performance.now() < end);
  };
  const note = (name: string, _more = "") => {
    const names = [...Reflect.get(globalThis, "names") ?? [], name].slice(-2);
    Reflect.set(globalThis, "names", names);
    return names;
  };
  // Too much for what a worker that waits is handed, so it is sent as an event.
  const much = "x".repeat(20_000);
  for (let i = 0; i < 50; i++) {
    // Known as short, so that the next call is sent to the worker while it is busy.
    for (let j = 0; j < 5; j++) await executor.submit(spin, 0).result();
    const spun = executor.submit(spin, 2);
    await turn();
    const first = executor.submit(note, "first", much);
    await spun.result();
    const second = executor.submit(note, "second");
    await first.result();
    assertEquals(await second.result(), ["first", "second"]);
  }
});
