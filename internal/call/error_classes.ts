/** The classes of exceptions that arrive as what they are: those of the runtime. */

/** A class, and the way to it from `globalThis`. */
export interface ErrorClass {
  readonly path: readonly string[];
  readonly made: new (message?: string) => Error;
}

/**
 * Lists the runtime's classes of exceptions, as they are now: it is asked when
 * the library loads, and in a worker before any task runs. What a program or a
 * task puts among its globals later is not read.
 *
 * Self-contained: workers get it as its source.
 */
export function listErrorClasses(): ErrorClass[] {
  const { getOwnPropertyDescriptor, getOwnPropertyNames } = Object;
  const found: ErrorClass[] = [];
  /** Not by reading it: that could run a getter of the program's. */
  const valueOf = (owner: unknown, name: string): unknown =>
    typeof owner === "object" && owner !== null
      ? getOwnPropertyDescriptor(owner, name)?.value
      : undefined;
  const take = (path: readonly string[], owner: unknown, name: string) => {
    const made = valueOf(owner, name);
    if (
      typeof made === "function" &&
      (made === Error || made.prototype instanceof Error)
    ) {
      found.push({ path: [...path, name], made: made as ErrorClass["made"] });
    }
  };
  const names = "Error AggregateError DOMException EvalError " +
    "QuotaExceededError RangeError ReferenceError SuppressedError " +
    "SyntaxError TypeError URIError";
  for (const name of names.split(" ")) take([], globalThis, name);
  const wasm = valueOf(globalThis, "WebAssembly");
  for (const name of ["CompileError", "LinkError", "RuntimeError"]) {
    take(["WebAssembly"], wasm, name);
  }
  const errors = valueOf(valueOf(globalThis, "Deno"), "errors");
  if (typeof errors === "object" && errors !== null) {
    for (const name of getOwnPropertyNames(errors)) {
      take(["Deno", "errors"], errors, name);
    }
  }
  return found;
}
