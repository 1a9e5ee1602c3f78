/** Tasks that ask for what they can know of themselves, by an import. */

import { currentTask, transfer } from "../../mod.ts";

/** At the time of the import, nothing. */
export const atImport: unknown = currentTask();

export function whatIKnow() {
  const task = currentTask();
  return {
    atImport: atImport === undefined,
    workerName: task?.workerName,
    aborted: task?.signal.aborted,
  };
}

export function makesBytes(length: number): Uint8Array {
  const bytes = new Uint8Array(length).fill(7);
  Reflect.set(globalThis, "made", bytes);
  return transfer(bytes, [bytes.buffer]);
}

export function whatIsLeft(): number {
  return (Reflect.get(globalThis, "made") as Uint8Array).length;
}

/** Resolves when it is asked to stop, and leaves why. */
export async function listens(): Promise<void> {
  const { signal } = currentTask()!;
  if (!signal.aborted) {
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
  }
  Reflect.set(globalThis, "why", signal.reason.name);
}

export function why(): unknown {
  return Reflect.get(globalThis, "why");
}
