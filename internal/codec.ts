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
   * @throws {DOMException} `DataCloneError` where structured clone throws one.
   */
  encode(value: unknown, own?: number, apart?: boolean): Packed;
  /** The text that `encode` makes of a value, `undefined` if it makes bytes of it. */
  text(value: unknown, own?: number): string | undefined;
  decode(packed: Packed): unknown;
  /** Decodes what was packed with no buffers apart, a text as its bytes or as it is. */
  read(packed: string | Uint8Array<ArrayBuffer>): unknown;
  /** Whether `encode` threw this since it has something to read, and when it has. */
  whenRead(thrown: unknown): Promise<void> | undefined;
}

/** The part of `node:v8` that is used. */
interface V8 {
  Serializer: new () => {
    _getDataCloneError?: unknown;
    _writeHostObject?: unknown;
    writeHeader(): void;
    transferArrayBuffer(id: number, buffer: ArrayBuffer): void;
    writeValue(value: unknown): void;
    releaseBuffer(): Uint8Array<ArrayBuffer>;
  };
  Deserializer: new (bytes: Uint8Array) => {
    readHeader(): void;
    transferArrayBuffer(id: number, buffer: ArrayBuffer): void;
    readValue(): unknown;
  };
}

/**
 * Makes a codec.
 *
 * Self-contained: children get it as its source.
 *
 * @param canWait Whether who encodes can wait: where there are Blobs, `encode`
 * then throws, and is to be called again when `whenRead` says so.
 */
