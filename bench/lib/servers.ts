/** Servers that queues need, each in a process of its own with a folder of its own. */

/** A server that runs. */
export interface Server {
  readonly url: string;
  stop(): Promise<void>;
}

/** Where a program is, if it is installed. */
export function find(program: string): string | undefined {
  const folders = [...(Deno.env.get("PATH") ?? "").split(":"), "/usr/sbin"];
  return folders.map((folder) => `${folder}/${program}`).find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
}

/** A port that nobody has at this moment. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return (listener.addr as Deno.NetAddr).port;
}

/** Starts a server, and waits until it can be connected to. */
export async function start(
  program: string,
  args: (port: number, folder: string) => string[],
): Promise<Server> {
  const port = freePort();
  const folder = await Deno.makeTempDir({ prefix: "bench-" });
  const child = new Deno.Command(find(program)!, {
    args: args(port, folder),
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  for (let i = 0;; i++) {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      break;
    } catch (error) {
      if (i === 500) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
  return {
    url: `127.0.0.1:${port}`,
    async stop() {
      child.kill("SIGKILL");
      await child.status;
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** What keeps a queue's rows from being run, where its server is missing. */
export function skipsWithout(program: string): Record<string, string> {
  if (find(program)) return {};
  const why = `${program} is missing (apt-get install ${program})`;
  return { j: why, k: why, l: why };
}
