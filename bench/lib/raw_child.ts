/** The child of `raw_child.ts`: it answers each line with one. */

import type { Message } from "./raw.ts";
import { lineOf, lineWriter, readLines } from "./raw_lines.ts";
import * as tasks from "./tasks.mjs";

const functions: Record<string, (arg: never) => unknown> = { ...tasks };
const { write } = lineWriter(Deno.stdout.writable);

await readLines(Deno.stdin.readable, (messages) => {
  for (const { id, task, arg, args } of messages as Message[]) {
    const fn = functions[task];
    const result = args
      ? args.map((arg) => fn(arg as never))
      : fn(arg as never);
    write(lineOf({ id, result } as never));
  }
});
