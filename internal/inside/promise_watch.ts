/**
 * Whether promises still give what they should, in a worker whose tasks can put a
 * method named "then" anywhere.
 *
 * A promise asks each object that it is to give for such a method, and calls it:
 * with one on `Object.prototype` no async function that returns an object is ever
 * done, and nobody hears of it. That can't be kept from later calls in any way, so
 * a worker that has come to this ends, and says why.
 */

/** Looks after promises. */
export interface PromiseWatch {
  /** What keeps promises from giving objects, as far as that can be seen at once. */
  spoiler(): string | undefined;
  /**
   * The same, where it takes a try: the method of promises themselves was replaced,
   * which libraries do for good reasons. `undefined` where there is nothing to try.
   */
  trial(): Promise<string | undefined> | undefined;
  /** While something is under way that a promise is to end, calls this if one is spoilt. */
  whilePending(isPending: () => boolean, onSpoilt: (by: string) => void): void;
}

/**
 * Makes it.
 *
 * Self-contained: workers get it as its source.
 */
export function makePromiseWatch(): PromiseWatch {
  /** How often it is looked at what runs, in milliseconds. */
  const OFTEN = 500;
  /** How many microtasks a promise may take, and how many milliseconds after these. */
  const MICROTASKS = 100;
  const PATIENCE = 100;
  // Taken before any task runs: one may put its own in their place.
  const { Promise, setTimeout } = globalThis;
  const { apply } = Reflect;
  const promises = Promise.prototype;
  const arrays = Array.prototype;
  const functions = Function.prototype;
  const maps = Map.prototype;
  const sets = Set.prototype;
  const errors = Error.prototype;
  const dates = Date.prototype;
  const buffers = ArrayBuffer.prototype;
  const views = Object.getPrototypeOf(Uint8Array.prototype);
  const blobs = globalThis.Blob?.prototype ?? arrays;
  let tried: unknown = promises.then;
  const five = (async () => await 5)();
  let isWatching = false;

  function spoiler(): string | undefined {
    // One after another: each is found at once, which a list of them is not.
    return "then" in arrays || "then" in functions || "then" in maps ||
        "then" in sets || "then" in errors || "then" in dates ||
        "then" in buffers || "then" in views || "then" in blobs
      ? 'a method named "then" that a task gave to all objects, or all of a kind: no promise gives these any more'
      : undefined;
  }

  async function tryThen(): Promise<string | undefined> {
    const then: unknown = tried = promises.then;
    let got: unknown;
    try {
      apply(then as () => void, five, [(value: unknown) => {
        got = value;
      }]);
      for (let i = 0; i < MICROTASKS && got === undefined; i++) await undefined;
      if (got === undefined) {
        await new Promise<void>((resolve) => setTimeout(resolve, PATIENCE));
      }
    } catch {
      // It is of no use at all.
    }
    return got === 5
      ? undefined
      : 'the method "then" of promises, for which a task put one that does not give what was promised';
  }

  function trial(): Promise<string | undefined> | undefined {
    return promises.then === tried ? undefined : tryThen();
  }

  function whilePending(
    isPending: () => boolean,
    onSpoilt: (by: string) => void,
  ): void {
    if (isWatching) return;
    isWatching = true;
    const look = async () => {
      if (!isPending()) {
        isWatching = false;
        return;
      }
      const by = spoiler() ?? await trial();
      if (by !== undefined) onSpoilt(by);
      else setTimeout(look, OFTEN);
    };
    setTimeout(look, OFTEN);
  }

  return { spoiler, trial, whilePending };
}
