/** What a call takes along, of a pool whose functions bring what they captured. */

import type { Call } from "../call/call.ts";
import type { Captured, Carried, FunctionRef } from "../call/protocol.ts";
import { closureOf } from "../closures/capture.ts";
import { recordsOf } from "../closures/captured_values.ts";
import {
  CarriedValues,
  isFlat,
  Target,
  WithCaptured,
} from "../closures/carried.ts";
import { isPrimitive } from "../values/arguments.ts";
import type { PoolKind } from "./pool_link.ts";

/**
 * A function with what it captured, read now.
 *
 * @param args Those of its only call; `undefined`: there are many.
 * @param onUnused Told when none of many calls needs it any more.
 * @throws what keeps it from travelling.
 */
export function targetOf(
  kind: PoolKind,
  fn: unknown,
  ref: FunctionRef,
  args: readonly unknown[] | undefined,
  onUnused?: (carried: Carried) => void,
): Target {
  const closure = closureOf(fn, ref);
  if (!closure) return new Target(fn, ref);
  const { captured } = closure;
  if (!captured) return new Target(fn, closure.ref);
  // Of one call, both are copied together where both may hold the same.
  const isApart = !args || isFlat(captured) || args.every(isPrimitive);
  const carried = isApart
    ? new CarriedValues(kind.carry!(closure.ref, captured), onUnused)
    : undefined;
  const records = recordsOf(captured);
  return new Target(fn, closure.ref, captured, carried, records);
}

/**
 * Has a call bring what its function captured.
 *
 * @returns The arguments that are to be packed.
 */
export function joinCaptured(
  target: Target,
  call: Call,
  args: readonly unknown[],
): readonly unknown[] {
  if (target.ref.by !== "closure") return args;
  const { joined, shared } = target.sharing(args);
  const isShared = shared.length > 0;
  call.args = new WithCaptured(
    undefined,
    joined ? undefined : target.carried,
    isShared ? shared : undefined,
  );
  let others = args;
  if (isShared) {
    const rest = [...args];
    for (const [i] of shared) rest[i] = undefined;
    others = rest;
  }
  return joined ? target.joined(others) : others;
}

/**
 * Packs the arguments of a call.
 *
 * @throws what keeps them, or what comes with them, from travelling.
 */
export function packCall(
  { pack, carry }: PoolKind,
  call: Call,
  args: readonly unknown[],
  now: boolean,
  transfer: readonly Transferable[],
): void {
  const { fn, args: before } = call;
  // A call that was just made has none.
  if (before === undefined || !(before instanceof WithCaptured)) {
    call.args = pack(fn, args, now, transfer);
    return;
  }
  try {
    before.args = pack(fn, args, now, transfer);
  } catch (error) {
    // Where it is what was captured that can't travel, this names it.
    if (!before.carried) carry!(fn, args.at(-1) as Captured);
    throw error;
  }
}
