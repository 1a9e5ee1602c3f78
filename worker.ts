/**
 * A command: the worker of executors such as `NatsExecutor`, which runs their
 * calls in child processes, or threads, of its own.
 *
 * ```sh
 * deno run --allow-net=127.0.0.1:4222 --allow-run jsr:@concurrent/futures/worker \
 *   --servers nats://127.0.0.1:4222 --queue sums --module ./tasks.ts
 * ```
 *
 * `--help` prints a page that tells all options. Start as many workers as there
 * are machines, with the same `--servers` and `--queue`. What calls print appears
 * on the worker's stdout and stderr; what the worker itself has to say goes to
 * stderr.
 *
 * @module
 */

import {
  type Command,
  HELP,
  parseCommand,
  SECRET_VARIABLES,
} from "./internal/nats/command.ts";
import { NatsTransport } from "./internal/nats/transport.ts";
import { RemoteWorker } from "./internal/remote/remote_worker.ts";
import { processKind } from "./process_pool.ts";
import { threadKind } from "./thread_pool.ts";

function say(text: string): void {
  console.error(`worker: ${text}`);
}

/** Has calls not find what this worker was told in its environment. */
function forgetSecrets(): void {
  for (const variable of SECRET_VARIABLES) {
    const { state } = Deno.permissions.querySync({ name: "env", variable });
    if (state === "granted") Deno.env.delete(variable);
  }
}

/** Runs a worker until it is told to end. */
async function run(command: Command): Promise<void> {
  const { servers, queue, lease, modules, maxWorkers } = command;
  const transport = new NatsTransport({ servers, queue, lease });
  if (command.makesQueue) {
    await transport.makeQueue();
    return say(`the queue ${queue} is there`);
  }
  const module = [...modules.values()];
  const node = new RemoteWorker({
    transport,
    kind: command.threads ? threadKind({ module }) : processKind(
      {
        module,
        permissions: command.permissions,
        ...(command.config !== undefined && { config: command.config }),
      },
      // Ctrl-C is for the worker, which has its calls completed.
      Deno.build.os !== "windows",
    ),
    packed: !command.threads,
    slots: maxWorkers,
    modules,
    allowSource: command.allowSource,
    label: `Worker ${command.name ?? `(pid ${Deno.pid})`}`,
    log: say,
  });
  const { promise: told, resolve: tell } = Promise.withResolvers<void>();
  let count = 0;
  const onSignal = () => {
    if (++count > 1) Deno.exit(1);
    say("ending, once the calls that run are done");
    tell();
  };
  const signals: Deno.Signal[] = Deno.build.os === "windows"
    ? ["SIGINT"]
    : ["SIGTERM", "SIGINT"];
  for (const signal of signals) Deno.addSignalListener(signal, onSignal);
  try {
    await node.tryModules();
    await node.start();
    const names = [...modules.keys()].join(", ") || "none";
    say(`ready, queue ${queue}, ${maxWorkers} at once, modules: ${names}`);
    await told;
  } finally {
    await node.stop();
    for (const signal of signals) Deno.removeSignalListener(signal, onSignal);
  }
}

if (import.meta.main) {
  let command: Command | undefined;
  try {
    command = parseCommand(Deno.args);
    forgetSecrets();
  } catch (error) {
    console.error(`${(error as Error).message}\nSee --help.`);
    Deno.exit(2);
  }
  if (command === undefined) {
    console.log(HELP);
  } else {
    try {
      await run(command);
    } catch (error) {
      say((error as Error).message);
      Deno.exitCode = 1;
    }
  }
}
