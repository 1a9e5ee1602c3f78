/**
 * A value to text or bytes and back, with the meaning of structured clone:
 * what a child process is sent, and sends.
 *
 * Plain values, which JSON gives back as they were, become JSON text. All else
 * (`Map`, `undefined`, `-0`, cycles, typed arrays, errors …) becomes the bytes
 * of V8's serialiser, which is structured clone itself and so has its meaning
 * by construction.
 *
 * Why both: for 1,000 small objects JSON takes 0.13 ms to write and 0.25 to
 * read, V8's serialiser 0.28 and 0.50, and the arguments of most calls are
 * plain; yet 64 MiB of binary data pass through V8's serialiser in 50 and 25 ms
 * as what they are, where base64 would make a third more of them.
 */

/** A value on its way: JSON text, or the bytes of V8's serialiser. */
export type Packed = string | Uint8Array<ArrayBuffer> | PackedWithBuffers;

/** JSON that came from elsewhere, and that nobody here has read: it is no part of a line. */
export interface UnreadText {
  readonly text: Uint8Array;
}

/** A value with large buffers, which go as they are, in no serialiser's copy. */
export interface PackedWithBuffers {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** In their order; on their way out, the caller's own memory. */
  readonly buffers: readonly ArrayBuffer[];
}

/** Turns values into something to send, and back. */
export interface Codec {
  /**
   * @param own How many levels of the value the library made itself.
   * @param apart Whether large buffers may go apart, uncopied.
   * @param canWait Whether the caller can wait: where there are Blobs, `encode`
   * then throws, and is to be called again when `whenRead` says so. Else this
   * thread stands still while another one reads them.
   * @throws {DOMException} `DataCloneError` where structured clone throws one.
   */
  encode(
    value: unknown,
    own?: number,
    apart?: boolean,
    canWait?: boolean,
  ): Packed;
  /** The text that `encode` makes of a value, `undefined` if it makes bytes of it. */
  text(value: unknown, own?: number): string | undefined;
  decode(packed: Packed): unknown;
  /** Decodes what was packed with no buffers apart, a text as its bytes or as it is. */
  read(packed: string | Uint8Array<ArrayBuffer>): unknown;
  /** Whether `encode` threw this since it has something to read, and when it has. */
  whenRead(thrown: unknown): Promise<void> | undefined;
}

/** The part of `node:v8` that is used: its classes, and their methods as functions. */
interface V8 {
  readonly Serializer: new () => object;
  writeHeader(serializer: object): void;
  moveIn(serializer: object, id: number, buffer: ArrayBuffer): void;
  writeValue(serializer: object, value: unknown): void;
  releaseBuffer(serializer: object): Uint8Array<ArrayBuffer>;
  readonly Deserializer: new (bytes: Uint8Array) => object;
  readHeader(deserializer: object): void;
  moveOut(deserializer: object, id: number, buffer: ArrayBuffer): void;
  readValue(deserializer: object): unknown;
}

/**
 * Makes a codec.
 *
 * Self-contained: children get it as its source.
 */
