/**
 * Finds what structured clone refuses, or turns into `{}` without a word, and
 * says where it is: `args[0].headers`.
 */

/** Something in a value that can't travel, and the way to it. */
export interface Untravelable {
  readonly path: string;
  /** What it is: `a function`, `a Headers`. */
  readonly what: string;
}

/** Looks through a value for something that can't travel. */
export interface CloneChecker {
  /**
   * What is known by its class: quick, and looks at everything once.
   *
   * @param moved What is moved and not copied; what is met of it comes to `met`.
   */
  find(
    value: unknown,
    path: string,
    moved?: ReadonlySet<object>,
    met?: Set<object>,
  ): Untravelable | undefined;
  /** What structured clone itself refuses: slow, for when it has. */
  locate(value: unknown, path: string): Untravelable;
}

/**
 * Makes a checker.
 *
 * Self-contained: workers get it as its source.
 *
 * @param refused Classes that structured clone carries, and this link does not.
 * @param carried Classes that this link carries, whatever structured clone does.
 */
export function makeCloneChecker(
  refused: readonly string[] = [],
  carried: readonly string[] = [],
): CloneChecker {
  type Kind =
    | "plain"
    | "array"
    | "map"
    | "set"
    | "error"
    | "leaf"
    | { platform: string };
  interface Node {
    readonly value: object;
    readonly parent: Node | string;
    readonly step: string;
    readonly depth: number;
  }
  /** What is nested deeper may be too deep for the other side. */
  const DEEP = 1000;
  /** How many levels the way there takes for itself, amply. */
  const MARGIN = 200;
  // Taken before any task runs: one may put its own in their place.
  const { structuredClone } = globalThis;
  const { getPrototypeOf, keys: keysOf } = Object;
  const objectPrototype = Object.prototype;
  const { isPrototypeOf } = objectPrototype;
  const arrayPrototype = Array.prototype;
  const { isView, prototype: bufferPrototype } = ArrayBuffer;
  const Shared = SharedArrayBuffer;
  const getter = (proto: object, key: string) =>
    Object.getOwnPropertyDescriptor(proto, key)!.get!;
  // These answer for the genuine ones alone, whatever a prototype says.
  const sizeOfMap = getter(Map.prototype, "size");
  const sizeOfSet = getter(Set.prototype, "size");
  const sizeOfBuffer = getter(bufferPrototype, "byteLength");

  const cloneable = new Set(
    ("ArrayBuffer SharedArrayBuffer DataView Int8Array Uint8Array " +
      "Uint8ClampedArray Int16Array Uint16Array Int32Array Uint32Array " +
      "BigInt64Array BigUint64Array Float16Array Float32Array Float64Array " +
      "Boolean Number String BigInt Date RegExp Error DOMException Blob File " +
      "Buffer WebAssembly.Module WebAssembly.Memory").split(" "),
  );
  for (const name of refused) cloneable.delete(name);
  const sharesMemory = !refused.includes("SharedArrayBuffer");
  // Between processes, what is moved is copied: that goes for bytes alone.
  const movesAll = !refused.includes("MessagePort");
  const containers: Record<string, Kind> = {
    Object: "plain",
    Array: "array",
    Map: "map",
    Set: "set",
  };
  const kinds = new WeakMap<object, Kind>();
  const globals = globalThis as unknown as Record<string, unknown>;
  // Classes of the runtime that no name leads to.
  const unnamed = new Set(
    ("Stdin Stdout Stderr Listener TlsListener Conn TcpConn TlsConn UnixConn " +
      "VsockConn DatagramConn FsWatcher Permissions " +
      // This library's own, which belong to their program.
      "Future ThreadPoolExecutor ProcessPoolExecutor EventLoopExecutor")
      .split(" "),
  );
  // Asking for these opens a database.
  const untouched = ["localStorage", "sessionStorage"];

  /** The name of a class of the platform; `undefined` for a caller's own. */
  function platformClass(proto: object): string | undefined {
    const found = Object.getOwnPropertyDescriptor(proto, "constructor")?.value;
    if (typeof found !== "function") return undefined;
    const name = found.name as string;
    if (untouched.includes(name)) return undefined;
    if (Object.hasOwn(globals, name) && globals[name] === found) return name;
    for (const space of ["Deno", "WebAssembly", "Intl", "Temporal"]) {
      const holder = globals[space] as Record<string, unknown> | undefined;
      if (holder && Object.hasOwn(holder, name) && holder[name] === found) {
        return `${space}.${name}`;
      }
    }
    return undefined;
  }

  function kindOf(value: object): Kind {
    const first: object | null = Object.getPrototypeOf(value);
    if (first === null) return "plain";
    const known = kinds.get(first);
    if (known) return known;
    let kind: Kind = value instanceof Error ? "error" : "plain";
    if (value instanceof DOMException && !survives(value, "DOMException")) {
      kind = { platform: "DOMException" };
    }
    let proto: object | null = kind === "plain" ? first : null;
    while (proto !== null) {
      const name = platformClass(proto) ?? unnamedClass(value, proto);
      if (name !== undefined) {
        kind = cloneable.has(name) && survives(value, name)
          ? "leaf"
          : Object.hasOwn(containers, name)
          ? containers[name]
          : { platform: name };
        break;
      }
      proto = Object.getPrototypeOf(proto);
    }
    kinds.set(first, kind);
    return kind;
  }

  /** Why an object does not travel, though those of its class do. */
  function flawOf(value: object, kind: Kind): string | undefined {
    const size = kind === "map"
      ? sizeOfMap
      : kind === "set"
      ? sizeOfSet
      : kind === "leaf" && isPrototypeOf.call(bufferPrototype, value)
      ? sizeOfBuffer
      : undefined;
    try {
      size?.call(value);
    } catch {
      return "Proxy or the like";
    }
    return kind === "leaf" && !sharesMemory && isView(value) &&
        value.buffer instanceof Shared
      ? "view of shared memory"
      : undefined;
  }

  /** The name of a class of the runtime whose objects would arrive empty. */
  function unnamedClass(value: object, proto: object): string | undefined {
    const name = Object.getOwnPropertyDescriptor(proto, "constructor")?.value
      ?.name;
    return unnamed.has(name) && Object.keys(value).length === 0
      ? name
      : undefined;
  }

  /** Whether this version of the runtime clones an object as what it is. */
  function survives(value: object, name: string): boolean {
    if (!["Blob", "File", "DOMException"].includes(name)) return true;
    if (carried.includes(name)) return true;
    try {
      const copy = structuredClone(value);
      return copy instanceof (globals[name] as typeof Blob);
    } catch {
      return false;
    }
  }

  /** Calls `visit` with what a container holds and how one gets there. */
  function eachIn(
    value: object,
    kind: Kind,
    visit: (child: unknown, step: string) => boolean,
  ): void {
    if (kind === "map") {
      let i = 0;
      // Not by iterating: a class of the caller's may do that in its own way.
      let found = false;
      Map.prototype.forEach.call(value, (item, key) => {
        const shown = typeof key === "string"
          ? JSON.stringify(key)
          : typeof key === "object"
          ? `key ${i}`
          : String(key);
        i++;
        found ||= visit(key, `.keys(${shown})`) ||
          visit(item, `.get(${shown})`);
      });
    } else if (kind === "set") {
      let i = 0;
      let found = false;
      Set.prototype.forEach.call(value, (item) => {
        found ||= visit(item, `.values(${i++})`);
      });
    } else if (kind === "error") {
      if (Object.hasOwn(value, "cause")) {
        visit((value as Error).cause, ".cause");
      }
    } else if (kind === "array" && (value as unknown[]).length < 1e7) {
      const array = value as unknown[];
      for (let i = 0; i < array.length; i++) {
        const item = array[i];
        const type = typeof item;
        if (
          (type === "object" ? item !== null : type === "function" ||
            type === "symbol") && visit(item, `[${i}]`)
        ) return;
      }
      // Properties besides the items; of a long array, nobody has any.
      if (array.length > 10_000) return;
      const keys = Object.keys(array);
      if (keys.length > array.length || /\D/.test(keys.at(-1) ?? "")) {
        eachOf(value, keys.filter((key) => /\D/.test(key)), visit);
      }
    } else {
      eachOf(value, Object.keys(value), visit);
    }
  }

  function eachOf(
    value: object,
    keys: readonly string[],
    visit: (child: unknown, step: string) => boolean,
  ): void {
    for (const key of keys) {
      const item = (value as Record<string, unknown>)[key];
      const type = typeof item;
      if (
        type !== "object" && type !== "function" && type !== "symbol" ||
        item === null
      ) continue;
      const step = /^[A-Za-z_$][\w$]*$/.test(key)
        ? `.${key}`
        : /^\d+$/.test(key)
        ? `[${key}]`
        : `[${JSON.stringify(key)}]`;
      if (visit(item, step)) return;
    }
  }

  function pathTo(parent: Node | string, step: string): string {
    let path = step;
    for (; typeof parent !== "string"; parent = parent.parent) {
      path = parent.step + path;
    }
    return parent + path;
  }

  // ---- A quick look --------------------------------------------------------
  // Nearly all values are fine, and need no way to what is not.

  /** How deep and how far it goes, before it leaves the rest to the other. */
  const SHALLOW = 100;
  const MANY = 100_000;
  let left = 0;

  /** Whether a value is surely fine: a tree, not too deep, of what travels. */
  function isFine(value: unknown, depth: number): boolean {
    const type = typeof value;
    if (type !== "object") return type !== "function" && type !== "symbol";
    if (value === null) return true;
    // Going in a circle ends here, too.
    if (depth > SHALLOW || --left < 0) return false;
    const proto = getPrototypeOf(value);
    if (proto === objectPrototype) {
      // Nothing that is inherited from there is met.
      for (const key in value) {
        const item = (value as Record<string, unknown>)[key];
        if (!isFine(item, depth + 1)) return false;
      }
      return true;
    }
    if (proto === arrayPrototype) {
      const array = value as unknown[];
      const { length } = array;
      if (length > 1000) return false;
      for (let i = 0; i < length; i++) {
        if (!isFine(array[i], depth + 1)) return false;
      }
      // Properties besides the items come last.
      return length === 0 || keysOf(array).length <= length;
    }
    return proto !== null && kindOf(value as object) === "leaf" &&
      flawOf(value as object, "leaf") === undefined;
  }

  function find(
    root: unknown,
    rootPath: string,
    moved?: ReadonlySet<object>,
    met?: Set<object>,
  ): Untravelable | undefined {
    left = MANY;
    if (!moved && isFine(root, 0)) return undefined;
    let found: Untravelable | undefined;
    let seen: Set<object> | undefined;
    let depth = 0;
    let deep = false;
    const todo: Node[] = [];
    const look = (value: unknown, parent: Node | string, step: string) => {
      if (typeof value === "function" || typeof value === "symbol") {
        const what = typeof value === "symbol"
          ? "a symbol"
          : value.name
          ? `the function "${value.name}"`
          : "a function";
        found = { path: pathTo(parent, step), what };
        return true;
      }
      if (typeof value !== "object" || value === null) return false;
      if (moved) {
        const whole = ArrayBuffer.isView(value) ? value.buffer : value;
        if (moved.has(whole) && (movesAll || whole instanceof ArrayBuffer)) {
          met?.add(whole);
          return false;
        }
      }
      const kind = kindOf(value);
      const what = typeof kind === "object"
        ? kind.platform
        : flawOf(value, kind);
      if (what !== undefined) {
        const article = /^[AEIOU](?![A-Z])/.test(what) ? "an" : "a";
        found = { path: pathTo(parent, step), what: `${article} ${what}` };
        return true;
      }
      if (kind === "leaf") return false;
      todo.push({ value, parent, step, depth });
      return false;
    };
    look(root, rootPath, "");
    while (!found && todo.length > 0) {
      const node = todo.pop()!;
      seen ??= new Set();
      if (seen.has(node.value)) continue;
      seen.add(node.value);
      depth = node.depth + 1;
      deep ||= depth > DEEP;
      const before = todo.length;
      eachIn(
        node.value,
        kindOf(node.value),
        (child, step) => look(child, node, step),
      );
      // In the order of structured clone, which goes into the first child first:
      // so it gets no deeper than it does here.
      for (let i = before, j = todo.length - 1; i < j; i++, j--) {
        [todo[i], todo[j]] = [todo[j], todo[i]];
      }
    }
    if (deep && !found && isTooDeep(root)) {
      found = { path: rootPath, what: "nested too deep" };
    }
    return found;
  }

  /** Whether the stack may not suffice to copy a value over there. */
  function isTooDeep(value: unknown): boolean {
    let nested = value;
    for (let i = 0; i < MARGIN; i++) nested = { nested };
    try {
      structuredClone(nested);
      return false;
    } catch (error) {
      return error instanceof RangeError;
    }
  }

  function isDetached(value: unknown): boolean {
    return value instanceof ArrayBuffer && value.detached;
  }

  function isRefused(value: unknown): boolean {
    try {
      structuredClone(value);
      return false;
    } catch {
      return true;
    }
  }

  function locate(root: unknown, rootPath: string): Untravelable {
    let value = root;
    let path = rootPath;
    for (let deeper = true; deeper && typeof value === "object" && value;) {
      deeper = false;
      eachIn(value, kindOf(value), (child, step) => {
        if (!isRefused(child)) return false;
        value = child;
        path += step;
        return deeper = true;
      });
    }
    const type = typeof value === "object" && value !== null
      ? Object.prototype.toString.call(value).slice(8, -1)
      : typeof value;
    // Nothing in it is refused, and it is no class that is known.
    const what = (type === "Object" || type === "Array") && isRefused(value)
      ? "Proxy or the like"
      : type;
    const shown = `${/^[AEIOaeio]|^un/.test(what) ? "an" : "a"} ${what}`;
    if (ArrayBuffer.isView(value) && isDetached(value.buffer)) {
      return { path, what: `${shown} whose buffer was moved before` };
    }
    return {
      path,
      what: isDetached(value) ? `${shown} that was moved before` : shown,
    };
  }

  return { find, locate };
}
