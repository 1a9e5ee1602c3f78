import { assertEquals } from "@std/assert";
import * as mod from "../mod.ts";

Deno.test("mod.ts exports every name of the contract that is a value", () => {
  const names = [
    "ALL_COMPLETED",
    "BrokenExecutor",
    "BrokenProcessPool",
    "BrokenThreadPool",
    "CancelledError",
    "Executor",
    "FIRST_COMPLETED",
    "FIRST_EXCEPTION",
    "Future",
    "InvalidStateError",
    "ProcessPoolExecutor",
    "RuntimeError",
    "ThreadPoolExecutor",
    "TimeoutError",
    "asCompleted",
    "taskModule",
    "wait",
  ];
  assertEquals(names.filter((name) => !(name in mod)), []);
});
