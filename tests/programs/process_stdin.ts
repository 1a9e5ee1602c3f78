/** Calls that read stdin, in every way, find its end; the pool loses nothing by it. */

import { ProcessPoolExecutor } from "../../mod.ts";

const [name, ...execArgv] = Deno.args;
const pool = new ProcessPoolExecutor({
  maxWorkers: 1,
  execArgv,
  permissions: { run: true, read: true, env: true, sys: true, write: true },
});
interface Node {
  process: {
    stdin: AsyncIterable<Uint8Array>;
    getBuiltinModule(name: string): {
      readSync(fd: number, bytes: Uint8Array): number;
      readFileSync(fd: number): Uint8Array;
      spawn(
        command: string,
        args: string[],
        options: object,
      ): { on(event: string, fn: (code: number) => void): void };
      spawnSync(
        command: string,
        args: string[],
        options: object,
      ): { status: number };
      execSync(command: string, options: object): Uint8Array;
    };
  };
}
const ways: Record<string, () => unknown> = {
  read: () => Deno.stdin.read(new Uint8Array(5)),
  readSync: () => Deno.stdin.readSync(new Uint8Array(5)),
  readable: async () => (await Array.fromAsync(Deno.stdin.readable)).length,
  isTerminal: () => Deno.stdin.isTerminal(),
  command: async () => {
    const { stdout } = await new Deno.Command("cat", { stdin: "inherit" })
      .output();
    return stdout.length;
  },
  spawn: async () => {
    const child = new Deno.Command("cat", { stdin: "inherit", stdout: "piped" })
      .spawn();
    return (await child.output()).stdout.length;
  },
  outputSync: () =>
    new Deno.Command("cat", { stdin: "inherit" }).outputSync().stdout.length,
  denoSpawnAndWait: async () => {
    const { spawnAndWait } = Deno as unknown as {
      spawnAndWait?(
        command: string,
        args: string[],
        options: object,
      ): Promise<{ stdout: Uint8Array }>;
    };
    if (!spawnAndWait) return 0;
    return (await spawnAndWait("cat", [], {
      stdin: "inherit",
      stdout: "piped",
    })).stdout.length;
  },
  nodeSpawn: () => {
    const { process } = globalThis as unknown as Node;
    const child = process.getBuiltinModule("node:child_process").spawn(
      "cat",
      [],
      { stdio: "inherit" },
    );
    return new Promise((resolve) => child.on("exit", resolve));
  },
  nodeSpawnSync: () => {
    const { process } = globalThis as unknown as Node;
    return process.getBuiltinModule("node:child_process").spawnSync("cat", [], {
      stdio: ["inherit", "pipe", "pipe"],
    }).status;
  },
  nodeStdin: async () => {
    const { process } = globalThis as unknown as Node;
    return (await Array.fromAsync(process.stdin)).length;
  },
  nodeReadSync: () => {
    const { process } = globalThis as unknown as Node;
    return process.getBuiltinModule("node:fs").readSync(0, new Uint8Array(5));
  },
  worker: async () => {
    const source =
      "Deno.stdin.read(new Uint8Array(5)).then((n) => postMessage(n))";
    const worker = new Worker(
      `data:text/javascript,${encodeURIComponent(source)}`,
      { type: "module" },
    );
    const found = await new Promise((resolve) =>
      worker.onmessage = ({ data }) => resolve(data)
    );
    worker.terminate();
    return found;
  },
};
const found = await pool.submit(ways[name]).result();
console.log(name, found || "nothing");
console.log(await pool.submit(Math.sqrt, 9).result());
await pool.shutdown();
