/** A NATS server of the tests' own, and workers in this process. */

import { JetStream } from "../internal/nats/api.ts";
import { Client, type ClientEvents } from "../internal/nats/client.ts";
import type { NatsCredentials } from "../internal/nats/credentials.ts";
import { Messages } from "../internal/nats/messages.ts";
import { checkServers, type NatsTls } from "../internal/nats/servers.ts";
import { NatsTransport } from "../internal/nats/transport.ts";
import { byName } from "../internal/remote/module_names.ts";
import {
  RemoteWorker,
  type RemoteWorkerOptions,
} from "../internal/remote/remote_worker.ts";
import {
  processKind,
  type ProcessPoolExecutorOptions,
} from "../process_pool.ts";
import { turn } from "./_helpers.ts";

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

/** Who a client is. */
export interface Identity {
  readonly credentials?: NatsCredentials;
  readonly tls?: NatsTls;
}

/** A client, which is told no more than what it may not do. */
export function connectClient(
  servers: string,
  { credentials, tls }: Identity = {},
  onDenied: ClientEvents["onDenied"] = () => {},
): Promise<Client> {
  const nothing = () => {};
  return Client.connect({
    servers: checkServers(servers, credentials, tls),
    ...{ inboxes: "_INBOX", name: "tests" },
    ...{ timeout: 5000, wait: 200, ping: 10_000 },
  }, { onAway: nothing, onBack: nothing, onEnd: nothing, onDenied });
}

/** How a server is started. */
export interface ServerOptions {
  readonly jetstream?: boolean;
  readonly user?: string;
  readonly pass?: string;
  /** What a file of its configuration has. */
  readonly config?: string;
  /** What it finds in its environment, besides what there is. */
  readonly env?: Record<string, string>;
}

/** A server in a process of its own, with its store in a temporary folder. */
export class NatsServer implements AsyncDisposable {
  readonly #folder: string;
  readonly #options: ServerOptions;
  #child: Deno.ChildProcess | undefined;
  #port = 0;
  #websocketPort = 0;

  private constructor(folder: string, options: ServerOptions) {
    this.#folder = folder;
    this.#options = options;
  }

  static async start(options: ServerOptions = {}): Promise<NatsServer> {
    const folder = await Deno.makeTempDir({ prefix: "nats-" });
    const server = new NatsServer(folder, options);
    await server.start();
    return server;
  }

  get url(): string {
    return this.urlOf("nats");
  }

  /** Its URL for a scheme, with a host that its certificates may be for. */
  urlOf(scheme: "nats" | "tls" | "ws" | "wss", host = "127.0.0.1"): string {
    const isWebSocket = scheme === "ws" || scheme === "wss";
    return `${scheme}://${host}:${
      isWebSocket ? this.#websocketPort : this.#port
    }`;
  }

  /** Has it read another configuration. */
  async reload(config: string): Promise<void> {
    await this.#configure(config);
    this.#child!.kill("SIGHUP");
  }

