import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { BrokenThreadPool } from "../errors.ts";
import type { Future } from "../future.ts";
import {
  ThreadPoolExecutor,
  type ThreadPoolExecutorOptions,
} from "../thread_pool.ts";
import { turn, within } from "./_helpers.ts";
import {
  contractSuite,
  type ExecutorKind,
  sharedMemoryGate,
} from "./contract.ts";
import { assertAllBroken } from "./contract/lifecycle.ts";
import {
  diesAfter,
  diesInResult,
  diesInside,
  moduleThatDies,
  neverEnds,
  ways,
} from "./deaths.ts";

const thread: ExecutorKind = {
  name: "thread",
  // A thread has no `maxTasksPerChild`, and takes no option that it has not.
  make: ({ maxTasksPerChild: _, ...options } = {}) =>
    new ThreadPoolExecutor(options),
  can: {
    copy: true,
    travel: true,
    importModules: true,
    workers: true,
    ownWorkers: true,
    die: true,
    cancelHandedOver: true,
    shareMemory: true,
    control: true,
  },
  broken: BrokenThreadPool,
  makeGate: sharedMemoryGate,
  whoAmI: () => globalThis.name,
};

contractSuite(thread);

function test(sentence: string, fn: () => Promise<void>): void {
  Deno.test(`thread pool: ${sentence}`, () => within(fn()));
}

Deno.test("thread pool: an option of a wrong type is refused, and which it is is said", () => {
  for (
    const [options, says] of [
      [
        { threadNamePrefix: 5 },
        "threadNamePrefix must be a string: received 5",
      ],
      [{ initargs: 5 }, "initargs must be an array: received 5"],
      [null, "The options of an executor must be an object: received null"],
      [2, "The options of an executor must be an object: received 2"],
    ] as const
  ) {
    const error = assertThrows(
      () =>
        new ThreadPoolExecutor(
          options as unknown as ThreadPoolExecutorOptions,
        ),
      TypeError,
    );
    assertEquals(error.message, says);
  }
});

// ---- Names -----------------------------------------------------------------

test("a worker's self.name is the prefix and its number", async () => {
  await using pool = new ThreadPoolExecutor({
    maxWorkers: 2,
    threadNamePrefix: "pre fix/ü",
  });
  await using gate = sharedMemoryGate();
  const held = pool.submit((handle: SharedArrayBuffer) => {
    const view = new Int32Array(handle);
    Atomics.store(view, 1, 1);
    Atomics.wait(view, 0, 0);
    return globalThis.name;
  }, gate.handle as SharedArrayBuffer);
  await gate.entered(0);
  const other = await pool.submit(() => globalThis.name).result();
  gate.open();
  assertEquals([await held.result(), other], ["pre fix/ü_0", "pre fix/ü_1"]);
});

test("the default names of two pools differ by the pool's number", async () => {
  await using one = new ThreadPoolExecutor();
  await using two = new ThreadPoolExecutor();
  const names = await Promise.all(
    [one, two].map((pool) => pool.submit(() => globalThis.name).result()),
  );
  const [a, b] = names.map((name) =>
    Number(/^ThreadPoolExecutor-(\d+)_0$/.exec(name)?.[1])
  );
  assert(Number.isInteger(a), `${names}`);
  assertEquals(b, a + 1);
});

test("an empty prefix is a prefix", async () => {
  await using pool = new ThreadPoolExecutor({ threadNamePrefix: "" });
  assertEquals(await pool.submit(() => globalThis.name).result(), "_0");
});

test("maxWorkers defaults to min(32, the processors + 4)", async () => {
  await using pool = new ThreadPoolExecutor();
  await using gate = sharedMemoryGate();
  const most = Math.min(32, navigator.hardwareConcurrency + 4);
  const ids = Array.from({ length: most + 1 }, (_, i) => i);
  const futures = ids.map((id) => pool.submit(gate.pass, gate.handle, id));
  await gate.entered(...ids.slice(0, most));
  assertEquals(futures.map((future) => future.running()).indexOf(false), most);
  gate.open();
});

