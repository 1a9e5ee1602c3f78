/**
 * The worker's half of what functions captured: gives each call a copy of its
 * own, of what came once for many. `closures/carried.ts` is the pool's half.
 *
 * Each call sees what was captured as it was at the call of `map`, whatever an
 * earlier one did to it. But a copy takes longer than most calls do. So a copy is
 * used again as long as nothing has changed in it, which takes a tenth of the time
 * to see; and without a look where the functions are known to change nothing.
 */

import type {
  Captured,
  CarriedMessage,
  SharedArguments,
} from "../call/protocol.ts";
import type { objectsIn } from "../values/numbering.ts";

/** What a function captured, in the worker. */
export interface Kept {
  /**
   * A copy that no call has changed.
   *
   * @param readsOnly Whether no call changes it, as far as that is known.
   * @throws what keeps it from being read.
   */
  fresh(readsOnly: boolean): Captured;
}

/** What a worker keeps. */
export interface Keeper {
  /** Takes in what came with a call. */
  take(message: CarriedMessage): Kept;
  forget(ids: readonly number[]): void;
  /** Arguments, with those put in that are objects of what was captured. */
  shared(
    captured: Captured,
    args: readonly unknown[],
    shared: SharedArguments,
  ): readonly unknown[];
}

/**
 * Makes a keeper.
 *
 * Self-contained: workers get it as its source.
 *
 * @param read Makes a value of what was sent, where that is packed.
 */
