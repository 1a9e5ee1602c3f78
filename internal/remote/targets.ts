/** The functions of calls that workers elsewhere run, with what they captured. */

import type { Captured, FunctionRef } from "../call/protocol.ts";
import { closureOf, takesNothing } from "../closures/capture.ts";
import type { Packed } from "../values/codec.ts";
import type { RemoteCall } from "./remote_call.ts";

/** How what goes with a call is packed. */
export interface Packing {
  /** Whether functions take along what is around them. */
  readonly closures: boolean;
  /**
   * @param transfer What is moved of what the arguments hold.
   * @throws what keeps arguments from travelling.
   */
  pack(
    fn: FunctionRef,
    args: readonly unknown[],
    transfer: readonly Transferable[],
  ): Packed;
  /**
   * Checks what a function captured, and copies it.
   *
   * @throws what keeps it from travelling.
   */
  copy(fn: FunctionRef, captured: Captured): Captured;
}

/** A function as it is to be called. */
export interface Target {
  readonly given: unknown;
  readonly ref: FunctionRef;
  /** What goes behind the arguments. */
  readonly captured: Captured | undefined;
  readonly untravelled: RemoteCall["untravelled"];
}

/** Finds what functions take along. */
export class Targets {
  readonly #packing: Packing;

  constructor(packing: Packing) {
    this.#packing = packing;
  }

  /**
   * A function with what it captured, as it is now. What can't travel may still be
   * an export where it is called: it is not made anew there, and if it is none, the
   * call fails with what kept it.
   */
  of(given: unknown, ref: FunctionRef, isForMany: boolean): Target {
    const plain = { given, ref, captured: undefined, untravelled: undefined };
    if (!this.#packing.closures || takesNothing(ref)) return plain;
    try {
      const closure = closureOf(given, ref);
      if (!closure) return plain;
      const { captured } = closure;
      const copy = captured && isForMany
        ? this.#packing.copy(closure.ref, captured)
        : captured;
      return { ...plain, ref: closure.ref, captured: copy };
    } catch (error) {
      return this.#exported(plain, error);
    }
  }

  #exported(target: Target, error: unknown): Target {
    const { ref } = target;
    if (ref.by !== "source" && ref.by !== "closure") throw error;
    const { name, source } = ref;
    return {
      given: target.given,
      ref: { by: "source", name, source, exportedOnly: true },
      captured: undefined,
      untravelled: { error },
    };
  }

  /** Arguments, and behind them what was captured: where both hold an object, it is one. */
  pack(
    target: Target,
    args: readonly unknown[],
    transfer: readonly Transferable[],
  ): [Target, Packed] {
    const { pack, copy } = this.#packing;
    const { ref, captured } = target;
    if (!captured) return [target, pack(ref, args, transfer)];
    try {
      return [target, pack(ref, [...args, captured], transfer)];
    } catch (error) {
      try {
        copy(ref, captured);
      } catch (why) {
        const exported = this.#exported(target, why);
        return [exported, pack(exported.ref, args, transfer)];
      }
      throw error;
    }
  }
}
