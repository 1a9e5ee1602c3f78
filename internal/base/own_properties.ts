/** The own properties of objects as they are: nothing of the program runs while they are read. */

/** Whether a value holds no other. */
export function isPrimitive(value: unknown): boolean {
  return value === null ||
    typeof value !== "object" && typeof value !== "function";
}

/** Whether a value is copied by itself, with nothing to look into. */
export function isFlat(value: unknown): boolean {
  return isPrimitive(value) && typeof value !== "symbol";
}

// The attributes of a member, as bits; `inside/rebuild_closure.ts` reads them.
export const WRITABLE = 1;
export const ENUMERABLE = 2;
export const CONFIGURABLE = 4;
/** The value is the number of an object in the list. */
export const OBJECT = 8;
/** The value lists getter and setter: the numbers of objects, -1 for none. */
export const ACCESSOR = 16;
export const PLAIN = WRITABLE | ENUMERABLE | CONFIGURABLE;

/** How many items of an array are looked at one by one, attributes and all. */
export const MANY = 10_000;

export type Own = readonly (readonly [string | symbol, PropertyDescriptor])[];

export function ownOf(object: object): Own {
  return propertiesOf(object, Reflect.ownKeys(object));
}

export function propertiesOf(
  object: object,
  keys: readonly (string | symbol)[],
): Own {
  return keys.map((key) => [
    key,
    Object.getOwnPropertyDescriptor(object, key)!,
  ]);
}

export function isData(found: PropertyDescriptor): boolean {
  return Object.hasOwn(found, "value");
}

export function attributesOf(found: PropertyDescriptor): number {
  return (found.writable === true && isData(found) ? WRITABLE : 0) |
    (found.enumerable ? ENUMERABLE : 0) |
    (found.configurable ? CONFIGURABLE : 0);
}

/** How a symbol is found by name; `undefined` for one that has none. */
export function nameOfSymbol(symbol: symbol): [string, string] | undefined {
  const key = Symbol.keyFor(symbol);
  if (key !== undefined) return ["for", key];
  for (const name of Object.getOwnPropertyNames(Symbol)) {
    const found = Object.getOwnPropertyDescriptor(Symbol, name);
    if (found?.value === symbol) return ["is", name];
  }
  return undefined;
}

/** Not by iterating: a class of the caller's may do that in its own way. */
export function entriesOf(map: Map<unknown, unknown>): unknown[] {
  const entries: unknown[] = [];
  Map.prototype.forEach.call(map, (value, key) => entries.push(key, value));
  return entries;
}

export function itemsOf(set: Set<unknown>): unknown[] {
  const items: unknown[] = [];
  Set.prototype.forEach.call(set, (item) => items.push(item));
  return items;
}

export function mapStep(entries: readonly unknown[], i: number): string {
  const key = entries[i - i % 2];
  const shown = typeof key === "string"
    ? JSON.stringify(key)
    : isPrimitive(key)
    ? String(key)
    : "…";
  return i % 2 === 0 ? `.keys(${shown})` : `.get(${shown})`;
}

export function stepOf(key: string | symbol): string {
  if (typeof key === "symbol") return `[${String(key)}]`;
  return typeof key === "string" && /^[A-Za-z_$][\w$]*$/.test(key)
    ? `.${key}`
    : `[${/^\d+$/.test(key) ? key : JSON.stringify(key)}]`;
}

/** Whether an object takes no more properties (1), is sealed (2) or frozen (3). */
export type Closed = 1 | 2 | 3;

export function closedness(object: object): Closed | undefined {
  if (Object.isExtensible(object)) return undefined;
  // Their items are what they are.
  if (ArrayBuffer.isView(object)) return 1;
  if (typeof object !== "function") {
    return Object.isFrozen(object) ? 3 : Object.isSealed(object) ? 2 : 1;
  }
  // Of a sealed function, the runtime says that it is frozen.
  const all = ownOf(object).map(([, found]) => attributesOf(found));
  if (all.some((attributes) => attributes & CONFIGURABLE)) return 1;
  return all.some((attributes) => attributes & WRITABLE) ? 2 : 3;
}

/** What is left of the attributes of an object's properties where it is closed. */
export function leftOf(attributes: number, closed: Closed | undefined): number {
  if (closed === 3) return attributes & ENUMERABLE;
  return closed === 2 ? attributes & ~CONFIGURABLE : attributes;
}
