/** What the workers of the fault drills run. */

/** Notes that something happened, where whoever counts can read it. */
function note(log: string, what: string): void {
  Deno.writeTextFileSync(log, `${what}\n`, { append: true });
}

/** Starts, says so to a gate, waits for it to open, and ends. */
export async function held(
  log: string,
  port: number,
  id: number,
): Promise<number> {
  note(log, `start ${id} by ${Deno.ppid}`);
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, id);
  await conn.write(bytes);
  await conn.read(bytes);
  conn.close();
  note(log, `end ${id}`);
  return id;
}

/** The same, and gives so many bytes. */
export async function holdsAndMakes(
  log: string,
  port: number,
  id: number,
  length: number,
): Promise<Uint8Array> {
  await held(log, port, id);
  return makes(length);
}

/** Blocks its thread for a time. */
export function spins(log: string, id: number, ms: number): number {
  note(log, `start ${id}`);
  const end = performance.now() + ms;
  while (performance.now() < end);
  note(log, `end ${id}`);
  return id;
}

/** Kills the worker, as a lack of memory would. */
export function poison(log: string, id: number): Promise<void> {
  note(log, `start ${id}`);
  Deno.kill(Deno.ppid, "SIGKILL");
  return new Promise(() => {});
}

/** Ends the process that it runs in, not the worker. */
export function exits(log: string, id: number): never {
  note(log, `start ${id}`);
  Deno.exit(7);
}

/** Ends its process the first time, and succeeds from then on. */
export function exitsOnce(log: string, id: number): number {
  const before = Deno.readTextFileSync(log);
  note(log, `start ${id}`);
  if (!before.includes(`start ${id}\n`)) Deno.exit(7);
  note(log, `end ${id}`);
  return id;
}

export function adds(a: number, b: number): number {
  return a + b;
}

export function size(bytes: Uint8Array): number {
  return bytes.length;
}

export function makes(length: number): Uint8Array {
  return new Uint8Array(length).fill(7);
}

export function unserializable(): unknown {
  return { headers: new Headers() };
}

export function whoRuns(): number {
  return Deno.ppid;
}

/** The process that it runs in. */
export function whereabouts(): number {
  return Deno.pid;
}

const SCALE = 10;
const seen = new Set<AbortSignal>();

/** Uses what stands around it in its module. */
export function scaled(n: number): number {
  return n * SCALE;
}

/** The same, and what stands there can't travel. */
export function counts(n: number): number {
  for (let i = 0; i < n; i++) seen.add(new AbortController().signal);
  const { size } = seen;
  seen.clear();
  return size;
}
