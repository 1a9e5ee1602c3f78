/**
 * What a function captured, on its way with the calls of it.
 *
 * It belongs to the function, and not to the arguments of a call: checked and
 * copied once, when the function is submitted or mapped. A single call takes it
 * along. The many calls of a `map` mean it by a number: a worker is sent it with
 * the first of them that it gets, and keeps it until no call needs it any more.
 *
 * `keeping.ts` is the worker's half.
 */

import { objectsIn } from "./numbering.ts";
import type {
  Captured,
  Carried,
  CarriedMessage,
  FunctionRef,
  SharedArguments,
} from "./protocol.ts";

/** What a function captured, with a count of those who need it. */
export class CarriedValues implements Carried {
  readonly packed: unknown;
  readonly id: number | undefined;
  /** How many need it: calls, and the `map` that may still make some. */
  #users = 1;
  readonly #onUnused: ((carried: Carried) => void) | undefined;

  /** @param onUnused For those of many calls: nobody needs it any more. */
  constructor(packed: unknown, onUnused?: (carried: Carried) => void) {
    this.packed = packed;
    this.id = onUnused && (made = (made + 1) | 0);
    this.#onUnused = onUnused;
  }

  hold(): void {
    this.#users++;
  }

  drop(): void {
    if (--this.#users === 0) this.#onUnused?.(this);
  }
}

let made = 0;

/**
 * The arguments of a call, and what its function captured. Most calls have nothing
 * of that, and their arguments by themselves.
 */
export class WithCaptured {
  /** As packed. */
  args: unknown;
  /** `undefined`: it comes behind the arguments, with which it shares objects. */
  readonly carried: Carried | undefined;
  /** Arguments that are objects of what was captured, and which, by their numbers. */
  readonly shared: SharedArguments | undefined;

  constructor(args: unknown, carried?: Carried, shared?: SharedArguments) {
    this.args = args;
    this.carried = carried;
    this.shared = shared;
    carried?.hold();
  }
}

/** The arguments of a call, without what its function captured. */
export function argsAlone(args: unknown): unknown {
  return args instanceof WithCaptured ? args.args : args;
}

/** A function as it is to be called, with what it captured. */
export class Target {
  /** As the caller gave it. */
  readonly given: unknown;
  readonly ref: FunctionRef;
  /** What it captured, where that holds objects. */
  readonly #captured: Captured | undefined;
  /** The same on its way; `undefined`: nothing, or behind the arguments. */
  readonly carried: Carried | undefined;
  #numbers: WeakMap<object, number> | undefined;

  constructor(
    given: unknown,
    ref: FunctionRef,
    captured?: Captured,
    carried?: Carried,
  ) {
    this.given = given;
    this.ref = ref;
    this.#captured = captured && !isFlat(captured) ? captured : undefined;
    this.carried = carried;
  }

  /**
   * How arguments travel with what was captured. An object that is both is one
   * object there, too, as it is here.
   *
   * @returns `undefined`: apart. A list: some of the arguments are such objects,
   * and are named by their numbers. `true`: they hold such objects, and so both
   * have to be copied together.
   */
  sharedWith(args: readonly unknown[]): SharedArguments | true | undefined {
    const captured = this.#captured;
    if (!captured || args.every(isPrimitive)) return undefined;
    if (!this.#numbers) {
      const numbers = this.#numbers = new WeakMap();
      objectsIn(captured).forEach((object, i) => numbers.set(object, i));
    }
    const numbers = this.#numbers;
    let shared: [number, number][] | undefined;
    for (let i = 0; i < args.length; i++) {
      const arg = args[i] as object;
      if (isPrimitive(arg)) continue;
      const number = numbers.get(arg);
      if (number !== undefined) (shared ??= []).push([i, number]);
      else if (objectsIn(arg).some((object) => numbers.has(object))) {
        return true;
      }
    }
    return shared;
  }

  /** Arguments, and behind them what was captured, to be copied together. */
  joined(args: readonly unknown[]): readonly unknown[] {
    return [...args, this.#captured];
  }
}

/** Whether nothing of what was captured is an object. */
export function isFlat({ values, ...more }: Captured): boolean {
  return values.every(isPrimitive) && Object.keys(more).length === 0;
}

function isPrimitive(value: unknown): boolean {
  return value === null ||
    typeof value !== "object" && typeof value !== "function";
}

/** What one worker was sent of it, and keeps. */
export class Deliveries {
  readonly #kept = new Set<Carried>();

  /**
   * Says how a message has it: by its number alone where that will do.
   *
   * @param fresh What the message brings that the worker has not yet.
   */
  messageOf(carried: Carried, fresh: Carried[]): CarriedMessage {
    const { id, packed } = carried;
    if (id === undefined) return { id, captured: packed };
    if (this.#kept.has(carried) || fresh.includes(carried)) {
      return { id, captured: undefined };
    }
    fresh.push(carried);
    return { id, captured: packed };
  }

  /** The message is on its way; one before it would come too early. */
  sent(fresh: readonly Carried[]): void {
    for (const carried of fresh) this.#kept.add(carried);
  }

  /** Nobody needs it any more; tells whether the worker keeps it. */
  forget(carried: Carried): boolean {
    return this.#kept.delete(carried);
  }
}