  /** What is not in the file when that is read again is not any more. */
  async #configure(config: string): Promise<void> {
    await Deno.writeTextFile(
      `${this.#folder}/server.conf`,
      this.#options.jetstream === false
        ? config
        : `jetstream { store_dir: "${this.#folder}/store" }\n${config}`,
    );
  }

  /** Starts it, on the port that it had before. */
  async start(): Promise<void> {
    const folder = this.#folder;
    const { jetstream = true, user, pass, config, env } = this.#options;
    if (config !== undefined) await this.#configure(config);
    this.#child = new Deno.Command(program!, {
      args: [
        ...["-a", "127.0.0.1", "-p", this.#port === 0 ? "-1" : `${this.#port}`],
        ...["--ports_file_dir", folder],
        ...(jetstream && config === undefined
          ? ["-js", "-sd", `${folder}/store`]
          : []),
        ...(user && pass ? ["--user", user, "--pass", pass] : []),
        ...(config !== undefined ? ["-c", `${folder}/server.conf`] : []),
      ],
      env,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const file = `${folder}/nats-server_${this.#child.pid}.ports`;
    const end = performance.now() + 10_000;
    while (performance.now() < end) {
      try {
        const { nats, websocket } = JSON.parse(await Deno.readTextFile(file));
        this.#port = Number(new URL(nats[0]).port);
        if (websocket) this.#websocketPort = Number(new URL(websocket[0]).port);
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

  transport(queue: string): NatsTransport {
    return new NatsTransport({
      servers: checkServers(this.url),
      queue,
      lease: undefined,
    });
  }

  /** Resolves once a queue has so many calls that are not answered for. */
  async holds(
    queue: string,
    count: number,
    identity?: Identity,
  ): Promise<void> {
    const nc = await connectClient(this.url, identity);
    const messages = new Messages(nc, () => {});
    const streams = new JetStream((...question) => messages.ask(...question));
    const find = () => streams.streamNames(`cf.${queue}.call.anybody`);
    let stream: string | undefined;
    while (stream === undefined) [stream] = await find();
    const held = async () => (await streams.streamInfo(stream!)).state.messages;
    while (await held() !== count) await turn();
    messages.close(new Error("over"));
    await nc.close();
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
  readonly log?: RemoteWorkerOptions["log"];
  readonly credentials?: NatsCredentials;
  readonly tls?: NatsTls;
}

/** A worker in this process, whose calls run in children as ever. */
export function makeNode(options: LocalWorkerOptions): RemoteWorker {
  const modules = byName(
    (options.modules ?? []).map((url) => [undefined, url]),
  );
  const { servers, queue, lease, credentials, tls } = options;
  return new RemoteWorker({
    transport: new NatsTransport({
      servers: checkServers(servers, credentials, tls),
      queue,
      lease,
    }),
    kind: processKind({ module: [...modules.values()], ...options.pool }),
    packed: true,
    slots: options.slots ?? 2,
    modules,
    allowSource: options.allowSource ?? true,
    label: "Worker of the tests",
    log: options.log ?? (() => {}),
  });
}

// ---- Workers as people start them ------------------------------------------------

const ROOT = new URL("../", import.meta.url);

/** How a worker process is started. */
export interface WorkerOptions {
  readonly servers: string;
  readonly queue: string;
  readonly args?: readonly string[];
  /** What Deno lets the worker do. */
  readonly permissions?: readonly string[];
  /** Whether it is alone with its children at its terminal. */
  readonly alone?: boolean;
  /** What it finds in its environment, besides what there is. */
  readonly env?: Record<string, string>;
}

/** A worker in a process of its own. */
export class WorkerProcess implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #read: Promise<void>;
  readonly #readers: (() => void)[] = [];
  #stderr = "";
  /** Whether it was stopped by a signal, and not continued. */
  #stopped = false;
  #ended = false;
  readonly status: Promise<Deno.CommandStatus>;

  constructor(
    { servers, queue, args = [], permissions = ["-A"], alone, env }:
      WorkerOptions,
  ) {
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--no-prompt", ...permissions, "worker.ts"],
        ...(servers === "" ? [] : ["--servers", servers]),
        ...["--queue", queue, ...args],
      ],
      cwd: ROOT,
      detached: alone,
      env: { NO_COLOR: "1", ...env },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    this.#child = child;
    this.#read = (async () => {
      const lines = child.stderr.pipeThrough(new TextDecoderStream());
      for await (const text of lines) {
        this.#stderr += text;
        for (const look of this.#readers.splice(0)) look();
      }
      this.#ended = true;
      for (const look of this.#readers.splice(0)) look();
    })();
    this.status = child.status;
  }

  get pid(): number {
    return this.#child.pid;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** Resolves when all that it has printed is read. */
  get ended(): Promise<void> {
    return this.#read;
  }

  /** Resolves once it has printed something. */
  async says(text: string): Promise<this> {
    while (!this.#stderr.includes(text)) {
      if (this.#ended) throw new Error(`it has ended, with ${this.#stderr}`);
      await new Promise<void>((resolve) => this.#readers.push(resolve));
    }
    return this;
  }

  /** Interrupts it, and all that is at its terminal, as Ctrl-C does. */
  interrupt(): void {
    Deno.kill(-this.pid, "SIGINT");
  }

  kill(signal: Deno.Signal): void {
    this.#stopped = signal === "SIGSTOP";
    this.#child.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      if (this.#stopped) this.#child.kill("SIGCONT");
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.status;
    await this.#read;
  }
}

/** Starts a worker that may do all that the drills do, and waits until it is ready. */
export function startWorker(options: WorkerOptions): Promise<WorkerProcess> {
  const { args = ["--max-workers", "2"] } = options;
  const grants = ["read", "write", "net", "run"];
  const worker = new WorkerProcess({
    ...options,
    args: [
      ...["--module", "tests/modules/drill_tasks.ts", ...args],
      // Threads may do what the worker may.
      ...(args.includes("--threads")
        ? []
        : grants.flatMap((kind) => ["--grant", kind])),
    ],
  });
  return worker.says("ready");
}

/** A file that calls write down their starts and ends in. */
export class Log implements AsyncDisposable {
  readonly path: string = Deno.makeTempFileSync({ prefix: "drill-" });

  get lines(): string[] {
    return Deno.readTextFileSync(this.path).split("\n").slice(0, -1);
  }

  /** How many lines begin with these words. */
  count(words: string): number {
    return this.lines.filter((line) => `${line} `.startsWith(`${words} `))
      .length;
  }

  /** Which of these workers has started a call. */
  starter<W extends { pid: number }>(id: number, workers: readonly W[]): W {
    const line = this.lines.find((line) => line.startsWith(`start ${id} by `));
    return workers.find(({ pid }) => line?.endsWith(` ${pid}`))!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path);
  }
}

/** A way to a server that can be cut. */
export class Cable implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #conns = new Set<Deno.Conn>();
  readonly #port: number;
  readonly #accepting: Promise<void>;
  readonly #pipes = new Set<Promise<unknown>>();
  #isCut = false;

  constructor(server: string) {
    this.#port = Number(new URL(server).port);
    this.#accepting = (async () => {
      for await (const conn of this.#listener) {
        const piping = this.#connect(conn)
          .finally(() => this.#pipes.delete(piping));
        this.#pipes.add(piping);
      }
    })();
  }

  get url(): string {
    return `nats://127.0.0.1:${(this.#listener.addr as Deno.NetAddr).port}`;
  }

  async #connect(near: Deno.Conn): Promise<void> {
    if (this.#isCut) return near.close();
    const far = await Deno.connect({ hostname: "127.0.0.1", port: this.#port });
    const both = [near, far];
    for (const conn of both) this.#conns.add(conn);
    if (this.#isCut) this.cut();
    const end = () => {
      for (const conn of both) {
        if (this.#conns.delete(conn)) conn.close();
      }
    };
    await Promise.all([
      near.readable.pipeTo(far.writable).catch(() => {}).finally(end),
      far.readable.pipeTo(near.writable).catch(() => {}).finally(end),
    ]);
  }

  /** Nothing comes through from here on. */
  cut(): void {
    this.#isCut = true;
    for (const conn of this.#conns) {
      this.#conns.delete(conn);
      conn.close();
    }
  }

  mend(): void {
    this.#isCut = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    this.cut();
    await this.#accepting;
    await Promise.all(this.#pipes);
  }
}