test("maxWorkers defaults to the processors + 4, and to 32 at the most", async () => {
  for (const [processors, most] of [[1, 5], [27, 31], [28, 32], [200, 32]]) {
    // Workers that never begin are enough to be counted.
    let started = 0;
    const own = globalThis.Worker;
    globalThis.Worker = class extends EventTarget {
      constructor() {
        super();
        started++;
      }
      postMessage() {}
      terminate() {}
    } as unknown as typeof Worker;
    Object.defineProperty(navigator, "hardwareConcurrency", {
      value: processors,
      configurable: true,
    });
    try {
      const pool = new ThreadPoolExecutor();
      for (let i = 0; i < 300; i++) pool.submit(Math.sqrt, i);
      assertEquals(started, most);
      await pool.shutdown({ cancelFutures: true });
    } finally {
      globalThis.Worker = own;
      // What is uncovered is the prototype's own.
      Reflect.deleteProperty(navigator, "hardwareConcurrency");
    }
  }
});

test("idleTimeout must not be negative, and a number", () => {
  assertThrows(() => new ThreadPoolExecutor({ idleTimeout: -1 }), RangeError);
  assertThrows(() => new ThreadPoolExecutor({ idleTimeout: NaN }), RangeError);
  assertThrows(
    () => new ThreadPoolExecutor({ idleTimeout: "1" as unknown as number }),
    TypeError,
  );
  return Promise.resolve();
});

test("workers that idleTimeout ended are made up for, and initialized again", async () => {
  await using pool = new ThreadPoolExecutor({
    maxWorkers: 1,
    idleTimeout: 0,
    initializer: () => {
      Reflect.set(globalThis, "calls", 0);
    },
  });
  const count = () => {
    const calls: number = Reflect.get(globalThis, "calls") + 1;
    Reflect.set(globalThis, "calls", calls);
    return calls;
  };
  // Sooner or later one finds a new worker; until then, one that it knows.
  let last = 0;
  for (let calls = last;; last = calls) {
    calls = await pool.submit(count).result();
    if (last > 0 && calls === 1) break;
    assertEquals(calls, last + 1);
    await turn();
  }
});

test("a worker that can't be sent how to start is ended", async () => {
  const { prototype } = Worker;
  const { postMessage, terminate } = prototype;
  let ended = 0;
  await using executor = new ThreadPoolExecutor({ maxWorkers: 1 });
  let future: Future<number>;
  try {
    prototype.postMessage = () => {
      throw new RangeError("nested too deep");
    };
    prototype.terminate = function () {
      ended++;
      terminate.call(this);
    };
    future = executor.submit(Math.sqrt, 9);
  } finally {
    Object.assign(prototype, { postMessage, terminate });
  }
  const error = await future.exception();
  assertInstanceOf(error, BrokenThreadPool);
  assertMatch(error.message, /nested too deep/);
  assertEquals(ended, 1);
});

test("a pool in a compiled program loads no file and starts nothing but threads", async () => {
  const build = Object.getOwnPropertyDescriptor(Deno, "build")!;
  const { Command, execPath } = Deno;
  const refuse = () => {
    throw new Error("starts the program itself");
  };
  const own = globalThis.Worker;
  const urls = new Set<string>();
  Object.defineProperty(Deno, "build", {
    ...build,
    value: { ...Deno.build, standalone: true },
  });
  Object.assign(Deno, { Command: refuse, execPath: refuse });
  globalThis.Worker = class extends own {
    constructor(url: string | URL, options?: WorkerOptions) {
      urls.add(new URL(url).protocol);
      super(url, options);
    }
  };
  try {
    await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
    assertEquals(await pool.submit((n: number) => n + 1, 5).result(), 6);
    assertEquals([...urls], ["blob:"]);
  } finally {
    globalThis.Worker = own;
    Object.assign(Deno, { Command, execPath });
    Object.defineProperty(Deno, "build", build);
  }
});

