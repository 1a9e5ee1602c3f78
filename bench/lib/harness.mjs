/**
 * What a subject that runs JavaScript does when the driver starts it, under Deno
 * or Node: one row, told by the first argument, whose figures it prints as a
 * line of JSON. `bench.ts` tells what is said on the way.
 */

import * as tasks from "./tasks.mjs";

/**
 * Workers that calls can be handed to.
 *
 * @typedef {object} Pool
 * @property {(task: keyof typeof tasks, arg: any) => PromiseLike<any>} call
 * Has a task of `tasks.mjs` run.
 * @property {(task: keyof typeof tasks, args: any[]) => PromiseLike<any[]>} [map]
 * Has it run for each of many arguments. Without it: a `call` for each.
 * @property {(task: keyof typeof tasks, arg: any) => unknown} [submit]
 * A call of which only what stands for it is kept. Without it: `call`.
 * @property {() => unknown} close
 * Ends the workers.
 */

/**
 * What is measured.
 *
 * @typedef {object} Subject
 * @property {string} name Its name in the table.
 * @property {"threads" | "processes" | "both" | "queues"} group The tables it stands in.
 * @property {"library" | "floor" | "peer"} kind What the table is to show it as.
 * @property {string} [npm] The package that it needs.
 * @property {string[]} [npmToo] Packages that this one wants beside it.
 * @property {Record<string, string>} [skips] The rows that it can't run, and why.
 * @property {(options: { workers: number, row: string }) => Promise<Pool>} open
 * Makes a pool. Only now may the package be imported.
 */

const WORKERS = 2;
const PRIMES = [
  112272535095293,
  112582705942171,
  112272535095293,
  115280095190773,
  115797848077099,
  1099726899285419,
];
const MIB = 1024 * 1024;
/** What would take longer is left out of row m, in milliseconds. */
const BEARABLE = 60_000;

const now = () => performance.now();
const numbers = (count) => Array.from({ length: count }, (_, i) => i);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** @param {number[]} values */
function median(values) {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}

/** How long it takes, in milliseconds. */
async function timed(fn) {
  const start = now();
  await fn();
  return now() - start;
}

/** @param {Pool} pool */
function callAll(pool, task, args) {
  return Promise.all(args.map((arg) => pool.call(task, arg)));
}

/** @param {Pool} pool */
function mapAll(pool, task, args) {
  return pool.map ? pool.map(task, args) : callAll(pool, task, args);
}

function expect(truth) {
  if (!truth) throw new Error("a result is wrong");
}

/** A pool whose workers all have run something. */
async function warm(subject, row) {
  const pool = await subject.open({ workers: WORKERS, row });
  await callAll(pool, "block", Array(WORKERS).fill(50));
  return pool;
}

/** How long each call of row e takes, in milliseconds; the same in every language. */
function mixedDurations() {
  let random = 1;
  return Array.from({ length: 2000 }, () => {
    random = random * 16807 % 2147483647;
    return random % 10 === 0 ? 5 : 0.05;
  });
}

/** About 100 KiB as JSON. */
function catalogue() {
  const items = Array.from({ length: 1000 }, (_, id) => ({
    id,
    name: `The name of record ${id}`,
    price: id / 8,
    tags: ["red", "green", "blue"],
    on: id % 2 === 0,
  }));
  return { title: "A catalogue", items };
}

