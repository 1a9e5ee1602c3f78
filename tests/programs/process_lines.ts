/** Children that print lines in pieces, all at once. */

import { ProcessPoolExecutor } from "../../mod.ts";

await using pool = new ProcessPoolExecutor({ maxWorkers: 3 });
const prints = async (name: string) => {
  const write = (text: string) =>
    Deno.stdout.writeSync(new TextEncoder().encode(text));
  for (let i = 0; i < 300; i++) {
    write(`${name}${name}`);
    await new Promise((resolve) => setTimeout(resolve, 0));
    write(`${name.repeat(i)}\n`);
  }
};
await Array.fromAsync(pool.map(prints, ["a", "b", "c"]));
