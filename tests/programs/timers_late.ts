/** Notes when the library first asks for timers. */

import { ThreadPoolExecutor } from "../../mod.ts";

const notes: string[] = [];
const { setTimeout } = globalThis;
Object.defineProperty(globalThis, "setTimeout", {
  configurable: true,
  get: () => {
    notes.push("timers");
    return setTimeout;
  },
});

await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
const future = pool.submit(Math.sqrt, 9);
notes.push("submitted");
await future.result();
console.log(notes.slice(0, 2).join(", "));
