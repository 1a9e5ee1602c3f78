/** Whether a value is a faithful copy of another: stricter than `assertEquals`. */

/** Where two values differ, `undefined` if nowhere. */
export function difference(
  actual: unknown,
  expected: unknown,
): string | undefined {
  const pairs = new Map<unknown, unknown>();
  const backwards = new Map<unknown, unknown>();
  const todo: [unknown, unknown, string][] = [[actual, expected, "value"]];
  for (let next; (next = todo.pop());) {
    const [a, b, path] = next;
    const differs = differ(a, b, path);
    if (differs !== undefined) return differs;
  }
  return undefined;

  function differ(a: unknown, b: unknown, path: string): string | undefined {
    const say = (what: string, x: unknown, y: unknown) =>
      Object.is(x, y)
        ? undefined
        : `${path}: ${what} is ${show(x)}, not ${show(y)}`;
    if (!isObject(a) || !isObject(b)) return say("it", a, b);
    // What is one object on one side is one on the other.
    if (pairs.has(a) || backwards.has(b)) {
      return pairs.get(a) === b && backwards.get(b) === a
        ? undefined
        : `${path}: what is shared is not the same`;
    }
    pairs.set(a, b);
    backwards.set(b, a);
    const kind = kindOf(b);
    const first = say("its prototype", proto(a), proto(b)) ??
      say("its kind", kindOf(a), kind);
    if (first !== undefined) return first;
    const inside = insideOf(a, kind);
    for (const [i, [name, value]] of insideOf(b, kind).entries()) {
      todo.push([inside[i]?.[1], value, `${path}.${name}`]);
    }
    const keys = ownKeys(a);
    const same = say(
      "its keys",
      keys.map(String).join(),
      ownKeys(b).map(String).join(),
    );
    if (same !== undefined) return same;
    for (const key of keys) {
      const { value: x, ...flags } = Object.getOwnPropertyDescriptor(a, key)!;
      const { value: y, ...others } = Object.getOwnPropertyDescriptor(b, key)!;
      const found = say(
        `.${String(key)}`,
        JSON.stringify(flags),
        JSON.stringify(others),
      );
      if (found !== undefined) return found;
      todo.push([x, y, `${path}.${String(key)}`]);
    }
    return undefined;
  }
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function proto(value: object): unknown {
  return Object.getPrototypeOf(value);
}

/** The keys by name, but for those of bytes, which are looked at elsewhere. */
function ownKeys(value: object): string[] {
  // By symbol, the runtime has keys of its own.
  const keys = Object.getOwnPropertyNames(value);
  // Of what class the property is that has the stack differs by version.
  if (value instanceof DOMException) return [];
  return ArrayBuffer.isView(value)
    ? keys.filter((key) => !/^\d+$/.test(key))
    : keys;
}

function kindOf(value: object): string {
  return Object.prototype.toString.call(value);
}

/** What is inside of an object and no property of it. */
function insideOf(value: object, kind: string): [string, unknown][] {
  if (value instanceof Map) {
    return [
      ["size", value.size],
      ...[...value].flatMap(([key, item], i): [string, unknown][] => [
        [`key ${i}`, key],
        [`value ${i}`, item],
      ]),
    ];
  }
  if (value instanceof Set) {
    return [
      ["size", value.size],
      ...[...value].map((item, i): [string, unknown] => [`item ${i}`, item]),
    ];
  }
  if (ArrayBuffer.isView(value)) {
    return [
      ["buffer", value.buffer],
      ["byteOffset", value.byteOffset],
      ["byteLength", value.byteLength],
    ];
  }
  if (value instanceof ArrayBuffer) {
    return [
      ["maxByteLength", value.resizable && value.maxByteLength],
      ["bytes", new Uint8Array(value).join()],
    ];
  }
  if (value instanceof RegExp) {
    return [["source", value.source], ["flags", value.flags]];
  }
  if (value instanceof DOMException) {
    const { name, message, code, stack } = value;
    return Object.entries({ name, message, code, stack });
  }
  if (value instanceof Date) return [["time", value.getTime()]];
  if (/^\[object (Number|String|Boolean|BigInt)\]$/.test(kind)) {
    return [["primitive", value.valueOf()]];
  }
  return [];
}

function show(value: unknown): string {
  return Deno.inspect(value, { depth: 1 });
}
