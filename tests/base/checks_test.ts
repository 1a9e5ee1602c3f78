/** An option's name that is none is refused, with the one that was probably meant. */

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { checkNames } from "../../internal/base/checks.ts";
import {
  asCompleted,
  EventLoopExecutor,
  type Executor,
  Future,
  ProcessPoolExecutor,
  ThreadPoolExecutor,
  wait,
} from "../../mod.ts";
import { NatsExecutor } from "../../nats.ts";
import { progress, progressBar } from "../../progress.ts";

// deno-lint-ignore no-explicit-any -- options that are none
type Any = any;

const executors: Record<string, (options: Any) => Executor> = {
  ThreadPoolExecutor: (options) => new ThreadPoolExecutor(options),
  ProcessPoolExecutor: (options) => new ProcessPoolExecutor(options),
  EventLoopExecutor: (options) => new EventLoopExecutor(options),
  NatsExecutor: (options) =>
    new NatsExecutor({
      servers: "nats://127.0.0.1:1",
      queue: "none",
      ...options,
    }),
};

/** What takes options: its name in the message, an option's name that is none, and the one meant. */
const slips: [string, (options: Any) => unknown, string, string | undefined][] =
  [
    [
      "ThreadPoolExecutor",
      executors.ThreadPoolExecutor,
      "maxworkers",
      "maxWorkers",
    ],
    [
      "ThreadPoolExecutor",
      executors.ThreadPoolExecutor,
      "max_workers",
      "maxWorkers",
    ],
    [
      "ThreadPoolExecutor",
      executors.ThreadPoolExecutor,
      "workers",
      "maxWorkers",
    ],
    [
      "ThreadPoolExecutor",
      executors.ThreadPoolExecutor,
      "initArgs",
      "initargs",
    ],
    ["ThreadPoolExecutor", executors.ThreadPoolExecutor, "modules", "module"],
    [
      "ThreadPoolExecutor",
      executors.ThreadPoolExecutor,
      "permissions",
      undefined,
    ],
    [
      "ThreadPoolExecutor",
      executors.ThreadPoolExecutor,
      "onWorkerlosst",
      "onWorkerLost",
    ],
    [
      "ProcessPoolExecutor",
      executors.ProcessPoolExecutor,
      "max_tasks_per_child",
      "maxTasksPerChild",
    ],
    [
      "ProcessPoolExecutor",
      executors.ProcessPoolExecutor,
      "permission",
      "permissions",
    ],
    [
      "ProcessPoolExecutor",
      executors.ProcessPoolExecutor,
      "threadNamePrefix",
      undefined,
    ],
    [
      "ProcessPoolExecutor",
      executors.ProcessPoolExecutor,
      "execargs",
      "execArgv",
    ],
    [
      "EventLoopExecutor",
      executors.EventLoopExecutor,
      "concurrency",
      undefined,
    ],
    ["EventLoopExecutor", executors.EventLoopExecutor, "coppy", "copy"],
    [
      "EventLoopExecutor",
      executors.EventLoopExecutor,
      "initializer",
      undefined,
    ],
    ["NatsExecutor", executors.NatsExecutor, "que", "queue"],
    ["NatsExecutor", executors.NatsExecutor, "worker_timeout", "workerTimeout"],
    [
      "wait",
      (options) => wait([new Future()], options),
      "returnwhen",
      "returnWhen",
    ],
    [
      "tls",
      (tls) => executors.NatsExecutor({ tls }),
      "caCert",
      "caCerts",
    ],
    ["wait", (options) => wait([], options), "abortSignal", "signal"],
    [
      "asCompleted",
      (options) => asCompleted([], options),
      "timeLimit",
      undefined,
    ],
    [
      "asCompleted",
      (options) => asCompleted([], options),
      "timeOut",
      "timeout",
    ],
    ["progress", (options) => progress([], options), "totals", "total"],
    ["progress", (options) => progress([], options), "silent", undefined],
    ["progress", (options) => progress([], options), "unit", undefined],
    ["progressBar", (options) => progressBar(options), "units", "unit"],
  ];
