/** A cluster on one machine: a NATS server, and workers that are connected to it. */

/** A cluster that runs. */
export interface Cluster extends AsyncDisposable {
  readonly servers: string;
  readonly queue: string;
  /** The workers' processes. */
  readonly workers: readonly Deno.ChildProcess[];
}

/** Starts a server, and so many workers with the functions of a module. */
export async function startCluster(
  count: number,
  module: string,
): Promise<Cluster> {
  const folder = await Deno.makeTempDir({ prefix: "cluster-" });
  const server = new Deno.Command("nats-server", {
    // On any port that is free; which one, it writes to a file.
    args: [
      ...["-a", "127.0.0.1", "-p", "-1", "-js", "-sd", folder],
      ...["--ports_file_dir", folder],
    ],
    stdout: "null",
    stderr: "null",
  }).spawn();
  const servers = await addressIn(`${folder}/nats-server_${server.pid}.ports`);
  const queue = "example";
  const workers = Array.from(
    { length: count },
    (_, i) =>
      new Deno.Command(Deno.execPath(), {
        args: [
          // In a program of your own: jsr:@concurrent/futures/worker
          ...["run", "--quiet", `--allow-net=${new URL(servers).host}`],
          ...["--allow-run", "--allow-read"],
          import.meta.resolve("@concurrent/futures/worker"),
          ...["--servers", servers, "--queue", queue, "--module", module],
          // Each call runs in a process of its own, which may read files.
          ...["--max-workers", "2", "--grant", "read", "--name", `w${i + 1}`],
        ],
        stderr: "null",
      }).spawn(),
  );
  return {
    servers,
    queue,
    workers,
    async [Symbol.asyncDispose]() {
      for (const process of [...workers, server]) {
        try {
          process.kill("SIGTERM");
        } catch {
          // It has ended.
        }
      }
      await Promise.all([...workers, server].map(({ status }) => status));
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** The server's address, once it has written it. */
async function addressIn(file: string): Promise<string> {
  for (let i = 0; i < 500; i++) {
    try {
      return JSON.parse(await Deno.readTextFile(file)).nats[0];
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
  throw new Error("nats-server does not start");
}
