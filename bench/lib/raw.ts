/**
 * What the raw subjects have in common: calls are numbered, dealt to workers,
 * and answered. There is nothing more, so this is the least that a pool costs.
 */

import type { Pool } from "./harness.mjs";

/** A call, or with `args` several at once. */
export interface Message {
  id: number;
  task: string;
  arg?: unknown;
  args?: unknown[];
}

/** Its result, or its results. */
export interface Reply {
  id: number;
  result: unknown;
}

/** One worker. */
export interface RawWorker {
  send(message: Message): void;
  close(): unknown;
}

/** How many items of `map` go in one message. */
const CHUNK = 1000;
/** Rows that are about work, not about messages: each of two workers asks for more. */
const SHARED = ["d", "e"];

/** One worker that is sent everything at once, or several that share the work. */
export function openRaw(
  start: (onReply: (reply: Reply) => void) => RawWorker,
  { workers, row }: { workers: number; row: string },
): Pool {
  const waiting = new Map<number, (result: unknown) => void>();
  const queue: Message[] = [];
  const idle: RawWorker[] = [];
  const shared = SHARED.includes(row);
  let last = 0;

  const all = Array.from(
    { length: shared || row === "i" ? workers : 1 },
    () => {
      const worker = start(({ id, result }) => {
        const next = queue.shift();
        if (next) worker.send(next);
        else if (shared) idle.push(worker);
        waiting.get(id)!(result);
        waiting.delete(id);
      });
      if (shared) idle.push(worker);
      return worker;
    },
  );

  function send(message: Omit<Message, "id">): Promise<unknown> {
    const id = ++last;
    const worker = shared ? idle.pop() : all[id % all.length];
    if (worker) worker.send({ id, ...message });
    else queue.push({ id, ...message });
    return new Promise((resolve) => waiting.set(id, resolve));
  }

  return {
    call: (task, arg) => send({ task, arg }),
    async map(task, args) {
      if (shared) {
        return await Promise.all(args.map((arg) => send({ task, arg })));
      }
      const chunks: Promise<unknown>[] = [];
      for (let i = 0; i < args.length; i += CHUNK) {
        chunks.push(send({ task, args: args.slice(i, i + CHUNK) }));
      }
      return (await Promise.all(chunks)).flat();
    },
    close: () => Promise.all(all.map((worker) => worker.close())),
  };
}
