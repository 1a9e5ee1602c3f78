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
  /** Classes of the runtime's modules, each behind its module's name. */
  const nodeClasses = [
    "events EventEmitter EventEmitterAsyncResource",
    "stream Readable Writable Duplex Transform PassThrough Stream",
    "net Server Socket BlockList SocketAddress",
    "tls Server TLSSocket SecureContext",
    "http Server Agent ClientRequest IncomingMessage OutgoingMessage " +
    "ServerResponse",
    "https Server Agent",
    "http2 Http2ServerRequest Http2ServerResponse",
    "dgram Socket",
    "fs Dir ReadStream WriteStream FSWatcher Utf8Stream",
    "child_process ChildProcess",
    "worker_threads Worker MessagePort MessageChannel BroadcastChannel",
    "crypto Certificate Cipheriv Decipheriv DiffieHellman DiffieHellmanGroup " +
    "ECDH Hash Hmac KeyObject Sign Verify X509Certificate",
    "async_hooks AsyncLocalStorage AsyncResource",
    "diagnostics_channel Channel",
    "string_decoder StringDecoder",
    "dns Resolver",
    "vm Script SourceTextModule SyntheticModule",
    "readline Interface",
    "repl REPLServer",
    "console Console",
    "inspector Session",
    "v8 Serializer Deserializer GCProfiler",
    "wasi WASI",
    "zlib Gzip Gunzip Deflate Inflate DeflateRaw InflateRaw Unzip " +
    "BrotliCompress BrotliDecompress ZstdCompress ZstdDecompress",
    "sqlite DatabaseSync StatementSync",
    "util TextEncoder TextDecoder MIMEType MIMEParams",
    "tty ReadStream WriteStream",
    "domain Domain",
  ];
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
  const { structuredClone, WeakMap, Set, String, RangeError } = globalThis;
  const { stringify } = JSON;
  const {
    create,
    getOwnPropertyDescriptor,
    getOwnPropertyDescriptors,
    getPrototypeOf,
    keys: keysOf,
    setPrototypeOf,
  } = Object;
  const { isArray } = Array;
  const { apply } = Reflect;
  const objectPrototype = Object.prototype;
  const arrayPrototype = Array.prototype;
  const { isView, prototype: bufferPrototype } = ArrayBuffer;
  const { bind, call } = Function.prototype;
  /** A method as a function of what it is a method of. */
  // deno-lint-ignore no-explicit-any -- of whatever method
  const uncurried = (method: any): any => bind.call(call, method);
  const isIn = uncurried(objectPrototype.isPrototypeOf);
  const hasOwn = uncurried(objectPrototype.hasOwnProperty);
  const brandOf = uncurried(objectPrototype.toString);
  const slice = uncurried(String.prototype.slice);
  /** A pattern is asked by no method of its own, which a task could replace. */
  const matches = uncurried(RegExp.prototype.exec);
  const forEachOfMap = uncurried(Map.prototype.forEach);
  const forEachOfSet = uncurried(Set.prototype.forEach);
  const isMember = uncurried(Set.prototype.has);
  const addMember = uncurried(Set.prototype.add);
  const kindFrom = uncurried(WeakMap.prototype.get);
  const setKind = uncurried(WeakMap.prototype.set);
  const getter = (proto: object, key: string) =>
    uncurried(getOwnPropertyDescriptor(proto, key)!.get!);
  // These answer for the genuine ones alone, whatever a prototype says.
  const sizeOfMap = getter(Map.prototype, "size");
  const sizeOfSet = getter(Set.prototype, "size");
  const sizeOfBuffer = getter(bufferPrototype, "byteLength");
  const isDetachedBuffer = getter(bufferPrototype, "detached");
  const bufferOf = {
    view: getter(getPrototypeOf(Uint8Array.prototype), "buffer"),
    data: getter(DataView.prototype, "buffer"),
  };
  const errorPrototype = Error.prototype;
  const exceptionPrototype = DOMException.prototype;
  const sharedPrototype = SharedArrayBuffer.prototype;

  /** A list that inherits nothing: a setter for its items would be met, too. */
  const list = <T>(items: T[] = []): T[] => setPrototypeOf(items, null) as T[];
  /** Names, as the properties of an object that inherits none. */
  const named = (names: readonly string[]) => {
    const all: Record<string, boolean> = create(null);
    for (const name of names) all[name] = true;
    return all;
  };
  const cloneable = named(
    ("ArrayBuffer SharedArrayBuffer DataView Int8Array Uint8Array " +
      "Uint8ClampedArray Int16Array Uint16Array Int32Array Uint32Array " +
      "BigInt64Array BigUint64Array Float16Array Float32Array Float64Array " +
      "Boolean Number String BigInt Date RegExp Error DOMException Blob File " +
      "Buffer WebAssembly.Module WebAssembly.Memory").split(" "),
  );
  for (const name of refused) delete cloneable[name];
  const sharesMemory = !refused.includes("SharedArrayBuffer");
  // Between processes, what is moved is copied: that goes for bytes alone.
  const movesAll = !refused.includes("MessagePort");
  const containers: Record<string, Kind | undefined> = {
    __proto__: null,
    Object: "plain",
    Array: "array",
    Map: "map",
    Set: "set",
  } as unknown as Record<string, Kind>;
  const kinds = new WeakMap<object, Kind>();
  // Classes of the runtime that no name leads to.
  const unnamed = named(
    ("Stdin Stdout Stderr Listener TlsListener Conn TcpConn TlsConn UnixConn " +
      "VsockConn DatagramConn FsWatcher Permissions ECDHImpl DiffieHellmanImpl " +
      "SecretKeyObject PublicKeyObject PrivateKeyObject").split(" "),
  );
  // This library's own, which belong to their program: see `base/stays.ts`.
  const STAYS = Symbol.for("@concurrent/futures stays");
  const modulesOf: Record<string, string | undefined> = create(null);
  for (const line of nodeClasses) {
    const [module, ...names] = line.split(" ");
    for (const name of names) {
      modulesOf[name] = `${modulesOf[name] ?? ""}${module} `;
    }
  }
  const processOf = getOwnPropertyDescriptor(globalThis, "process");
  const split = uncurried(String.prototype.split);
  // Some of these are loaded when they are asked for the first time: so they are
  // kept unasked.
  const spaces = list<
    { prefix: string; all: Record<string, PropertyDescriptor> }
  >();
  const addSpace = (prefix: string, holder: object | undefined) => {
    if (!holder) return;
    const all = setPrototypeOf(getOwnPropertyDescriptors(holder), null);
    spaces[spaces.length] = { prefix, all };
  };
  addSpace("", globalThis);
  // Objects such as `Math`, which a copy would be an empty object of.
  const emptied = list<readonly [name: string, value: object]>();
  const addEmptied = (name: string, value: unknown) => {
    if (typeof value !== "object" || value === null) return;
    emptied[emptied.length] = [name, value];
  };
  addEmptied("Math", Math);
  addEmptied("JSON", JSON);
  addEmptied("Reflect", Reflect);
  addEmptied("Atomics", globalThis.Atomics);
  addEmptied("Intl", globalThis.Intl);
  const { Temporal } = globalThis as { Temporal?: { Now?: object } };
  addEmptied("Temporal", Temporal);
  addEmptied("Temporal.Now", Temporal?.Now);
  for (const name of ["Deno", "WebAssembly", "Intl", "Temporal"]) {
    addSpace(
      `${name}.`,
      (globalThis as unknown as Record<string, object | undefined>)[name],
    );
  }
  const movable = named(
    ("MessagePort ReadableStream WritableStream TransformStream ImageBitmap " +
      "OffscreenCanvas VideoFrame AudioData MediaSourceHandle RTCDataChannel")
      .split(" "),
  );
  const survivors = named(["Blob", "File", "DOMException"]);
  const carriedAlso = named(carried);

  /** The name of an object's class, as its prototype has it. */
  function classOf(proto: object): { made: unknown; name: string } | undefined {
    const found = getOwnPropertyDescriptor(proto, "constructor");
    if (!found || !hasOwn(found, "value")) return undefined;
    const made = found.value;
    if (typeof made !== "function") return undefined;
    const { name } = made;
    return typeof name === "string" ? { made, name } : undefined;
  }

  /** What stands among the globals, which may be loaded only now. */
  function valueOf(there: PropertyDescriptor): unknown {
    return hasOwn(there, "value")
      ? there.value
      : apply(there.get!, globalThis, []);
  }

  /** The name of a class of the platform; `undefined` for a caller's own. */
  function platformClass(proto: object): string | undefined {
    const found = classOf(proto);
    if (!found) return undefined;
    const { made, name } = found;
    // Asking for these opens a database.
    if (name === "localStorage" || name === "sessionStorage") return undefined;
    for (let i = 0; i < spaces.length; i++) {
      const { prefix, all } = spaces[i];
      const there = all[name];
      if (there && (valueOf(there) === made || isThere(i, name, made))) {
        return `${prefix}${name}`;
      }
    }
    return isOfNode(name, made) ? name : undefined;
  }

  /** Whether a class has taken the place of a global one: modules of the runtime's do that. */
  function isThere(space: number, name: string, made: unknown): boolean {
    return space === 0 &&
      getOwnPropertyDescriptor(globalThis, name)?.value === made;
  }

  /** Whether a class is one of the runtime's modules. */
  function isOfNode(name: string, made: unknown): boolean {
    const modules = modulesOf[name];
    if (modules === undefined || !processOf) return false;
    try {
      const { getBuiltinModule } = valueOf(processOf) as {
        getBuiltinModule(name: string): Record<string, unknown> | undefined;
      };
      const all = split(modules, " ");
      for (let i = 0; i < all.length - 1; i++) {
        if (getBuiltinModule(`node:${all[i]}`)?.[name] === made) return true;
      }
    } catch {
      // Where there are no such modules, nobody has made an object of one.
    }
    return false;
  }

  /** What an object of this library's is called; `undefined`: it is none. */
  function ownClass(value: object, proto: object): string | undefined {
    const found = getOwnPropertyDescriptor(proto, STAYS);
    if (!found) return undefined;
    return found.value || classOf(getPrototypeOf(value))?.name || "Executor";
  }

  function kindOf(value: object): Kind {
    const first: object | null = getPrototypeOf(value);
    if (first === null) return isArray(value) ? "array" : "plain";
    const known = kindFrom(kinds, first);
    if (known) return known;
    let kind: Kind = isIn(errorPrototype, value) ? "error" : "plain";
    if (
      isIn(exceptionPrototype, value) && !survives(value, "DOMException")
    ) {
      kind = { platform: "DOMException" };
    }
    let proto: object | null = kind === "plain" ? first : null;
    while (proto !== null) {
      const name = ownClass(value, proto) ?? platformClass(proto) ??
        unnamedClass(value, proto);
      if (name !== undefined) {
        kind = cloneable[name] && survives(value, name)
          ? "leaf"
          : containers[name] ?? { platform: name };
        break;
      }
      proto = getPrototypeOf(proto);
    }
    setKind(kinds, first, kind);
    return kind;
  }

  /** Why an object does not travel, though those of its class do. */
  function flawOf(value: object, kind: Kind): string | undefined {
    if (kind === "plain") {
      const name = nameOfEmptied(value);
      return name && `built-in object (${name})`;
    }
    const size = kind === "map"
      ? sizeOfMap
      : kind === "set"
      ? sizeOfSet
      : kind === "leaf" && isIn(bufferPrototype, value)
      ? sizeOfBuffer
      : undefined;
    try {
      size?.(value);
    } catch {
      return "Proxy or the like";
    }
    return kind === "leaf" && !sharesMemory && isView(value) &&
        isIn(sharedPrototype, memoryOf(value))
      ? "view of shared memory"
      : undefined;
  }

  /** The name of an object such as `Math`; `undefined` for any other. */
  function nameOfEmptied(value: object): string | undefined {
    for (let i = 0; i < emptied.length; i++) {
      if (emptied[i][1] === value) return emptied[i][0];
    }
    return undefined;
  }

  /** What a view shows. */
  function memoryOf(view: ArrayBufferView): object {
    try {
      return bufferOf.view(view);
    } catch {
      return bufferOf.data(view);
    }
  }

  /** The name of a class of the runtime whose objects would arrive empty. */
  function unnamedClass(value: object, proto: object): string | undefined {
    const name = classOf(proto)?.name;
    return name !== undefined && unnamed[name] && keysOf(value).length === 0
      ? name
      : undefined;
  }

  /** Whether this version of the runtime clones an object as what it is. */
  function survives(value: object, name: string): boolean {
    if (!survivors[name] || carriedAlso[name]) return true;
    try {
      const made = valueOf(spaces[0].all[name]) as typeof Blob;
      return isIn(made.prototype, structuredClone(value));
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
      forEachOfMap(value, (item: unknown, key: unknown) => {
        const shown = typeof key === "string"
          ? stringify(key)
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
      forEachOfSet(value, (item: unknown) => {
        found ||= visit(item, `.values(${i++})`);
      });
    } else if (kind === "error") {
      if (hasOwn(value, "cause")) {
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
      // Properties besides the items.
      const keys = keysOf(array);
      const isMore = keys.length > array.length ||
        keys.length > 0 && matches(/\D/, keys[keys.length - 1]);
      if (isMore) eachOf(value, keys, visit, true);
    } else {
      eachOf(value, keysOf(value), visit);
    }
  }

  function eachOf(
    value: object,
    keys: readonly string[],
    visit: (child: unknown, step: string) => boolean,
    noItems = false,
  ): void {
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i];
      if (noItems && !matches(/\D/, key)) continue;
      const item = (value as Record<string, unknown>)[key];
      const type = typeof item;
      if (
        type !== "object" && type !== "function" && type !== "symbol" ||
        item === null
      ) continue;
      const step = matches(/^[A-Za-z_$][\w$]*$/, key)
        ? `.${key}`
        : matches(/^\d+$/, key)
        ? `[${key}]`
        : `[${stringify(key)}]`;
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
      let isEmpty = true;
      // Nothing that is inherited from there is met.
      for (const key in value) {
        const item = (value as Record<string, unknown>)[key];
        if (!isFine(item, depth + 1)) return false;
        isEmpty = false;
      }
      return !isEmpty || nameOfEmptied(value as object) === undefined;
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
    const kept = moved && findKept(moved);
    if (kept) return kept;
    let found: Untravelable | undefined;
    let seen: Set<object> | undefined;
    let depth = 0;
    let deep = false;
    const todo: Node[] = list();
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
        const whole = isView(value) ? memoryOf(value) : value;
        if (
          isMember(moved, whole) && (movesAll || isIn(bufferPrototype, whole))
        ) {
          if (met) addMember(met, whole);
          return false;
        }
      }
      const kind = kindOf(value);
      const what = typeof kind === "object"
        ? kind.platform
        : flawOf(value, kind);
      if (what !== undefined) {
        found = { path: pathTo(parent, step), what: withArticle(what) };
        return true;
      }
      if (kind === "leaf") return false;
      todo[todo.length] = { value, parent, step, depth };
      return false;
    };
    look(root, rootPath, "");
    while (!found && todo.length > 0) {
      const node = todo[todo.length - 1];
      todo.length--;
      seen ??= new Set();
      if (isMember(seen, node.value)) continue;
      addMember(seen, node.value);
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
        const node = todo[i];
        todo[i] = todo[j];
        todo[j] = node;
      }
    }
    if (deep && !found && isTooDeep(root)) {
      found = { path: rootPath, what: "nested too deep" };
    }
    return found;
  }

  /** What is listed to be moved, and can't be. */
  function findKept(moved: ReadonlySet<object>): Untravelable | undefined {
    let found: Untravelable | undefined;
    let i = -1;
    forEachOfSet(moved, (value: unknown) => {
      i++;
      if (found || isMovable(value)) return;
      const what = typeof value === "object" && value !== null
        ? slice(brandOf(value), 8, -1)
        : typeof value;
      found = { path: `transfer[${i}]`, what: withArticle(what) };
    });
    return found;
  }

  function isMovable(value: unknown): boolean {
    if (typeof value !== "object" || value === null) return false;
    if (isIn(bufferPrototype, value)) {
      try {
        sizeOfBuffer(value);
        return true;
      } catch {
        return false;
      }
    }
    const kind = kindOf(value);
    return typeof kind === "object" && movable[kind.platform];
  }

  function withArticle(what: string): string {
    return `${matches(/^[AEIOaeio](?![A-Z])/, what) ? "an" : "a"} ${what}`;
  }

  /** Whether the stack may not suffice to copy a value over there. */
  function isTooDeep(value: unknown): boolean {
    let nested = value;
    for (let i = 0; i < MARGIN; i++) nested = { nested };
    try {
      structuredClone(nested);
      return false;
    } catch (error) {
      return isIn(RangeError.prototype, error);
    }
  }

  function isDetached(value: unknown): boolean {
    try {
      return isDetachedBuffer(value);
    } catch {
      return false;
    }
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
      ? slice(brandOf(value), 8, -1)
      : typeof value;
    // Nothing in it is refused, and it is no class that is known.
    const what = (type === "Object" || type === "Array") && isRefused(value)
      ? "Proxy or the like"
      : type;
    const shown = `${matches(/^[AEIOaeio]|^un/, what) ? "an" : "a"} ${what}`;
    if (isView(value) && isDetached(memoryOf(value))) {
      return { path, what: `${shown} whose buffer was moved before` };
    }
    return {
      path,
      what: isDetached(value) ? `${shown} that was moved before` : shown,
    };
  }

  return { find, locate };
}
