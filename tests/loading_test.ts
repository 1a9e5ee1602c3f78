/** The package loads where the runtime lacks something, or forbids it while modules load. */

import { assertEquals } from "@std/assert";
import { deno } from "./_programs.ts";

const program = import.meta.resolve("./programs/loads_without.ts");
const LESS = [
  "SharedArrayBuffer",
  "crypto",
  "Deno",
  "navigator",
  "performance",
  "process",
  "Worker",
  "Blob",
  "File",
  "WebAssembly",
  "structuredClone",
  "FinalizationRegistry",
  "MessageChannel",
  "BroadcastChannel",
  "Temporal",
  "location",
];

for (const how of ["delete", "forbid"]) {
  for (const names of [...LESS.map((name) => [name]), LESS]) {
    const what = names.length === 1 ? names[0] : "any of these";
    Deno.test(
      how === "delete"
        ? `the package loads, and the event loop runs calls, without ${what}`
        : `the package loads where to look at ${what} is forbidden meanwhile`,
      async () => {
        const { code, stdout, stderr } = await deno([
          "run",
          "-A",
          "--no-check",
          "--no-config",
          program,
          how,
          ...names,
        ]);
        assertEquals(stderr, "");
        assertEquals(
          stdout,
          "loaded, random numbers: 0\n" +
            (how === "delete" ? "3\n4\n[ 2, 3 ]\nalone\n3 function\n" : ""),
        );
        assertEquals(code, 0);
      },
    );
  }
}
