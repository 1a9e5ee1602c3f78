/** The contract of every executor, put to `NatsExecutor`, with a worker in this process. */

import { BrokenExecutor } from "../../errors.ts";
import type { ShutdownOptions } from "../../executor.ts";
import type { RemoteWorker } from "../../internal/remote/remote_worker.ts";
import { NatsExecutor } from "../../nats.ts";
import { makeNode, NatsServer, withoutNats } from "../_nats.ts";
import {
  type ContractOptions,
  contractSuite,
  socketGate,
} from "../contract.ts";

const MODULES = "tasks more_tasks leaves_a_mark throws_on_import thenable"
  .split(" ")
  .map((name) => import.meta.resolve(`../modules/${name}.ts`));
const OTHERS = [
  import.meta.resolve("../modules/nowhere.ts"),
  "data:text/javascript,export const (",
];

let queues = 0;

/** An executor that brings its own worker, since it is the only one of its queue. */
class WithWorker extends NatsExecutor {
  readonly #node: RemoteWorker;
  readonly #started: Promise<void>;

  constructor(servers: string, options: ContractOptions) {
    const queue = `contract-${++queues}`;
    const { maxWorkers = 2, module, closures } = options;
    // What can be wrong with the worker's options is told at once.
    const node = makeNode({
      servers,
      queue,
      slots: maxWorkers,
      modules: [...MODULES, ...OTHERS],
      pool: {
        maxWorkers,
        // Only what the test names is found by its source.
        module,
        permissions: {
          net: true,
          read: true,
          write: true,
          env: true,
          sys: true,
        },
      },
    });
    super({ servers, queue, module, closures });
    this.#node = node;
    this.#started = node.start();
  }

  override async shutdown(options: ShutdownOptions = {}): Promise<void> {
    await super.shutdown(options);
    const stopped = super.shutdown().then(async () => {
      await this.#started;
      await this.#node.stop();
    });
    if (options.wait ?? true) await stopped;
  }
}

if (!withoutNats) {
  const server = await NatsServer.start();
  Deno.test.afterAll(() => server[Symbol.asyncDispose]());

  contractSuite({
    name: "nats",
    make: (options = {}) => new WithWorker(server.url, options),
    can: {
      copy: true,
      travel: true,
      importModules: true,
      workers: false,
      ownWorkers: false,
      die: false,
      cancelHandedOver: true,
      shareMemory: false,
      control: true,
    },
    broken: BrokenExecutor,
    makeGate: socketGate,
    whoAmI: () => globalThis.name,
    many: 5_000,
  });
} else {
  Deno.test.ignore(
    "nats pool: the contract, which needs nats-server",
    () => {},
  );
}