for (const [name, make] of Object.entries(executors)) {
  slips.push(
    [
      "map",
      (options) => make({}).map(Math.sqrt, [4], options),
      "chunkSize",
      "chunksize",
    ],
    [
      "map",
      (options) => make({}).map(Math.sqrt, [], options),
      "bufferSize",
      "buffersize",
    ],
    [
      "map",
      (options) => make({}).map(Math.max, [1], [2], options),
      "setled",
      "settled",
    ],
    [
      "shutdown",
      (options) => make({}).shutdown(options),
      "cancel_futures",
      "cancelFutures",
    ],
    [
      "shutdown",
      (options) => make({}).shutdown(options),
      `of ${name}`,
      undefined,
    ],
    ["with", (options) => make({}).with(options), "timelimit", "timeLimit"],
    [
      "with",
      (options) => make({}).with({}).with(options),
      "limit",
      "timeLimit",
    ],
    ["with", (options) => make({}).with(options), "transfers", "transfer"],
    [
      "map",
      (options) => make({}).with({}).map(Math.sqrt, [4], options),
      "chunkSize",
      "chunksize",
    ],
  );
}

Deno.test("an option's name that is none is a TypeError at the call, that says which was meant", async () => {
  for (const [owner, call, name, meant] of slips) {
    const says = `${owner} has no option "${name}": ${
      meant ? `did you mean "${meant}"?` : "it has "
    }`;
    for (const value of [1, undefined]) {
      const act = () => call({ [name]: value });
      if (owner === "wait" || owner === "shutdown") {
        await assertRejects(async () => await act(), TypeError, says);
      } else assertThrows(act, TypeError, says);
    }
  }
});

Deno.test("options that are no object, as a timeout alone, are a TypeError and not left out", async () => {
  const takers: [string, (options: Any) => unknown][] = [
    ["wait", (options) => wait([], options)],
    ["asCompleted", (options) => asCompleted([], options)],
  ];
  for (const make of Object.values(executors)) {
    takers.push(["shutdown", (options) => make({}).shutdown(options)]);
  }
  for (const [owner, call] of takers) {
    for (const value of [500, 0, true, false, "", "500", null]) {
      const act = () => call(value);
      const says = `${owner} takes an object of options ({ ${
        owner === "wait"
          ? "timeout, returnWhen, signal"
          : owner === "shutdown"
          ? "wait, cancelFutures"
          : "timeout, signal"
      } }): received ${JSON.stringify(value)}`;
      if (owner === "asCompleted") assertThrows(act, TypeError, says);
      else await assertRejects(async () => await act(), TypeError, says);
    }
  }
  await new EventLoopExecutor().shutdown(undefined);
});

Deno.test("a shutdown() whose option's name is none shuts nothing down", async () => {
  for (
    const make of [executors.ThreadPoolExecutor, executors.EventLoopExecutor]
  ) {
    await using executor = make({});
    await assertRejects(
      () => executor.shutdown({ cancelfutures: true } as Any),
      TypeError,
    );
    assertEquals(await executor.submit(Math.sqrt, 16).result(), 4);
  }
});

Deno.test("options are taken by their names, from whatever object they are own properties of", async () => {
  await using executor = new EventLoopExecutor(
    Object.assign(Object.create({ inherited: true }), { maxWorkers: 1 }),
  );
  const { signal } = new AbortController();
  assertEquals(
    await Array.fromAsync(
      executor.with(Object.freeze({ signal })).map(Math.sqrt, [4], {
        timeout: 60_000,
        chunksize: 1,
        buffersize: 1,
        signal,
      }),
    ),
    [2],
  );
  // What has a signal is an object of options, too.
  await executor.with(new AbortController()).submit(Math.sqrt, 4).result();
});

Deno.test("a name with one letter amiss is told from all others of its object", () => {
  const names = [
    "maxWorkers",
    "threadNamePrefix",
    "initializer",
    "initargs",
    "module",
    "closures",
    "idleTimeout",
    "onWorkerLost",
  ];
  const slip = fc.record({
    name: fc.constantFrom(...names),
    at: fc.nat(20),
    how: fc.constantFrom("left out", "twice", "replaced", "capital"),
  });
  fc.assert(fc.property(slip, ({ name, at, how }) => {
    const i = at % name.length;
    const [before, letter, after] = [
      name.slice(0, i),
      name[i],
      name.slice(i + 1),
    ];
    const written = before + {
      "left out": "",
      twice: letter + letter,
      replaced: "q",
      capital: letter.toUpperCase(),
    }[how] + after;
    if (names.includes(written)) return;
    assertThrows(
      () => checkNames({ [written]: 1 }, names, "it"),
      TypeError,
      `it has no option "${written}": did you mean "${name}"?`,
    );
  }));
});
