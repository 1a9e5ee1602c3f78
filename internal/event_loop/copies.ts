/**
 * What an event loop has in common with a thread where that is asked for: what
 * can't travel to a worker is refused, arguments and results are copied, and
 * exceptions arrive as they would from there. The function itself stays.
 */

import { listErrorClasses } from "../call/error_classes.ts";
import type { FunctionRef, Outcome } from "../call/protocol.ts";
import { closureOf } from "../closures/capture.ts";
import { packCaptured } from "../closures/pack_captured.ts";
import { describe, label } from "../functions/describe.ts";
import { makeRecorder } from "../inside/record_error.ts";
import { checkArguments, explained } from "../values/arguments.ts";
import { makeCloneChecker } from "../values/clone_checker.ts";
import { transferMarks } from "../values/transfer_marks.ts";

/** Copies for one executor. */
export class LoopCopies {
  readonly #checker = makeCloneChecker();
  readonly #recorder = makeRecorder(this.#checker, listErrorClasses());

  /**
   * The arguments of a call, copied, and what of them is moved.
   *
   * @param fn The function; `undefined`: it was not loaded here.
   * @throws {DOMException} `DataCloneError`, where a thread would have it.
   */
  arguments(
    fn: unknown,
    ref: FunctionRef,
    args: readonly unknown[],
    transfer: readonly Transferable[],
  ): readonly unknown[] {
    if (fn) this.#checkCaptured(fn);
    const checker = this.#checker;
    const moved = checkArguments(checker, ref, args, "args", transfer);
    return explained(
      checker,
      ref,
      args,
      "args",
      () => structuredClone(args, { transfer: [...moved] }),
    );
  }

  #checkCaptured(fn: unknown): void {
    const ref = describe(fn, "submit");
    const closure = closureOf(fn, ref);
    if (closure?.captured) {
      const { captured } = closure;
      packCaptured(
        this.#checker,
        closure.ref,
        captured,
        () => structuredClone(captured),
      );
    }
  }

  /** What came of a call, as it would arrive from a thread. */
  outcome(ref: FunctionRef, outcome: Outcome): Outcome {
    if (outcome.is === "raised") {
      return this.#threw(outcome.error);
    }
    if (outcome.is !== "returned") return outcome;
    try {
      return { is: "returned", value: this.#result(ref, outcome.value) };
    } catch (error) {
      return this.#threw(error);
    }
  }

  /** A copy of the record, as one would arrive: what it is made of is odd. */
  #threw(error: unknown): Outcome {
    return { is: "threw", what: structuredClone(this.#recorder.record(error)) };
  }

  #result(ref: FunctionRef, value: unknown): unknown {
    const checker = this.#checker;
    const marked = typeof value === "object" && value !== null
      ? transferMarks().get(value)
      : undefined;
    const met = new Set<object>();
    const moved = marked && new Set<object>(marked);
    const found = checker.find(value, "result", moved, met);
    if (found) throw cannotReturn(ref, found);
    try {
      return structuredClone(value, { transfer: [...met] as Transferable[] });
    } catch (error) {
      if (!this.#recorder.isCloneError(error)) throw error;
      throw cannotReturn(ref, checker.locate(value, "result"));
    }
  }
}

function cannotReturn(
  ref: FunctionRef,
  { path, what }: { readonly path: string; readonly what: string },
): DOMException {
  return new DOMException(
    `Cannot send back what ${
      label(ref)
    } returned: ${path} is ${what}, which can't be ${
      path.startsWith("transfer[") ? "moved" : "copied"
    }`,
    "DataCloneError",
  );
}
