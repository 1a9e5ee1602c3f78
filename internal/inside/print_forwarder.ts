/** The worker's half of printing while bars stand on the terminal. */

/** Has what is printed go by the thread that started this one, or as it did. */
export type ForwardPrints = (isOn: boolean) => void;

/**
 * Makes it.
 *
 * Self-contained: workers get it as its source.
 *
 * @param send Sends bytes on; `false` if it can't.
 */
export function makePrintForwarder(
  send: (bytes: Uint8Array, toStderr: boolean) => boolean,
): ForwardPrints {
  // Taken before any task runs: one may put its own in their place.
  const { defineProperty, getOwnPropertyDescriptor, setPrototypeOf } = Object;
  const { apply, deleteProperty } = Reflect;
  const { Promise } = globalThis;
  const { bind, call } = Function.prototype;
  /** A method as a function of what it is a method of. */
  // deno-lint-ignore no-explicit-any -- of whatever method
  const uncurried = (method: any): any => bind.call(call, method);
  const bound = uncurried(bind);
  const copyOf = uncurried(Uint8Array.prototype.slice);
  const deno = (globalThis as { Deno?: typeof Deno }).Deno;
  const encoder = new TextEncoder();
  const encode = encoder.encode.bind(encoder);
  const STREAMS = ["stdout", "stderr"] as const;
  const METHODS = ("log info debug dir dirxml table count timeLog timeEnd " +
    "group groupCollapsed warn error trace assert").split(" ");
  /** It inherits nothing: a setter for its items would be met, too. */
  const undo: (() => void)[] = setPrototypeOf([], null);

  /** A console that writes as the runtime's does, to what it is given. */
  function ownConsole(): Record<string, unknown> | undefined {
    try {
      const internal = (deno as unknown as { internal: symbol }).internal;
      const { Console } = (deno as unknown as Record<symbol, {
        Console: new (
          print: (text: string, level: number) => void,
        ) => Record<string, unknown>;
      }>)[internal];
      return new Console((text, level) => {
        // Beyond this, it is stderr's.
        const toStderr = level > 1;
        const bytes = encode(text);
        if (!send(bytes, toStderr)) {
          deno![toStderr ? "stderr" : "stdout"].writeSync(bytes);
        }
      });
    } catch {
      return undefined;
    }
  }

  function replace(owner: object, name: string, by: unknown): void {
    const before = getOwnPropertyDescriptor(owner, name);
    if (before) setPrototypeOf(before, null);
    defineProperty(owner, name, {
      __proto__: null,
      value: by,
      writable: true,
      configurable: true,
      enumerable: before?.enumerable ?? false,
    } as PropertyDescriptor);
    undo[undo.length] = () => {
      // Whoever has replaced it since has a reason.
      if ((owner as Record<string, unknown>)[name] !== by) return;
      if (before) defineProperty(owner, name, before);
      else deleteProperty(owner, name);
    };
  }

  function start(): void {
    const own = ownConsole();
    if (own) {
      for (let i = 0; i < METHODS.length; i++) {
        const name = METHODS[i];
        if (typeof own[name] === "function") {
          replace(console, name, bound(own[name], own));
        }
      }
    }
    for (let i = 0; i < STREAMS.length; i++) {
      const stream = deno![STREAMS[i]];
      const toStderr = i === 1;
      const { writeSync } = stream;
      const forward = (bytes: Uint8Array): number =>
        send(copyOf(bytes), toStderr)
          ? bytes.length
          : apply(writeSync, stream, [bytes]);
      replace(stream, "writeSync", forward);
      replace(
        stream,
        "write",
        (bytes: Uint8Array) =>
          new Promise((resolve) => resolve(forward(bytes))),
      );
    }
  }

  return (isOn) => {
    if (!deno) return;
    while (undo.length > 0) {
      const last = undo[undo.length - 1];
      undo.length--;
      last();
    }
    if (isOn) start();
  };
}
