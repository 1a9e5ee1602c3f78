/** Tasks that take away what the runtime of their worker stands on. */

import { assertEquals, assertInstanceOf } from "@std/assert";
import {
  BrokenExecutor,
  type Future,
  ProcessPoolExecutor,
  ThreadPoolExecutor,
} from "../mod.ts";
import { within } from "./_helpers.ts";

const hostile: Record<string, () => void> = {
  "gives all objects a toJSON": () => {
    Reflect.set(Object.prototype, "toJSON", () => "no");
  },
  "gives all arrays a toJSON": () => {
    Reflect.set(Array.prototype, "toJSON", () => "no");
  },
  "replaces JSON": () => {
    JSON.parse = () => 5;
    JSON.stringify = () => "5";
  },
  "takes away the methods of arrays": () => {
    for (const name of ["push", "shift", "pop", "map", "indexOf"]) {
      Reflect.set(Array.prototype, name, undefined);
    }
  },
  "takes away the methods of Map, Set and WeakMap": () => {
    for (const { prototype } of [Map, Set, WeakMap]) {
      for (const name of ["get", "set", "has", "add", "delete", "forEach"]) {
        Reflect.set(prototype, name, undefined);
      }
    }
  },
  "takes away what iterates": () => {
    Reflect.set(Array.prototype, Symbol.iterator, undefined);
    Reflect.set(Map.prototype, Symbol.iterator, undefined);
  },
  "replaces the functions of Object and Reflect": () => {
    for (const space of [Object, Reflect]) {
      for (const name of Object.getOwnPropertyNames(space)) {
        if (name !== "prototype") Reflect.set(space, name, () => 5);
      }
    }
  },
  "replaces encoders and decoders": () => {
    TextEncoder.prototype.encode = () => new Uint8Array(1);
    TextDecoder.prototype.decode = () => "5";
  },
  "takes away global functions": () => {
    for (
      const name of [
        "structuredClone",
        "queueMicrotask",
        "postMessage",
        "close",
      ]
    ) Reflect.set(globalThis, name, undefined);
  },
  "takes away global classes": () => {
    const names = "Error DOMException Uint8Array Int32Array Map Set WeakMap " +
      "Promise Atomics performance console";
    for (const name of names.split(" ")) {
      Reflect.set(globalThis, name, undefined);
    }
  },
};

for (
  const [kind, Pool] of Object.entries({
    thread: ThreadPoolExecutor,
    process: ProcessPoolExecutor,
  })
) {
  for (const [what, fn] of Object.entries(hostile)) {
    // There the runtime itself reads messages with what the task took away.
    const ignore = kind === "thread" && what === "takes away what iterates" &&
      Deno.version.deno.startsWith("2.5.");
    const name =
      `${kind} pool: a task that ${what} hangs nobody, and garbles no value`;
    Deno.test({ name, ignore }, async () => {
      const executor = new Pool({ maxWorkers: 1 });
      const calls: [() => Future<unknown>, unknown][] = [
        [() => executor.submit(fn), undefined],
        [() => executor.submit((n: number) => ({ n: [n] }), 5), { n: [5] }],
        [
          () =>
            executor.submit(
              (map: Map<string, number>) => map,
              new Map([["a", -0]]),
            ),
          new Map([["a", -0]]),
        ],
        [() => executor.submit(Math.sqrt, 9), 3],
      ];
      for (const [submit, expected] of calls) {
        let future: Future<unknown>;
        try {
          future = submit();
        } catch (error) {
          assertInstanceOf(error, BrokenExecutor);
          break;
        }
        const error = await within(future.exception());
        // What it stands on may be gone for the call itself, too.
        if (error) continue;
        assertEquals(await future.result(), expected);
      }
      await within(executor.shutdown());
    });
  }
}
