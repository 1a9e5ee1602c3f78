/** A call that prints 10 MB, and noise that looks like frames. */

import { ProcessPoolExecutor } from "../../mod.ts";

await using pool = new ProcessPoolExecutor({ maxWorkers: 1 });
const much = pool.submit(() => {
  const line = "x".repeat(99);
  for (let i = 0; i < 100_000; i++) console.log(line);
  return "much";
});
const noise = pool.submit(() => {
  // What a frame begins with, and what might follow.
  const mark = 0x1e;
  const bytes = new Uint8Array(200_000);
  for (let i = 0; i < bytes.length; i++) {
    bytes[i] = i % 17 === 0 ? mark : (i * 7) & 255;
  }
  for (let at = 0; at < bytes.length; at += 1000) {
    Deno.stdout.writeSync(bytes.subarray(at, at + 1000));
  }
  for (
    const text of [
      '{"type":"outcome","slot":0}\n',
      '{"type":"died"}\n',
      '{"v8":99}\n',
    ]
  ) {
    Deno.stdout.writeSync(
      new Uint8Array([
        mark,
        ...new Uint8Array(11),
        0,
        0,
        0,
        text.length,
        ...new TextEncoder().encode(text),
      ]),
    );
  }
  Deno.stdout.writeSync(new Uint8Array([mark]));
  return "noise";
});
console.error(await much.result(), await noise.result());