// ---- Death -----------------------------------------------------------------

for (const [name, way] of Object.entries(ways)) {
  const source = way.toString();

  test(`${name} while a module is imported breaks the pool`, async () => {
    await using pool = new ThreadPoolExecutor({
      maxWorkers: 2,
      module: moduleThatDies(source),
    });
    await assertBroken(pool, [1, 2, 3].map(() => pool.submit(neverEnds)));
  });

  test(`${name} in an initializer breaks the pool`, async () => {
    await using pool = new ThreadPoolExecutor({
      maxWorkers: 2,
      initializer: diesInside,
      initargs: [source],
    });
    await assertBroken(pool, [1, 2, 3].map(() => pool.submit(neverEnds)));
  });

  test(`${name} in a call breaks the pool`, async () => {
    await using pool = new ThreadPoolExecutor({ maxWorkers: 2 });
    const errors = await assertBroken(pool, [
      pool.submit(neverEnds),
      pool.submit(diesInside, source),
      pool.submit(neverEnds),
      pool.submit(neverEnds),
    ]);
    assertMatch(errors[1].message, /while it ran "diesInside"/);
  });

  test(`${name} on an idle worker breaks the pool`, async () => {
    // The worker is to die by itself, not to be ended for being idle.
    await using pool = new ThreadPoolExecutor({
      maxWorkers: 1,
      idleTimeout: 60_000,
    });
    const told = new Int32Array(new SharedArrayBuffer(4));
    await pool.submit(diesAfter, source, told.buffer).result();
    while (Atomics.load(told, 0) === 0) await turn();
    // The death is on its way: calls may still come before it, never hang.
    for (let broken = false; !broken;) {
      await turn();
      try {
        const future = pool.submit(Math.sqrt, 25);
        const error = await future.exception();
        if (error) assertInstanceOf(error, BrokenThreadPool);
      } catch (error) {
        assertInstanceOf(error, BrokenThreadPool);
        broken = true;
      }
    }
    await assertBroken(pool, []);
  });

  test(`${name} while a result is read breaks the pool`, async () => {
    await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
    const fatal = pool.submit(diesInResult, source);
    const others = [1, 2, 3].map(() => pool.submit(neverEnds));
    await assertBroken(pool, others);
    // The result may have been sent before the end came.
    const error = await fatal.exception();
    if (error) assertInstanceOf(error, BrokenThreadPool);
    else assertEquals(await fatal.result(), { value: 5 });
  });
}

async function assertBroken(
  pool: ThreadPoolExecutor,
  pending: readonly Future<unknown>[],
): Promise<Error[]> {
  const errors = await assertAllBroken(thread, pending);
  const messages = new Set(errors.map((error) => error.message));
  assert(messages.size <= 1, "all tell of one death");
  assertThrows(() => pool.submit(Math.sqrt, 4), BrokenThreadPool);
  assertThrows(() => pool.map(Math.sqrt, [4]), BrokenThreadPool);
  await pool.shutdown();
  return errors;
}

test("what nobody caught is the cause of the broken pool's errors", async () => {
  for (const way of ["an error in the background", "an unhandled rejection"]) {
    await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
    const future = pool.submit(diesInside, ways[way].toString());
    const error = await future.exception() as Error;
    assertInstanceOf(error, BrokenThreadPool);
    assertInstanceOf(error.cause, RangeError);
    assertEquals(error.cause.message, "in the background");
    const later = assertThrows(
      () => pool.submit(Math.sqrt, 4),
      BrokenThreadPool,
    );
    assertInstanceOf(later.cause, RangeError);
  }
});

