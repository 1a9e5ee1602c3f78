/** Calls that print in every way; each says which, and the program says when it hears. */

import { ProcessPoolExecutor } from "../../mod.ts";

await using pool = new ProcessPoolExecutor({ maxWorkers: 1 });
const encoder = new TextEncoder();
const say = (text: string) => Deno.stdout.writeSync(encoder.encode(text));

await pool.submit(() => console.log("log")).result();
say("after log\n");
await pool.submit(() => {
  Deno.stdout.writeSync(new TextEncoder().encode("writeSync\n"));
}).result();
say("after writeSync\n");
await pool.submit(async () => {
  await Deno.stdout.write(new TextEncoder().encode("write\n"));
}).result();
say("after write\n");
await pool.submit(async () => {
  const writer = Deno.stdout.writable.getWriter();
  await writer.write(new TextEncoder().encode("writable\n"));
  writer.releaseLock();
}).result();
say("after writable\n");
await pool.submit(async () => {
  const { process } = globalThis as unknown as {
    process: { stdout: { write(text: string, done: () => void): void } };
  };
  await new Promise<void>((resolve) =>
    process.stdout.write("process.stdout\n", resolve)
  );
}).result();
say("after process.stdout\n");
await pool.submit(() => console.error("error")).result();
await pool.submit(() => {
  Deno.stderr.writeSync(new TextEncoder().encode("stderr\n"));
}).result();
await pool.submit(() => {
  Deno.stdout.writeSync(new TextEncoder().encode("no newline"));
}).result();