export function makeCodec(canWait = false): Codec {
  /** A module of Node's: loaded when it is first needed, which takes 10 ms. */
  function builtin<M>(name: string): M {
    const { process } = globalThis as unknown as {
      process: { getBuiltinModule(name: string): M };
    };
    return process.getBuiltinModule(name);
  }
  /** The part of `node:util/types` that is used. */
  interface Types {
    isProxy(value: unknown): boolean;
    isMap(value: unknown): boolean;
    isSet(value: unknown): boolean;
    isAnyArrayBuffer(value: unknown): boolean;
  }
  let types: Types | undefined;
  const loadTypes = () => types ??= builtin<Types>("node:util/types");
  // Taken before any task runs: one may put its own in their place.
  const { parse, stringify } = JSON;
  const { getPrototypeOf, getOwnPropertySymbols, keys: keysOf, is } = Object;
  const { set: setProperty } = Reflect;
  const { isArray } = Array;
  const { isFinite } = Number;
  const brandOf = Object.prototype.toString;
  const { Blob, File, Worker, URL } = globalThis;
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

  // ---- Plain values --------------------------------------------------------

  /** Keys that were looked at: objects of a kind have the same. */
  let safeKeys = new Set<string>();

  /** Whether V8's JSON.parse can't take a key for another one. */
  function isSafeKey(key: string): boolean {
    if (safeKeys.has(key)) return true;
    if (!/^[ !#-[\]-\ud7ff\ue000-\uffff]*$/.test(key)) return false;
    if (safeKeys.size >= 1000) safeKeys = new Set();
    if (key.length < 50) safeKeys.add(key);
    return true;
  }

  /** The objects that were met; most values are one, which takes no set. */
  interface Seen {
    first: object | undefined;
    all: Set<object> | undefined;
  }

  /** Takes note of an object, if it was not met before. */
  function isNew(value: object, seen: Seen): boolean {
    if (!seen.first) {
      seen.first = value;
      return true;
    }
    const all = seen.all ??= new Set([seen.first]);
    const { size } = all;
    all.add(value);
    return all.size > size;
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
    if (isArray(value)) {
      if (
        value.length > LONGEST || getPrototypeOf(value) !== Array.prototype
      ) return false;
      // A hole reads as undefined, which is not plain.
      for (let i = 0; i < value.length; i++) {
        if (!isPlain(value[i], seen, depth + 1, own)) return false;
      }
      return keysOf(value).length === value.length;
    }
    // What is something else inside may have the prototype of a plain object.
    if (
      getPrototypeOf(value) !== Object.prototype ||
      brandOf.call(value) !== "[object Object]" || ArrayBuffer.isView(value)
    ) return false;
    const keys = keysOf(value);
    if (keys.length === 0 && depth >= own) {
      const { isMap, isSet, isAnyArrayBuffer } = loadTypes();
      if (isMap(value) || isSet(value) || isAnyArrayBuffer(value)) return false;
    }
    for (const key of keys) {
      if (!isSafeKey(key)) return false;
      const item = (value as Record<string, unknown>)[key];
      // JSON leaves it out: of what the library made, it is undefined all the same.
      if (item === undefined && depth < own) continue;
      if (!isPlain(item, seen, depth + 1, own)) return false;
    }
    return true;
  }

  // ---- All other values ----------------------------------------------------

  function toBytes(value: unknown, apart: boolean): Packed {
    const serializer = new (builtin<V8>("node:v8").Serializer)();
    serializer._getDataCloneError = (message: string) =>
      new CloneError(message);
    serializer._writeHostObject = () => {
      throw new CloneError("an object of the runtime could not be cloned");
    };
    serializer.writeHeader();
    const { exceptions, blobs, buffers } = specialsIn(value);
    if (apart) {
      buffers.forEach((buffer, i) => serializer.transferArrayBuffer(i, buffer));
    }
    try {
      serializer.writeValue(
        exceptions.length + blobs.length === 0 ? [value] : [
          value,
          [...exceptions, ...blobs],
          exceptions.map((
            { name, message, stack },
          ) => [name, message, stack]),
          contentsOf(blobs),
        ],
      );
      const bytes = serializer.releaseBuffer();
      return apart && buffers.length > 0 ? { bytes, buffers } : bytes;
    } catch (error) {
      if (!(error instanceof CloneError)) throw error;
      throw new DOMException(error.message, "DataCloneError");
    } finally {
      // In Deno 2.5 it and its native half, which has seen all of the value, hold
      // each other for ever, where no collector sees it: this lets go of that half.
      for (const key of getOwnPropertySymbols(serializer)) {
        setProperty(serializer, key, undefined);
      }
    }
  }

  function fromBytes(
    bytes: Uint8Array,
    buffers: readonly ArrayBuffer[],
  ): unknown {
    const deserializer = new (builtin<V8>("node:v8").Deserializer)(bytes);
    buffers.forEach((buffer, i) => deserializer.transferArrayBuffer(i, buffer));
    deserializer.readHeader();
    const [value, standIns, exceptions, blobs] = deserializer.readValue() as [
      unknown,
      object[] | undefined,
      [string, string, string][],
      Content[],
    ];
    if (!standIns) return value;
    const meant = [...exceptions.map(makeException), ...blobs.map(makeBlob)];
    return replaceIn(value, new Map(standIns.map((one, i) => [one, meant[i]])));
  }

  function makeException(
    [name, message, stack]: [string, string, string],
  ): DOMException {
    const exception = new DOMException(message, name);
    Object.defineProperty(exception, "stack", {
      value: stack,
      writable: true,
      configurable: true,
    });
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

  function contentsOf(blobs: readonly Blob[]): Content[] {
    if (blobs.length === 0) return [];
    const isRead = blobs.every((blob) => read.has(blob));
    // Where others were read, a getter makes new ones whenever it is asked.
    if (canWait && !isRead && read.size === 0) {
      reading = Promise.all(blobs.map(async (blob) => {
        read.set(blob, new Uint8Array(await blob.arrayBuffer()));
      })).then(() => {});
      throw UNREAD;
    }
    const all = isRead ? undefined : readBlobs(blobs);
    let at = 0;
    const contents = blobs.map((blob) => {
      const bytes = all?.slice(at, at += blob.size) ?? read.get(blob)!;
      const { type } = blob;
      if (!(blob instanceof File)) return { bytes, type };
      const { name, lastModified } = blob;
      return { bytes, type, name, lastModified };
    });
    read.clear();
    return contents;
  }

  function makeBlob({ bytes, type, name, lastModified }: Content): Blob {
    return name === undefined
      ? new Blob([bytes], { type })
      : new File([bytes], name, { type, lastModified });
  }

  /**
   * The bytes of all of them, one after another. They can only be read by code
   * that waits, and values are taken as they are now: so another thread reads
   * them, while this one stands still for some 25 ms.
   */
  function readBlobs(blobs: readonly Blob[]): Uint8Array<ArrayBuffer> {
    const size = blobs.reduce((sum, blob) => sum + blob.size, 0);
    const bytes = new SharedArrayBuffer(size);
    const done = new Int32Array(new SharedArrayBuffer(4));
    const program = `(${readInOtherThread})(self)`;
    const url = URL.createObjectURL(
      new Blob([program], { type: "text/javascript" }),
    );
    const worker = new Worker(url, { type: "module" });
    worker.postMessage({ blobs, bytes, done });
    Atomics.wait(done, 0, 0, SLOWEST);
    worker.terminate();
    URL.revokeObjectURL(url);
    if (Atomics.load(done, 0) === 0) {
      throw new DOMException("A Blob could not be read", "DataCloneError");
    }
    return new Uint8Array(bytes).slice();
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

  /** Calls `visit` with each object in a value, itself included, once. */
  function walk(root: unknown, visit: (object: object) => void): void {
    const seen = new Set<object>();
    const todo: unknown[] = [root];
    while (todo.length > 0) {
      const value = todo.pop();
      if (typeof value !== "object" || value === null || seen.has(value)) {
        continue;
      }
      seen.add(value);
      visit(value);
      if (value instanceof Map) {
        for (const [key, item] of value) todo.push(key, item);
      } else if (value instanceof Set) {
        for (const item of value) todo.push(item);
      } else if (value instanceof Error) {
        if (Object.hasOwn(value, "cause")) todo.push(value.cause);
      } else if (!ArrayBuffer.isView(value)) {
        const keys = Array.isArray(value) && value.length > 1e4 &&
            value.length < 1e7
          ? value.keys()
          : Object.keys(value);
        for (const key of keys) {
          const item = (value as Record<string | number, unknown>)[key];
          if (typeof item === "object") todo.push(item);
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
    const exceptions: DOMException[] = [];
    const blobs: Blob[] = [];
    const buffers = new Set<ArrayBuffer>();
    walk(value, (object) => {
      if (object instanceof DOMException) exceptions.push(object);
      if (object instanceof Blob) blobs.push(object);
      const buffer = ArrayBuffer.isView(object) ? object.buffer : object;
      if (
        buffer instanceof ArrayBuffer && buffer.byteLength >= LARGE &&
        !buffer.resizable
      ) buffers.add(buffer);
    });
    return { exceptions, blobs, buffers: [...buffers] };
  }

  function replaceIn(root: unknown, revived: Map<unknown, unknown>): unknown {
    const swap = (value: unknown) =>
      revived.has(value) ? revived.get(value) : value;
    walk(root, (object) => {
      if (object instanceof Map) {
        const entries = [...object];
        object.clear();
        for (const [key, item] of entries) object.set(swap(key), swap(item));
      } else if (object instanceof Set) {
        const items = [...object];
        object.clear();
        for (const item of items) object.add(swap(item));
      } else if (object instanceof Error) {
        if (revived.has(object.cause)) object.cause = revived.get(object.cause);
      } else if (!ArrayBuffer.isView(object)) {
        const record = object as Record<string, unknown>;
        for (const key of Object.keys(record)) {
          if (revived.has(record[key])) record[key] = revived.get(record[key]);
        }
      }
    });
    return swap(root);
  }

  function toText(value: unknown, own = 0): string | undefined {
    const seen = { first: undefined, all: undefined };
    return isPlain(value, seen, 0, own) ? stringify(value) : undefined;
  }

  return {
    encode: (value, own, apart = false) =>
      toText(value, own) ?? toBytes(value, apart),
    text: toText,
    decode: (packed) => {
      if (typeof packed === "string") return parse(packed);
      return packed instanceof Uint8Array
        ? fromBytes(packed, [])
        : fromBytes(packed.bytes, packed.buffers);
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
