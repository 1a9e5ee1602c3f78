/**
 * What every executor is put through, whatever runs its calls. A kind of
 * executor says what it can do, and skips the tests of what it can't.
 */

import { testCalls } from "./contract/calls.ts";
import { testChunks } from "./contract/chunks.ts";
import { testContexts } from "./contract/contexts.ts";
import { testControl } from "./contract/control.ts";
import { testErrors } from "./contract/errors.ts";
import { testFunctions } from "./contract/functions.ts";
import type { ExecutorKind } from "./contract/kind.ts";
import { testLifecycle } from "./contract/lifecycle.ts";
import { testMany } from "./contract/many.ts";
import { testMapping } from "./contract/mapping.ts";
import { testMemory } from "./contract/memory.ts";
import { testModules } from "./contract/modules.ts";
import { testRaces } from "./contract/races.ts";
import { testReady } from "./contract/ready.ts";
import { testValues } from "./contract/values.ts";

export { sharedMemoryGate, socketGate } from "./contract/gates.ts";
export * from "./contract/kind.ts";

/** Registers the tests of the contract for a kind of executor. */
export function contractSuite(kind: ExecutorKind): void {
  testCalls(kind);
  testValues(kind);
  testErrors(kind);
  testFunctions(kind);
  testModules(kind);
  testMapping(kind);
  testChunks(kind);
  testLifecycle(kind);
  testMany(kind);
  testMemory(kind);
  testControl(kind);
  testContexts(kind);
  testRaces(kind);
  testReady(kind);
}