export function makeKeeper(
  numbered: typeof objectsIn,
  read?: (packed: unknown) => unknown,
): Keeper {
  // Taken before any task runs: one may put its own in their place.
  const { structuredClone, Error, Map, Set } = globalThis;
  const {
    getOwnPropertyNames,
    getOwnPropertySymbols,
    getPrototypeOf,
    is,
    isExtensible,
    keys: keysOf,
    setPrototypeOf,
  } = Object;
  const { isArray } = Array;
  const uncurried = <T, A extends unknown[], R>(
    fn: (this: T, ...args: A) => R,
  ): (self: T, ...args: A) => R => Function.prototype.call.bind(fn);
  /** A list that inherits nothing: a setter for its items would be met, too. */
  const list = <T>(): T[] => setPrototypeOf([], null) as T[];
  const getTime = uncurried(Date.prototype.getTime);
  const eachOfMap = uncurried(Map.prototype.forEach);
  const eachOfSet = uncurried(Set.prototype.forEach);
  const objectPrototype = Object.prototype;
  const arrayPrototype = Array.prototype;
  const datePrototype = Date.prototype;
  const mapPrototype = Map.prototype;
  const setPrototype = Set.prototype;
  const sizeOfMap = uncurried(
    Object.getOwnPropertyDescriptor(mapPrototype, "size")!.get!,
  );
  const sizeOfSet = uncurried(
    Object.getOwnPropertyDescriptor(setPrototype, "size")!.get!,
  );
  const isMember = uncurried(Set.prototype.has);
  const addMember = uncurried(Set.prototype.add);
  const getFrom = uncurried(Map.prototype.get);
  const setIn = uncurried(Map.prototype.set);
  const deleteFrom = uncurried(Map.prototype.delete);
  const ids = new Map<number, Kept>();

  function isPrimitive(value: unknown): boolean {
    return value === null ||
      typeof value !== "object" && typeof value !== "function";
  }

  /** Whether nothing of it is an object: then no call can change anything. */
  function isFlat({ values, ...more }: Captured): boolean {
    if (keysOf(more).length > 0) return false;
    for (let i = 0; i < values.length; i++) {
      if (!isPrimitive(values[i])) return false;
    }
    return true;
  }

  /** Whether it is values alone, with nothing to be made from them. */
  function isWhole({ values: _, ...more }: Captured): boolean {
    return keysOf(more).length === 0;
  }

  /** What objects hold, in one list: for each its keys and values, or its items. */
  class Snapshot {
    readonly #objects: object[] = list();
    readonly #held: unknown[] = list();
    readonly #seen = new Set<object>();

    /** Takes note of all that can be reached; `false` if some can't be compared. */
    take(root: object): boolean {
      const objects = this.#objects;
      this.#add(root);
      for (let i = 0; i < objects.length; i++) {
        if (!this.#note(objects[i])) return false;
      }
      return true;
    }

    #add(value: unknown): void {
      if (isPrimitive(value) || isMember(this.#seen, value)) return;
      addMember(this.#seen, value);
      this.#objects[this.#objects.length] = value as object;
    }

    /** Takes note of what is no object. */
    #put(value: unknown): void {
      this.#held[this.#held.length] = value;
    }

    #hold(value: unknown): void {
      this.#put(value);
      this.#add(value);
    }

    #note(object: object): boolean {
      const prototype = getPrototypeOf(object);
      if (isArray(object)) {
        // A hole is no item; and what an array has besides is not looked at.
        if (keysOf(object).length !== object.length) return false;
        this.#put(object.length);
        for (let i = 0; i < object.length; i++) this.#hold(object[i]);
        return prototype === arrayPrototype;
      }
      if (prototype === datePrototype) {
        this.#put(getTime(object as Date));
      } else if (prototype === mapPrototype) {
        this.#put(sizeOfMap(object as Map<unknown, unknown>));
        eachOfMap(object as Map<unknown, unknown>, (item, key) => {
          this.#hold(key);
          this.#hold(item);
        });
      } else if (prototype === setPrototype) {
        this.#put(sizeOfSet(object as Set<unknown>));
        eachOfSet(object as Set<unknown>, (item) => this.#hold(item));
      } else if (prototype !== objectPrototype) {
        return false;
      } else {
        const keys = keysOf(object);
        for (let i = 0; i < keys.length; i++) {
          this.#put(keys[i]);
          this.#hold((object as Record<string, unknown>)[keys[i]]);
        }
      }
      return true;
    }

    /** Whether all is still as it was. */
    holds(): boolean {
      try {
        return this.#compare();
      } catch {
        // A getter has taken the place of a value.
        return false;
      }
    }

    #compare(): boolean {
      const objects = this.#objects;
      const held = this.#held;
      let at = 0;
      for (let i = 0; i < objects.length; i++) {
        const object = objects[i];
        const prototype = getPrototypeOf(object);
        if (
          !isExtensible(object) || getOwnPropertySymbols(object).length > 0
        ) return false;
        if (isArray(object)) {
          const { length } = object;
          if (prototype !== arrayPrototype || held[at++] !== length) {
            return false;
          }
          for (let i = 0; i < length; i++) {
            if (!is(object[i], held[at++])) return false;
          }
          // Its length is one of the names.
          if (getOwnPropertyNames(object).length !== length + 1) return false;
          continue;
        }
        let names = 0;
        if (prototype === objectPrototype) {
          for (const key in object) {
            if (key !== held[at++]) return false;
            if (!is((object as Record<string, unknown>)[key], held[at++])) {
              return false;
            }
            names++;
          }
        } else if (prototype === datePrototype) {
          if (!is(getTime(object as Date), held[at++])) return false;
        } else if (prototype === mapPrototype) {
          const map = object as Map<unknown, unknown>;
          if (held[at++] !== sizeOfMap(map)) return false;
          let same = true;
          eachOfMap(map, (item, key) => {
            same = same && is(key, held[at]) && is(item, held[at + 1]);
            at += 2;
          });
          if (!same) return false;
        } else if (prototype === setPrototype) {
          const set = object as Set<unknown>;
          if (held[at++] !== sizeOfSet(set)) return false;
          let same = true;
          eachOfSet(set, (item) => {
            same = same && is(item, held[at++]);
          });
          if (!same) return false;
        } else {
          return false;
        }
        if (getOwnPropertyNames(object).length !== names) return false;
      }
      return at === held.length;
    }
  }

  /** Of many calls. */
  class KeptForMany implements Kept {
    readonly #sent: unknown;
    #copy: Captured | undefined;
    /** What tells whether the copy has changed; `undefined`: that can't be told. */
    #snapshot: Snapshot | undefined;
    #isFlat = false;

    constructor(sent: unknown) {
      this.#sent = sent;
    }

    fresh(readsOnly: boolean): Captured {
      const copy = this.#copy;
      if (copy && (readsOnly || this.#isFlat || this.#snapshot?.holds())) {
        return copy;
      }
      // What nobody changes needs no copy.
      const isSame = readsOnly && !read && isWhole(this.#sent as Captured);
      const made = own(
        read
          ? read(this.#sent)
          : isSame
          ? this.#sent
          : structuredClone(this.#sent),
      );
      this.#snapshot = undefined;
      this.#isFlat = isFlat(made);
      // Functions in it are made anew for each call.
      const canStay = isWhole(made);
      this.#copy = canStay ? made : undefined;
      if (canStay && !readsOnly && !this.#isFlat) {
        const snapshot = new Snapshot();
        if (snapshot.take(made.values)) this.#snapshot = snapshot;
      }
      return made;
    }
  }

  /** Nothing that a task gave to all objects is read for a part of it. */
  function own(captured: unknown): Captured {
    return setPrototypeOf(captured as object, null) as Captured;
  }

  return {
    take(message) {
      const { id, captured } = setPrototypeOf(message, null) as CarriedMessage;
      if (id === undefined) {
        return { fresh: () => own(read ? read(captured) : captured) };
      }
      if (captured === undefined) {
        return getFrom(ids, id) as Kept | undefined ?? {
          fresh: () => {
            throw new Error("The worker keeps nothing of this number");
          },
        };
      }
      const kept = new KeptForMany(captured);
      setIn(ids, id, kept);
      return kept;
    },
    shared(captured, args, shared) {
      const objects = numbered(captured);
      const all = list<unknown>();
      for (let i = 0; i < args.length; i++) all[i] = args[i];
      for (let i = 0; i < shared.length; i++) {
        // Those of records are put in where they are made.
        if (shared[i][1] >= 0) all[shared[i][0]] = objects[shared[i][1]];
      }
      return all;
    },
    forget(numbers) {
      for (let i = 0; i < numbers.length; i++) deleteFrom(ids, numbers[i]);
    },
  };
}
