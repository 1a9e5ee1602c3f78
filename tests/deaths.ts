/** How a worker can die, and when: a matrix. */

/** Each ends its worker, at once or soon. Self-contained, and sent as source. */
export const ways: Record<string, () => void> = {
  "an error in the background": () => {
    setTimeout(() => {
      throw new RangeError("in the background");
    }, 0);
  },
  "an unhandled rejection": () => {
    Promise.reject(new RangeError("in the background"));
  },
  "Deno.exit()": () => Deno.exit(3),
  "self.close()": () => globalThis.close(),
  "process.exit() of Node": () => Reflect.get(globalThis, "process").exit(3),
};

/** What a call, an initializer or a module does to die by a way's source. */
export async function diesInside(way: string): Promise<void> {
  (0, eval)(`(${way})()`);
  // A worker whose end comes in the background must not be done before it.
  await new Promise(() => {});
}

/** Dies when the call is over, and tells just before. */
export function diesAfter(way: string, told: SharedArrayBuffer): void {
  setTimeout(() => {
    const view = new Int32Array(told);
    Atomics.store(view, 0, 1);
    Atomics.notify(view, 0);
    (0, eval)(`(${way})()`);
  }, 0);
}

/** Dies while its result is read to be sent. */
export function diesInResult(way: string): { readonly value: number } {
  return {
    get value() {
      (0, eval)(`(${way})()`);
      return 5;
    },
  };
}

/** A module whose import dies. */
export function moduleThatDies(way: string): string {
  const source = `export const never = 5; await (${diesInside})(${
    JSON.stringify(way)
  });`;
  return `data:text/javascript,${encodeURIComponent(source)}`;
}

/** A call that never ends by itself. */
export function neverEnds(): Promise<never> {
  return new Promise(() => {});
}