for (
  const way of [
    "Promise.reject()",
    'Promise.reject("why")',
    "Promise.reject(Symbol())",
    "reportError(undefined)",
    "setTimeout(() => { throw null; }, 0)",
  ]
) {
  test(`what nobody caught breaks the pool if it is no Error, too: ${way}`, async () => {
    await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
    const future = pool.submit(async (way: string) => {
      (0, eval)(way);
      for (let i = 0; i < 10; i++) {
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
    }, way);
    await assertBroken(pool, [future]);
  });
}

test("a rejection that a call handles in time is none that kills", async () => {
  await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
  const future = pool.submit(async () => {
    const rejected = Promise.reject(new Error("handled"));
    await Promise.resolve();
    return await rejected.catch((error) => error.message);
  });
  assertEquals(await future.result(), "handled");
  assertEquals(await pool.submit(Math.sqrt, 25).result(), 5);
});

test("a task's own listener that prevents the default keeps its worker alive", async () => {
  await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
  await pool.submit(() => {
    const seen: string[] = [];
    Reflect.set(globalThis, "seen", seen);
    for (const type of ["unhandledrejection", "error"]) {
      globalThis.addEventListener(type, (event) => {
        event.preventDefault();
        seen.push(type);
      });
    }
  }).result();
  const both = pool.submit(async () => {
    const seen: string[] = Reflect.get(globalThis, "seen");
    Promise.reject(new Error("forgiven"));
    setTimeout(() => {
      throw new Error("forgiven");
    }, 0);
    while (seen.length < 2) await new Promise((go) => setTimeout(go, 0));
    return seen.sort();
  });
  assertEquals(await both.result(), ["error", "unhandledrejection"]);
  assertEquals(await pool.submit(Math.sqrt, 25).result(), 5);
});

test("a task's onunhandledrejection that prevents the default keeps its worker alive", async () => {
  await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
  const future = pool.submit(async () => {
    let seen = 0;
    globalThis.onunhandledrejection = (event) => {
      event.preventDefault();
      seen++;
    };
    Promise.reject(new Error("forgiven"));
    while (seen === 0) await new Promise((go) => setTimeout(go, 0));
    return seen;
  });
  assertEquals(await future.result(), 1);
  assertEquals(await pool.submit(Math.sqrt, 25).result(), 5);
});

test("a task's listener that does not prevent the default saves nobody", async () => {
  await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
  const future = pool.submit(async () => {
    globalThis.addEventListener("unhandledrejection", () => {});
    Promise.reject(new Error("not forgiven"));
    await new Promise(() => {});
  });
  await assertBroken(pool, [future]);
});

// ---- A task and its worker -------------------------------------------------

test("a task that posts messages of its own does no harm", async () => {
  await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
  const results = pool.map((n: number) => {
    const scope = globalThis as unknown as { postMessage(m: unknown): void };
    const outcome = { is: "returned", value: "forged" };
    scope.postMessage({ type: "outcome", slot: 0, ms: 0, outcome });
    scope.postMessage({ type: "died", how: "a forgery" });
    for (const message of [undefined, null, 5, "ready", [], { data: {} }]) {
      scope.postMessage(message);
    }
    return n;
  }, [1, 2, 3]);
  assertEquals(await Array.fromAsync(results), [1, 2, 3]);
});

test("a task that sets onmessage, or listens, hears nothing and does no harm", async () => {
  await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
  await pool.submit(() => {
    let heard = 0;
    const hear = (event: Event) => {
      event.stopImmediatePropagation();
      heard++;
    };
    Reflect.set(globalThis, "onmessage", hear);
    globalThis.addEventListener("message", hear);
    Reflect.set(globalThis, "heard", () => heard);
  }).result();
  for (let i = 0; i < 3; i++) {
    const heard = pool.submit(() => Reflect.get(globalThis, "heard")());
    assertEquals(await heard.result(), 0);
  }
});

test("a task that replaces built-ins does not harm the calls after it", async () => {
  await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
  await pool.submit(() => {
    const broken = () => {
      throw new Error("replaced");
    };
    Object.assign(globalThis, {
      structuredClone: broken,
      postMessage: broken,
      close: broken,
      queueMicrotask: broken,
    });
    performance.now = broken;
  }).result();
  assertEquals(await pool.submit((n: number) => n + 1, 5).result(), 6);
  const failed = pool.submit(() => {
    throw Object.assign(new RangeError("still told"), { list: [1] });
  });
  await assertRejects(() => failed.result(), RangeError, "still told");
});

test("an argument of any depth ends its call, one way or another", async () => {
  for (const depth of [1_000, 2_000, 2_500, 2_900, 3_300, 10_000]) {
    await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
    let nest: unknown = 1;
    for (let i = 0; i < depth; i++) nest = { nest };
    const future = pool.submit((_nest: unknown) => 1, nest);
    const thrown = await future.exception();
    assert(thrown === undefined || thrown instanceof Error);
    assert(future.done());
  }
});

test("a task may start workers of its own", async () => {
  await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
  const future = pool.submit(async () => {
    const source = "onmessage = ({ data }) => postMessage(data + 1)";
    const worker = new Worker(
      `data:text/javascript,${encodeURIComponent(source)}`,
      { type: "module" },
    );
    const answer = new Promise<number>((resolve) =>
      worker.onmessage = ({ data }) => resolve(data)
    );
    worker.postMessage(5);
    const result = await answer;
    worker.terminate();
    return result;
  });
  assertEquals(await future.result(), 6);
});

test("a pool inside of a task works as one outside", async () => {
  await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
  const future = pool.submit(async (url: string) => {
    const { ThreadPoolExecutor }: typeof import("../thread_pool.ts") =
      await import(url);
    await using inner = new ThreadPoolExecutor({ maxWorkers: 2 });
    const results = await Array.fromAsync(inner.map(Math.sqrt, [1, 4, 9]));
    const failed = inner.submit(() => {
      throw new RangeError("inside of inside");
    });
    const error = await failed.exception() as Error;
    return [results, error instanceof RangeError && error.message];
  }, import.meta.resolve("../thread_pool.ts"));
  assertEquals(await future.result(), [[1, 2, 3], "inside of inside"]);
});

test("a pool inside of a task that breaks leaves its worker alive", async () => {
  await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
  const future = pool.submit(async (url: string) => {
    const { ThreadPoolExecutor }: typeof import("../thread_pool.ts") =
      await import(url);
    await using inner = new ThreadPoolExecutor({ maxWorkers: 1 });
    const error = await inner.submit(() => Deno.exit()).exception() as Error;
    return error.name;
  }, import.meta.resolve("../thread_pool.ts"));
  assertEquals(await future.result(), "BrokenThreadPool");
  assertEquals(await pool.submit(Math.sqrt, 25).result(), 5);
});

test("SharedArrayBuffers that calls were given are the same memory in all workers", async () => {
  await using pool = new ThreadPoolExecutor({ maxWorkers: 2 });
  const counter = new Int32Array(new SharedArrayBuffer(4));
  const results = pool.map(
    (counter: Int32Array<SharedArrayBuffer>, n: number) => {
      for (let i = 0; i < n; i++) Atomics.add(counter, 0, 1);
    },
    Array.from({ length: 20 }, () => counter),
    Array.from({ length: 20 }, () => 100),
  );
  await Array.fromAsync(results);
  assertEquals(counter[0], 2_000);
});

test("a call that blocks its thread for ever does not keep the others, nor the caller, from going on", async () => {
  await using pool = new ThreadPoolExecutor({ maxWorkers: 2 });
  await using gate = sharedMemoryGate();
  const held = pool.submit(gate.pass, gate.handle, 0);
  await gate.entered(0);
  const results = pool.map(Math.sqrt, Array.from({ length: 50 }, () => 9));
  assertEquals(new Set(await Array.fromAsync(results)), new Set([3]));
  assertEquals(held.running(), true);
});
