/**
 * What a function captured, on its way with the calls of it.
 *
 * It belongs to the function, and not to the arguments of a call: checked and
 * copied once, when the function is submitted or mapped. A single call takes it
 * along. The many calls of a `map` mean it by a number: a worker is sent it with
 * the first of them that it gets, and keeps it until no call needs it any more.
 *
 * `inside/keep_captured.ts` is the worker's half.
 */

import type {
  Captured,
  Carried,
  CarriedMessage,
  FunctionRef,
  SharedArguments,
} from "../call/protocol.ts";
import { objectsIn } from "../values/numbering.ts";

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
  /** Those of them that are more than data, by their numbers. */
  readonly #records: ReadonlyMap<unknown, number> | undefined;
  /** The same on its way; `undefined`: nothing, or behind the arguments. */
  readonly carried: Carried | undefined;
  #numbers: WeakMap<object, number> | undefined;

  constructor(
    given: unknown,
    ref: FunctionRef,
    captured?: Captured,
    carried?: Carried,
    records?: ReadonlyMap<unknown, number>,
  ) {
    this.given = given;
    this.ref = ref;
    this.#captured = captured && !isFlat(captured) ? captured : undefined;
    this.carried = carried;
    this.#records = records;
  }

  /**
   * How arguments travel with what was captured. An object that is both is one
   * object there, too, as it is here.
   *
   * @throws {DOMException} `DataCloneError` where that can't be.
   */
  sharing(args: readonly unknown[]): Sharing {
    const captured = this.#captured;
    if (!captured || args.every(isPrimitive)) return APART;
    const shared: [number, number][] = [];
    // Of one call, all is copied together in any case.
    let joined = this.carried === undefined;
    for (let i = 0; i < args.length; i++) {
      const arg = args[i];
      if (isPrimitive(arg)) continue;
      const record = this.#records?.get(arg);
      const number = record !== undefined
        ? -1 - record
        : joined
        ? undefined
        : this.#numberOf(arg as object, captured);
      if (number !== undefined) shared.push([i, number]);
      else if (this.#holds(arg as object, captured, i)) joined = true;
    }
    return shared.length > 0 || joined ? { joined, shared } : APART;
  }

  #numberOf(object: object, captured: Captured): number | undefined {
    if (!this.#numbers) {
      const numbers = this.#numbers = new WeakMap();
      objectsIn(captured).forEach((object, i) => numbers.set(object, i));
    }
    return this.#numbers.get(object);
  }

  /** Whether an argument holds objects that were captured. */
  #holds(arg: object, captured: Captured, i: number): boolean {
    if (!this.#records && !this.carried) return false;
    let holds = false;
    for (const object of objectsIn(arg)) {
      if (this.#records?.has(object)) {
        throw new DOMException(
          `Cannot send the arguments of ${
            JSON.stringify(this.ref.name)
          } to a worker: args[${i}] holds an object that the function captured, too, and that is more than plain data; pass it as an argument by itself, or pass a copy`,
          "DataCloneError",
        );
      }
      holds ||= this.#numberOf(object, captured) !== undefined;
    }
    return holds;
  }

  /** Arguments, and behind them what was captured, to be copied together. */
  joined(args: readonly unknown[]): readonly unknown[] {
    return [...args, this.#captured];
  }
}

/** How arguments travel with what was captured. */
export interface Sharing {
  /** Whether both are copied together. */
  readonly joined: boolean;
  /** Arguments that are objects of what was captured, and which. */
  readonly shared: SharedArguments;
}

const APART: Sharing = { joined: false, shared: [] };

/** Whether arguments have nothing of what was captured. */
export function isApart(sharing: Sharing): boolean {
  return sharing === APART;
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
