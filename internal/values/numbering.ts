/**
 * The objects that can be reached from a value, in an order that a copy of it has,
 * too: so one of them can be named to whoever has the copy, by its number.
 */

/**
 * Makes what lists them.
 *
 * Self-contained: workers get it as its source.
 */
export function makeNumbering(): (root: object) => object[] {
  // Taken before any task runs: one may put its own in their place.
  const { keys, setPrototypeOf } = Object;
  const { isArray } = Array;
  const { isView } = ArrayBuffer;
  const { Set } = globalThis;
  const { bind, call } = Function.prototype;
  /** A method as a function of what it is a method of. */
  // deno-lint-ignore no-explicit-any -- of whatever method
  const uncurried = (method: any): any => bind.call(call, method);
  const isIn = uncurried(Object.prototype.isPrototypeOf);
  const eachOfMap = uncurried(Map.prototype.forEach);
  const eachOfSet = uncurried(Set.prototype.forEach);
  const isMember = uncurried(Set.prototype.has);
  const addMember = uncurried(Set.prototype.add);
  const arrayPrototype = Array.prototype;
  const mapPrototype = Map.prototype;
  const setPrototype = Set.prototype;
  const errorPrototype = Error.prototype;

  function isIndex(key: string): boolean {
    return `${key as unknown as number >>> 0}` === key;
  }

  return (root) => {
    // While it is filled it inherits nothing: a setter for its items would be met, too.
    const objects: object[] = setPrototypeOf([], null);
    const seen = new Set<object>();
    const add = (value: unknown) => {
      if (
        typeof value !== "object" || value === null || isMember(seen, value)
      ) return;
      addMember(seen, value);
      objects[objects.length] = value;
    };
    add(root);
    for (let i = 0; i < objects.length; i++) {
      const object = objects[i];
      if (isView(object)) {
        add(object.buffer);
      } else if (isIn(mapPrototype, object)) {
        eachOfMap(object, (item: unknown, key: unknown) => {
          add(key);
          add(item);
        });
      } else if (isIn(setPrototype, object)) {
        eachOfSet(object, (item: unknown) => add(item));
      } else if (isIn(errorPrototype, object)) {
        add((object as Error).cause);
      } else if (isArray(object) && object.length > 1e4) {
        for (let i = 0; i < object.length; i++) add(object[i]);
        // What it has besides comes last.
        const names = keys(object);
        for (let i = names.length - 1; i >= 0 && !isIndex(names[i]); i--) {
          add((object as unknown as Record<string, unknown>)[names[i]]);
        }
      } else {
        const names = keys(object);
        for (let i = 0; i < names.length; i++) {
          add((object as Record<string, unknown>)[names[i]]);
        }
      }
    }
    return setPrototypeOf(objects, arrayPrototype) as object[];
  };
}

/** The objects that can be reached from a value, that itself first. */
export const objectsIn: (root: object) => object[] = makeNumbering();