export function makeCodec(): Codec {
  /** A module of Node's: loaded when it is first needed, which takes 10 ms. */
  function builtin(name: string): Record<string, unknown> {
    process ??= valueOf(processThere!) as Process;
    return apply(process.getBuiltinModule, process, [name]) as Record<
      string,
      unknown
    >;
  }
  /**
   * A task may have had a module before, and have put something of its own there.
   * That must not write or read what others send: so it is tried first.
   */
  function assertGenuine(name: string, works: () => boolean): void {
    let why: unknown;
    try {
      if (works()) return;
    } catch (error) {
      why = error;
    }
    throw new Error(
      `Cannot copy the value: ${name}, by which values are copied, does something else here than the runtime's, as a task that replaced it may have it`,
      { cause: why },
    );
  }
  let v8: V8 | undefined;
  /** Taken all at once: what a task replaces later does not matter. */
  function loadV8(): V8 {
    if (v8) return v8;
    const module = builtin("node:v8");
    type Class = V8["Serializer"] & V8["Deserializer"];
    const { Serializer, Deserializer } = module as Record<string, Class>;
    const method = ({ prototype }: Class, name: string) =>
      uncurried((prototype as Record<string, unknown>)[name]);
    const found: V8 = {
      Serializer,
      writeHeader: method(Serializer, "writeHeader"),
      moveIn: method(Serializer, "transferArrayBuffer"),
      writeValue: method(Serializer, "writeValue"),
      releaseBuffer: method(Serializer, "releaseBuffer"),
      Deserializer,
      readHeader: method(Deserializer, "readHeader"),
      moveOut: method(Deserializer, "transferArrayBuffer"),
      readValue: method(Deserializer, "readValue"),
    };
    assertGenuine("node:v8", () => {
      const writer = new found.Serializer();
      found.writeHeader(writer);
      const sample = new Map();
      const object = {};
      setIn(sample, object, [-0, object, "a\u20ac"]);
      found.writeValue(writer, [sample]);
      const reader = new found.Deserializer(found.releaseBuffer(writer));
      letGo(writer);
      found.readHeader(reader);
      const map = (found.readValue(reader) as unknown[])[0];
      let isRight = false;
      forEachOfMap(map, (value: unknown[], key: unknown) => {
        isRight = is(value[0], -0) && value[1] === key &&
          getPrototypeOf(key) === objectPrototype && value[2] === "a\u20ac";
      });
      return isRight;
    });
    return v8 = found;
  }
  type Process = { getBuiltinModule(name: string): unknown };
  let process: Process | undefined;
  // Not read yet: that, too, takes 10 ms.
  const processThere = Object.getOwnPropertyDescriptor(globalThis, "process");
  const valueOf = (there: PropertyDescriptor): unknown =>
    hasOwn(there, "value") ? there.value : apply(there.get!, globalThis, []);
  /** The part of `node:util/types` that is used. */
  interface Types {
    isProxy(value: unknown): boolean;
    isMap(value: unknown): boolean;
    isSet(value: unknown): boolean;
    isAnyArrayBuffer(value: unknown): boolean;
  }
  let types: Types | undefined;
  function loadTypes(): Types {
    if (types) return types;
    const { isProxy, isMap, isSet, isAnyArrayBuffer } = builtin(
      "node:util/types",
    ) as unknown as Types;
    assertGenuine("node:util/types", () => {
      const samples = list([
        new Proxy({}, {}),
        new Map(),
        new Set(),
        new Memory(0),
        {},
      ]);
      const asked = list([isProxy, isMap, isSet, isAnyArrayBuffer]);
      for (let i = 0; i < asked.length; i++) {
        for (let j = 0; j < samples.length; j++) {
          if ((0, asked[i])(samples[j]) !== (i === j)) return false;
        }
      }
      return true;
    });
    return types = { isProxy, isMap, isSet, isAnyArrayBuffer };
  }
  // Taken before any task runs: one may put its own in their place.
  const { parse, stringify } = JSON;
  const { defineProperty, getPrototypeOf, setPrototypeOf } = Object;
  const { getOwnPropertySymbols, keys: keysOf, is } = Object;
  const { apply, set: setProperty } = Reflect;
  const { isArray } = Array;
  const { isFinite } = Number;
  const { isView } = ArrayBuffer;
  const { Blob, DOMException, Error, File, Map, Set, URL } = globalThis;
  const { ArrayBuffer: Memory, RangeError, Uint8Array } = globalThis;
  const { Int32Array, Proxy, SharedArrayBuffer, Worker } = globalThis;
  const { load, wait } = Atomics;
  const { createObjectURL, revokeObjectURL } = URL;
  const { bind, call } = Function.prototype;
  /** A method as a function of what it is a method of. */
  // deno-lint-ignore no-explicit-any -- of whatever method
  const uncurried = (method: any): any => bind.call(call, method);
  const getter = (proto: object, key: string) =>
    uncurried(Object.getOwnPropertyDescriptor(proto, key)!.get);
  const brandOf = uncurried(Object.prototype.toString);
  const hasOwn = uncurried(Object.prototype.hasOwnProperty);
  const isIn = uncurried(Object.prototype.isPrototypeOf);
  const forEachOfMap = uncurried(Map.prototype.forEach);
  const forEachOfSet = uncurried(Set.prototype.forEach);
  const isMember = uncurried(Set.prototype.has);
  const addMember = uncurried(Set.prototype.add);
  const clearSet = uncurried(Set.prototype.clear);
  const isKey = uncurried(Map.prototype.has);
  const getFrom = uncurried(Map.prototype.get);
  const setIn = uncurried(Map.prototype.set);
  const clearMap = uncurried(Map.prototype.clear);
  const sizeOfSet = getter(Set.prototype, "size");
  const sizeOfMap = getter(Map.prototype, "size");
  const sliceOf = uncurried(Uint8Array.prototype.slice);
  const bufferOfBlob = uncurried(Blob.prototype.arrayBuffer);
  const sizeOfBlob = getter(Blob.prototype, "size");
  const typeOfBlob = getter(Blob.prototype, "type");
  const nameOfFile = getter(File.prototype, "name");
  const dateOfFile = getter(File.prototype, "lastModified");
  const postTo = uncurried(Worker.prototype.postMessage);
  const terminate = uncurried(Worker.prototype.terminate);
  const sizeOfBuffer = getter(Memory.prototype, "byteLength");
  const isResizable = getter(Memory.prototype, "resizable");
  const viewPrototype = getPrototypeOf(Uint8Array.prototype);
  const bufferOfBytes = getter(viewPrototype, "buffer");
  const bufferOfView = getter(DataView.prototype, "buffer");
  const objectPrototype = Object.prototype;
  const arrayPrototype = Array.prototype;
  /** A pattern is asked by no method of its own, which a task could replace. */
  const matches = uncurried(RegExp.prototype.exec);
  /** A list that inherits nothing: a setter for its items would be met, too. */
  const list = <T>(items: T[] = []): T[] => setPrototypeOf(items, null) as T[];
  const decoder = new TextDecoder();
  const decodeText = decoder.decode.bind(decoder);

  /** What V8's serialiser throws, as opposed to what a getter does. */
  class CloneError extends Error {}
  /** Nests deeper than this, or an array longer: V8's serialiser does better. */
  const DEEPEST = 100;
  const LONGEST = 2000;
  /** How long it may take to read Blobs, in milliseconds. */
  const SLOWEST = 60_000;
  /** A buffer of this size is worth going apart, in bytes. */
  const LARGE = 65536;
  /**
   * More text than this, with six bytes for each unit of it at most, may be more
   * than a decoder takes.
   */
  const LONGEST_TEXT = 1 << 26;

  // ---- Plain values --------------------------------------------------------

  /** Keys that were looked at: objects of a kind have the same. */
  let safeKeys = new Set<string>();
  const KEY = /^[ !#-[\]-\ud7ff\ue000-\uffff]*$/;

  /** Whether V8's JSON.parse can't take a key for another one. */
  function isSafeKey(key: string): boolean {
    if (isMember(safeKeys, key)) return true;
    if (key.length > LONGEST || !matches(KEY, key)) return false;
    if (sizeOfSet(safeKeys) >= 1000) safeKeys = new Set();
    if (key.length < 50) addMember(safeKeys, key);
    return true;
  }

  /** The objects that were met; most values are one, which takes no set. */
  interface Seen {
    first: object | undefined;
    all: Set<object> | undefined;
    /** How much text there was, in code units. */
    text: number;
  }

  /** Takes note of an object, if it was not met before. */
  function isNew(value: object, seen: Seen): boolean {
    if (!seen.first) {
      seen.first = value;
      return true;
    }
    if (!seen.all) {
      seen.all = new Set();
      addMember(seen.all, seen.first);
    }
    if (isMember(seen.all, value)) return false;
    addMember(seen.all, value);
    return true;
  }

  /** Whether JSON gives a value back just as structured clone would. */
  function isPlain(
    value: unknown,
    seen: Seen,
    depth: number,
    own: number,
  ): boolean {
    switch (typeof value) {
      case "string":
        return (seen.text += value.length) <= LONGEST_TEXT;
      case "boolean":
        return true;
      case "number":
        return isFinite(value) && !is(value, -0);
      case "object":
        break;
      default:
        return false;
    }
    if (value === null) return true;
    // An object seen before is shared, or part of a cycle.
    if (depth > DEEPEST || !isNew(value, seen)) return false;
    // JSON sees through a proxy, which structured clone refuses.
    if (depth >= own && loadTypes().isProxy(value)) return false;
    // JSON would ask that, where a task gave one to all objects too.
    if (typeof (value as { toJSON?: unknown }).toJSON === "function") {
      return false;
    }
    const proto = getPrototypeOf(value);
    if (isArray(value)) {
      if (value.length > LONGEST || proto !== arrayPrototype && proto) {
        return false;
      }
      // A hole reads as undefined, which is not plain.
      for (let i = 0; i < value.length; i++) {
        if (!isPlain(value[i], seen, depth + 1, own)) return false;
      }
      return keysOf(value).length === value.length;
    }
    // What is something else inside may have the prototype of a plain object.
    if (
      proto !== objectPrototype && proto ||
      brandOf(value) !== "[object Object]" || isView(value)
    ) return false;
    const keys = keysOf(value);
    if (keys.length === 0 && depth >= own) {
      const { isMap, isSet, isAnyArrayBuffer } = loadTypes();
      if (isMap(value) || isSet(value) || isAnyArrayBuffer(value)) return false;
    }
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i];
      if (!isSafeKey(key)) return false;
      const item = (value as Record<string, unknown>)[key];
      // JSON leaves it out: of what the library made, it is undefined all the same.
      if (item === undefined && depth < own) continue;
      if (!isPlain(item, seen, depth + 1, own)) return false;
    }
    return true;
  }

  // ---- All other values ----------------------------------------------------

  function toBytes(value: unknown, apart: boolean, canWait: boolean): Packed {
    const { Serializer, writeHeader, moveIn, writeValue, releaseBuffer } =
      loadV8();
    const serializer = new Serializer();
    define(
      serializer,
      "_getDataCloneError",
      (message: string) => new CloneError(message),
    );
    define(serializer, "_writeHostObject", () => {
      throw new CloneError("an object of the runtime could not be cloned");
    });
    writeHeader(serializer);
    const { exceptions, blobs, buffers } = specialsIn(value);
    if (apart) {
      for (let i = 0; i < buffers.length; i++) {
        moveIn(serializer, i, buffers[i]);
      }
    }
    try {
      const root: unknown[] = list([value]);
      if (exceptions.length + blobs.length > 0) {
        const standIns: object[] = list();
        const texts: unknown[] = list();
        for (let i = 0; i < exceptions.length; i++) {
          const { name, message, stack } = exceptions[i];
          standIns[i] = exceptions[i];
          texts[i] = list([name, message, stack]);
        }
        for (let i = 0; i < blobs.length; i++) {
          standIns[standIns.length] = blobs[i];
        }
        root[1] = standIns;
        root[2] = texts;
        root[3] = contentsOf(blobs, canWait);
      }
      writeValue(serializer, root);
      const bytes = releaseBuffer(serializer);
      return apart && buffers.length > 0 ? { bytes, buffers } : bytes;
    } catch (error) {
      if (!isIn(CloneError.prototype, error)) throw error;
      throw new DOMException((error as Error).message, "DataCloneError");
    } finally {
      letGo(serializer);
    }
  }

  /**
   * In Deno 2.5 it and its native half, which has seen all of the value, hold each
   * other for ever, where no collector sees it: this lets go of that half.
   */
  function letGo(serializer: object): void {
    const symbols = getOwnPropertySymbols(serializer);
    for (let i = 0; i < symbols.length; i++) {
      setProperty(serializer, symbols[i], undefined);
    }
  }

  function define(object: object, key: string, value: unknown): void {
    defineProperty(object, key, {
      __proto__: null,
      value,
      writable: true,
      configurable: true,
    } as PropertyDescriptor);
  }

  function fromBytes(
    bytes: Uint8Array,
    buffers: readonly ArrayBuffer[],
  ): unknown {
    const { Deserializer, readHeader, moveOut, readValue } = loadV8();
    const deserializer = new Deserializer(bytes);
    for (let i = 0; i < buffers.length; i++) {
      moveOut(deserializer, i, buffers[i]);
    }
    readHeader(deserializer);
    // Of its own properties alone: a task may have given all lists more.
    const read = setPrototypeOf(readValue(deserializer) as object, null) as [
      unknown,
      object[] | undefined,
      [string, string, string][],
      Content[],
    ];
    const value = read[0];
    const standIns = read[1];
    if (!standIns) return value;
    const meant = new Map<unknown, unknown>();
    const exceptions = read[2];
    const blobs = read[3];
    for (let i = 0; i < standIns.length; i++) {
      const made = i < exceptions.length
        ? makeException(exceptions[i])
        : makeBlob(blobs[i - exceptions.length]);
      setIn(meant, standIns[i], made);
    }
    return replaceIn(value, meant);
  }

  function makeException(texts: [string, string, string]): DOMException {
    const exception = new DOMException(texts[1], texts[0]);
    define(exception, "stack", texts[2]);
    return exception;
  }

  // ---- Blobs -----------------------------------------------------------------

  /** What a Blob, or with a name a File, is made from. */
  interface Content {
    readonly bytes: Uint8Array<ArrayBuffer>;
    readonly type: string;
    readonly name?: string;
    readonly lastModified?: number;
  }

  /** What was read of Blobs, until it is encoded. */
  const read = new Map<Blob, Uint8Array<ArrayBuffer>>();
  /** What is thrown while they are still to be read, and when they are. */
  const UNREAD = {};
  let reading: Promise<void> | undefined;

  function contentsOf(blobs: readonly Blob[], canWait: boolean): Content[] {
    const contents: Content[] = list();
    if (blobs.length === 0) return contents;
    let isRead = true;
    for (let i = 0; i < blobs.length; i++) isRead &&= isKey(read, blobs[i]);
    // Where others were read, a getter makes new ones whenever it is asked.
    if (canWait && !isRead && sizeOfMap(read) === 0) {
      reading = readLater(blobs);
      throw UNREAD;
    }
    const all = isRead ? undefined : readBlobs(blobs);
    let at = 0;
    for (let i = 0; i < blobs.length; i++) {
      const blob = blobs[i];
      const bytes: Uint8Array<ArrayBuffer> = all
        ? sliceOf(all, at, at += sizeOfBlob(blob))
        : getFrom(read, blob);
      const type = typeOfBlob(blob);
      contents[i] = isIn(File.prototype, blob)
        ? {
          bytes,
          type,
          name: nameOfFile(blob),
          lastModified: dateOfFile(blob),
        }
        : { bytes, type };
    }
    clearMap(read);
    return contents;
  }

  async function readLater(blobs: readonly Blob[]): Promise<void> {
    // All of them at once.
    const bytes = list<Promise<ArrayBuffer>>();
    for (let i = 0; i < blobs.length; i++) bytes[i] = bufferOfBlob(blobs[i]);
    for (let i = 0; i < blobs.length; i++) {
      setIn(read, blobs[i], new Uint8Array(await bytes[i]));
    }
  }

  function makeBlob({ bytes, type, name, lastModified }: Content): Blob {
    return name === undefined
      ? new Blob([bytes], setPrototypeOf({ type }, null))
      : new File([bytes], name, setPrototypeOf({ type, lastModified }, null));
  }

  /**
   * The bytes of all of them, one after another. They can only be read by code
   * that waits, and values are taken as they are now: so another thread reads
   * them, while this one stands still for some 25 ms.
   */
  function readBlobs(blobs: readonly Blob[]): Uint8Array<ArrayBuffer> {
    let size = 0;
    for (let i = 0; i < blobs.length; i++) size += sizeOfBlob(blobs[i]);
    const bytes = new SharedArrayBuffer(size);
    const done = new Int32Array(new SharedArrayBuffer(4));
    const program = `(${readInOtherThread})(self)`;
    const url = createObjectURL(
      new Blob([program], { type: "text/javascript" }),
    );
    const worker = new Worker(url, { type: "module" });
    postTo(worker, {
      blobs: setPrototypeOf(blobs, arrayPrototype),
      bytes,
      done,
    });
    wait(done, 0, 0, SLOWEST);
    terminate(worker);
    revokeObjectURL(url);
    if (load(done, 0) === 0) {
      throw new DOMException("A Blob could not be read", "DataCloneError");
    }
    return sliceOf(new Uint8Array(bytes));
  }

  /** Self-contained. */
  function readInOtherThread(scope: {
    onmessage: (event: MessageEvent) => Promise<void>;
  }): void {
    scope.onmessage = async ({ data: { blobs, bytes, done } }) => {
      new Uint8Array(bytes).set(
        new Uint8Array(await new Blob(blobs).arrayBuffer()),
      );
      Atomics.store(done, 0, 1);
      Atomics.notify(done, 0);
    };
  }

  // ---- What V8's serialiser does not know --------------------------------------
  // It makes plain errors of DOMExceptions, and empty objects of Blobs. These
  // stand in for them on the way, and are found again by identity.

  function isIndex(key: string): boolean {
    return `${key as unknown as number >>> 0}` === key;
  }

  /** Calls `visit` with each object in a value, itself included, once. */
  function walk(root: unknown, visit: (object: object) => void): void {
    const seen = new Set<object>();
    const todo: unknown[] = list([root]);
    const add = (value: unknown) => {
      if (typeof value === "object" && value !== null) {
        todo[todo.length] = value;
      }
    };
    while (todo.length > 0) {
      const value = todo[todo.length - 1] as object;
      todo.length--;
      if (typeof value !== "object" || value === null) continue;
      if (isMember(seen, value)) continue;
      addMember(seen, value);
      visit(value);
      if (isIn(Map.prototype, value)) {
        forEachOfMap(value, (item: unknown, key: unknown) => {
          add(key);
          add(item);
        });
      } else if (isIn(Set.prototype, value)) {
        forEachOfSet(value, add);
      } else if (isIn(Error.prototype, value)) {
        if (hasOwn(value, "cause")) add((value as Error).cause);
      } else if (isArray(value) && value.length > 1e4 && value.length < 1e7) {
        for (let i = 0; i < value.length; i++) add(value[i]);
        // What it has besides comes last.
        const keys = keysOf(value);
        for (let i = keys.length - 1; i >= 0 && !isIndex(keys[i]); i--) {
          add((value as unknown as Record<string, unknown>)[keys[i]]);
        }
      } else if (!isView(value)) {
        const keys = keysOf(value);
        for (let i = 0; i < keys.length; i++) {
          add((value as Record<string, unknown>)[keys[i]]);
        }
      }
    }
  }

  /** What V8's serialiser needs help with. */
  function specialsIn(value: unknown): {
    exceptions: DOMException[];
    blobs: Blob[];
    buffers: ArrayBuffer[];
  } {
    const exceptions: DOMException[] = list();
    const blobs: Blob[] = list();
    const buffers: ArrayBuffer[] = list();
    const met = new Set<ArrayBuffer>();
    walk(value, (object) => {
      if (isIn(DOMException.prototype, object)) {
        exceptions[exceptions.length] = object as DOMException;
      }
      if (isIn(Blob.prototype, object)) blobs[blobs.length] = object as Blob;
      const buffer = isView(object) ? memoryOf(object) : object;
      if (
        isIn(Memory.prototype, buffer) && sizeOfBuffer(buffer) >= LARGE &&
        !isResizable(buffer) && !isMember(met, buffer)
      ) {
        addMember(met, buffer);
        buffers[buffers.length] = buffer as ArrayBuffer;
      }
    });
    // Others take these for lists like all.
    setPrototypeOf(blobs, arrayPrototype);
    setPrototypeOf(buffers, arrayPrototype);
    return { exceptions, blobs, buffers };
  }

  /** What a view shows. */
  function memoryOf(view: ArrayBufferView): object {
    try {
      return bufferOfBytes(view);
    } catch {
      return bufferOfView(view);
    }
  }

  function replaceIn(root: unknown, meant: Map<unknown, unknown>): unknown {
    const swap = (value: unknown) =>
      isKey(meant, value) ? getFrom(meant, value) : value;
    walk(root, (object) => {
      if (isIn(Map.prototype, object)) {
        const keys: unknown[] = list();
        const items: unknown[] = list();
        forEachOfMap(object, (item: unknown, key: unknown) => {
          keys[keys.length] = key;
          items[items.length] = item;
        });
        clearMap(object);
        for (let i = 0; i < keys.length; i++) {
          setIn(object, swap(keys[i]), swap(items[i]));
        }
      } else if (isIn(Set.prototype, object)) {
        const items: unknown[] = list();
        forEachOfSet(object, (item: unknown) => {
          items[items.length] = item;
        });
        clearSet(object);
        for (let i = 0; i < items.length; i++) {
          addMember(object, swap(items[i]));
        }
      } else if (isIn(Error.prototype, object)) {
        const error = object as Error;
        if (hasOwn(error, "cause") && isKey(meant, error.cause)) {
          error.cause = getFrom(meant, error.cause);
        }
      } else if (!isView(object)) {
        const record = object as Record<string, unknown>;
        const keys = keysOf(record);
        for (let i = 0; i < keys.length; i++) {
          const key = keys[i];
          if (isKey(meant, record[key])) {
            record[key] = getFrom(meant, record[key]);
          }
        }
      }
    });
    return swap(root);
  }

  function toText(value: unknown, own = 0): string | undefined {
    const seen = { first: undefined, all: undefined, text: 0 };
    if (!isPlain(value, seen, 0, own)) return undefined;
    try {
      return stringify(value);
    } catch (error) {
      // It would be longer than a text can be.
      if (isIn(RangeError.prototype, error)) return undefined;
      throw error;
    }
  }

  return {
    encode: (value, own, apart = false, canWait = false) =>
      toText(value, own) ?? toBytes(value, apart, canWait),
    text: toText,
    decode: (packed) => {
      if (typeof packed === "string") return parse(packed);
      return isIn(Uint8Array.prototype, packed)
        ? fromBytes(packed as Uint8Array, [])
        : fromBytes(
          (packed as PackedWithBuffers).bytes,
          (packed as PackedWithBuffers).buffers,
        );
    },
    read: (packed) =>
      typeof packed === "string"
        ? parse(packed)
        // What V8's serialiser wrote begins with this, and no text does.
        : packed[0] === 0xff
        ? fromBytes(packed, [])
        : parse(decodeText(packed)),
    whenRead: (thrown) => thrown === UNREAD ? reading : undefined,
  };
}
