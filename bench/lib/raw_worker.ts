/** The worker of `raw_worker.ts`: it answers each message with one. */

import type { Message } from "./raw.ts";
import * as tasks from "./tasks.mjs";

const functions: Record<string, (arg: never) => unknown> = { ...tasks };

self.addEventListener("message", (event) => {
  const { id, task, arg, args } = (event as MessageEvent<Message>).data;
  const fn = functions[task];
  const result = args ? args.map((arg) => fn(arg as never)) : fn(arg as never);
  (self as unknown as Worker).postMessage({ id, result });
});
