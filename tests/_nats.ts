/** A NATS server of the tests' own, and workers in this process. */

import { Node, type NodeOptions } from "../internal/node.ts";
import { byName } from "../internal/module_names.ts";
import { NatsTransport } from "../internal/nats_transport.ts";
import {
  ProcessPoolExecutor,
  type ProcessPoolExecutorOptions,
} from "../process_pool.ts";
import { processKind } from "../process_pool.ts";

/** Where the server program is, if it is installed. */
function find(): string | undefined {
  const { PATH = "" } = Deno.env.toObject();
  for (const folder of [...PATH.split(":"), "/usr/sbin"]) {
    try {
      if (Deno.statSync(`${folder}/nats-server`).isFile) {
        return `${folder}/nats-server`;
      }
    } catch {
      // Not here.
    }
  }
  return undefined;
}

const program = find();

/** Whether there is no server to test with. */
export const withoutNats = program === undefined;

if (withoutNats) {
  const hint =
    "nats-server is missing, so what needs it is not tested: apt-get install -y nats-server";
  if (Deno.env.get("CI") === "true") console.error(`::warning::${hint}`);
  else console.error(hint);
}

/** A server in a process of its own, with its store in a temporary folder. */
export class NatsServer implements AsyncDisposable {
  readonly #folder: string;
  #child: Deno.ChildProcess | undefined;
  #port = 0;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async start(): Promise<NatsServer> {
    const server = new NatsServer(await Deno.makeTempDir({ prefix: "nats-" }));
    await server.start();
    return server;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.#port}`;
  }

  /** Starts it, on the port that it had before. */
  async start(): Promise<void> {
    const folder = this.#folder;
    this.#child = new Deno.Command(program!, {
      args: [
        ...["-a", "127.0.0.1", "-p", this.#port === 0 ? "-1" : `${this.#port}`],
        ...["-js", "-sd", `${folder}/store`, "--ports_file_dir", folder],
      ],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const file = `${folder}/nats-server_${this.#child.pid}.ports`;
    const end = performance.now() + 10_000;
    while (performance.now() < end) {
      try {
        const { nats } = JSON.parse(await Deno.readTextFile(file));
        this.#port = Number(new URL(nats[0]).port);
        return;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
    throw new Error("nats-server does not start");
  }

  /** Ends it as a crash does. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    child?.kill("SIGKILL");
    await child?.status;
  }

  /** Forgets all that it has stored. */
  async clear(): Promise<void> {
    await Deno.remove(`${this.#folder}/store`, { recursive: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await Deno.remove(this.#folder, { recursive: true });
  }
}

/** How a worker in this process is made. */
export interface LocalWorkerOptions {
  readonly servers: string;
  readonly queue: string;
  readonly lease?: number;
  readonly slots?: number;
  readonly modules?: readonly string[];
  readonly allowSource?: boolean;
  readonly pool?: ProcessPoolExecutorOptions;
  readonly log?: NodeOptions["log"];
}

/** A worker in this process, whose calls run in children as ever. */
export function makeNode(options: LocalWorkerOptions): Node {
  const modules = byName((options.modules ?? []).map((url) => [undefined, url]));
  const { servers, queue, lease } = options;
  return new Node({
    transport: new NatsTransport({ servers: [servers], queue, lease }),
    kind: processKind({ module: [...modules.values()], ...options.pool }),
    slots: options.slots ?? 2,
    modules,
    allowSource: options.allowSource ?? true,
    label: "Worker of the tests",
    log: options.log ?? (() => {}),
  });
}
