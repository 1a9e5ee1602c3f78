/** Shows progress in the way that its argument names. */

import { progress } from "../../progress.ts";
import { ThreadPoolExecutor } from "../../thread_pool.ts";

const [mode] = Deno.args;

/** Work that takes so many milliseconds for each value. */
async function* work(count: number, ms = 1): AsyncGenerator<number> {
  for (let i = 0; i < count; i++) {
    await new Promise((resolve) => setTimeout(resolve, ms));
    yield i;
  }
}

const modes: Record<string, () => Promise<void>> = {
  async known() {
    for await (const _ of progress(work(20), { total: 20, label: "Work" }));
  },
  async unknown() {
    for await (const _ of progress(work(20)));
  },
  async long() {
    for await (const _ of progress(work(40, 100), { total: 40 }));
  },
  async leaves() {
    for await (const i of progress(work(20), { total: 20 })) {
      if (i === 5) break;
    }
    console.log("left");
  },
  async throws() {
    for await (const i of progress(work(20), { total: 20 })) {
      if (i === 5) throw new RangeError("of the loop");
    }
  },
  async fails() {
    async function* source() {
      yield* work(5);
      throw new RangeError("of the source");
    }
    for await (const _ of progress(source(), { total: 20 }));
  },
  async prints() {
    for await (const i of progress(work(4), { total: 4 })) {
      console.log(`value ${i}`);
      if (i === 1) console.table([{ i }]);
      if (i === 2) console.error("to stderr");
      if (i === 3) {
        const bytes = new TextEncoder().encode("begun, ended\n");
        Deno.stdout.writeSync(bytes.subarray(0, 6));
        await Deno.stdout.write(bytes.subarray(6));
      }
    }
    console.log("after it");
  },
  async threads() {
    await using pool = new ThreadPoolExecutor({ maxWorkers: 2 });
    const task = async (n: number) => {
      console.log(`thread ${n}`, { n });
      console.error("error %d", n);
      Deno.stdout.writeSync(new TextEncoder().encode(`bytes ${n}\n`));
      await Deno.stderr.write(new TextEncoder().encode(`late ${n}\n`));
      return n;
    };
    const numbers = [0, 1, 2, 3, 4, 5];
    const results = pool.map(task, numbers, { chunksize: 1 });
    for await (const _ of progress(results, { total: 6, label: "Threads" }));
    await pool.submit(() => console.log("without a bar")).result();
  },
  async nested() {
    for await (const i of progress([1, 2], { label: "Outer" })) {
      for await (
        const _ of progress(work(3), { total: 3, label: `Inner ${i}` })
      );
    }
  },
  async abandoned() {
    await progress(work(20), { total: 20 }).next();
    console.log("abandoned");
  },
  async quiet() {
    for await (const _ of progress(work(5), { total: 5, quiet: true }));
    console.log("quiet");
  },
  // The event loop never gets to a timer.
  async busy() {
    for await (const _ of progress(Array(30), { every: 100 })) {
      const end = performance.now() + 20;
      while (performance.now() < end);
    }
  },
};

await modes[mode]();