/** @type {Record<string, (subject: Subject) => Promise<Record<string, number>>>} */
const ROWS = {
  async a(subject) {
    const pool = await warm(subject, "a");
    await callAll(pool, "identity", numbers(2000));
    const args = numbers(20_000);
    let results;
    const ms = await timed(async () => {
      results = await callAll(pool, "identity", args);
    });
    expect(results.every((result, i) => result === i));
    await pool.close();
    return { a: ms * 1000 / args.length };
  },

  async b(subject) {
    const pool = await warm(subject, "b");
    const times = [];
    for (let i = 0; i < 3000; i++) {
      const ms = await timed(() => pool.call("identity", i));
      if (i >= 1000) times.push(ms);
    }
    await pool.close();
    return { b: median(times) * 1000 };
  },

  async c(subject) {
    const pool = await warm(subject, "c");
    await mapAll(pool, "identity", numbers(2000));
    const args = numbers(100_000);
    let results;
    const ms = await timed(async () => {
      results = await mapAll(pool, "identity", args);
    });
    expect(results.every((result, i) => result === i));
    await pool.close();
    return { c: ms * 1000 / args.length };
  },

  async d(subject) {
    const inline = () => PRIMES.map(tasks.isPrime);
    inline();
    const alone = [];
    for (let i = 0; i < 3; i++) alone.push(await timed(inline));
    const pool = await warm(subject, "d");
    await mapAll(pool, "isPrime", PRIMES);
    const together = [];
    for (let i = 0; i < 3; i++) {
      together.push(await timed(() => mapAll(pool, "isPrime", PRIMES)));
    }
    await pool.close();
    return { d: median(alone) / median(together) };
  },

  async e(subject) {
    const pool = await warm(subject, "e");
    const durations = mixedDurations();
    await callAll(pool, "spin", durations.slice(0, 200));
    const ms = await timed(() => callAll(pool, "spin", durations));
    await pool.close();
    const total = durations.reduce((sum, duration) => sum + duration, 0);
    return { e: ms / (total / WORKERS) };
  },

  async f(subject) {
    const pool = await warm(subject, "f");
    const bytes = new Uint8Array(64 * MIB).fill(7);
    const times = [];
    for (let i = 0; i < 4; i++) {
      let result;
      const ms = await timed(async () => {
        result = await pool.call("identity", bytes);
      });
      expect(result.length === bytes.length && result.at(-1) === 7);
      if (i > 0) times.push(ms);
    }
    await pool.close();
    return { f: median(times) };
  },

  async g(subject) {
    const pool = await warm(subject, "g");
    const value = catalogue();
    await callAll(pool, "identity", Array(20).fill(value));
    const args = Array(200).fill(value);
    let results;
    const ms = await timed(async () => {
      results = await callAll(pool, "identity", args);
    });
    expect(results.every((result) => result.items[999].price === 999 / 8));
    await pool.close();
    return { g: ms / args.length };
  },

  // The driver has the clock: it started before this program did.
  async h(subject) {
    const pool = await subject.open({ workers: 1, row: "h" });
    expect(await pool.call("identity", 1) === 1);
    tell({ figures: {} });
    await pool.close();
  },

  // The driver has the scales: it sees the processes from outside.
  async i(subject) {
    const pool = await warm(subject, "i");
    await callAll(pool, "identity", numbers(2000));
    await weigh("idle");
    const kept = numbers(WORKERS).map(() => pool.call("block", 600_000));
    await sleep(100);
    for (const n of numbers(200_000)) {
      kept.push((pool.submit ?? pool.call)("identity", n));
    }
    await weigh("waiting");
    tell({ figures: {}, kept: kept.length });
    await Promise.all(kept);
  },

  async j(subject) {
    const pool = await warmQueue(subject, "j");
    const times = [];
    for (let i = 0; i < 500; i++) {
      const ms = await timed(() => pool.call("identity", i));
      if (i >= 100) times.push(ms);
    }
    await pool.close();
    return { j: median(times) };
  },

  async k(subject) {
    const pool = await warmQueue(subject, "k");
    const args = numbers(2000);
    const times = [];
    for (let i = 0; i < 3; i++) {
      let results;
      const ms = await timed(async () => {
        results = await mapAll(pool, "identity", args);
      });
      expect(results.every((result, i) => result === i));
      times.push(ms);
    }
    await pool.close();
    return { k: args.length / median(times) * 1000 };
  },

  async l(subject) {
    const pool = await warmQueue(subject, "l");
    const figures = {};
    for (const [id, length] of [["l1", MIB], ["l2", 20 * MIB]]) {
      const times = [];
      for (let i = 0; i < 4; i++) {
        let result;
        const ms = await timed(async () => {
          result = await pool.call("text", length);
        });
        expect(result.length === length);
        if (i > 0) times.push(ms);
      }
      figures[id] = median(times);
    }
    await pool.close();
    return figures;
  },

  // Whether what a call costs depends on how many wait.
  async m(subject) {
    const pool = await warm(subject, "m");
    await callAll(pool, "identity", numbers(2000));
    const figures = {};
    const began = now();
    let last = 0;
    for (const [i, count] of [1e3, 1e4, 1e5, 1e6].entries()) {
      const perCall = figures[`m${i}`];
      // As much worse again as it got before.
      const worse = Math.max(1, perCall / last || 1);
      if (perCall * worse * count / 1000 > BEARABLE - (now() - began)) break;
      last = perCall;
      const args = numbers(count);
      const times = [];
      for (let done = 0; done < 20_000; done += count) {
        let results;
        times.push(
          await timed(async () => {
            results = await callAll(pool, "identity", args);
          }),
        );
        expect(results.every((result, i) => result === i));
      }
      figures[`m${i + 1}`] = median(times) * 1000 / count;
    }
    await pool.close();
    return figures;
  },
};

/** A queue whose workers, of eight calls each, all have run something. */
async function warmQueue(subject, row) {
  const pool = await subject.open({ workers: WORKERS, row });
  await callAll(pool, "block", Array(WORKERS * 8).fill(50));
  await mapAll(pool, "identity", numbers(500));
  return pool;
}

function tell(message) {
  console.log(JSON.stringify(message));
}

/** Has the driver weigh this program and all that it started. */
async function weigh(label) {
  globalThis.gc?.();
  await sleep(50);
  globalThis.gc?.();
  tell({ weigh: label });
  await hear();
}

/** Waits for a line from the driver. */
function hear() {
  if (globalThis.Deno) return Deno.stdin.read(new Uint8Array(16));
  const { stdin } = globalThis.process;
  return new Promise((resolve) => {
    stdin.once("data", () => {
      stdin.pause();
      resolve(undefined);
    });
    stdin.resume();
  });
}

/**
 * Runs the row that this program was started for.
 *
 * @param {Subject} subject
 */
export async function run({ open, skips = {}, ...rest }) {
  const [row] = globalThis.Deno ? Deno.args : globalThis.process.argv.slice(2);
  if (row === "describe") return tell({ subject: { ...rest, skips } });
  const figures = await ROWS[row]({ open });
  if (figures) tell({ figures });
}
