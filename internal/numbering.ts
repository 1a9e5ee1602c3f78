/**
 * The objects that can be reached from a value, in an order that a copy of it has,
 * too: so one of them can be named to whoever has the copy, by its number.
 *
 * Self-contained: workers get it as its source.
 */
export function objectsIn(root: object): object[] {
  const { keys } = Object;
  const { isArray } = Array;
  const { isView } = ArrayBuffer;
  const objects: object[] = [];
  const seen = new Set<object>();
  const add = (value: unknown) => {
    if (typeof value !== "object" || value === null || seen.has(value)) return;
    seen.add(value);
    objects[objects.length] = value;
  };
  add(root);
  for (let i = 0; i < objects.length; i++) {
    const object = objects[i];
    if (isView(object)) {
      add(object.buffer);
    } else if (object instanceof Map) {
      object.forEach((item, key) => {
        add(key);
        add(item);
      });
    } else if (object instanceof Set) {
      object.forEach(add);
    } else if (object instanceof Error) {
      add(object.cause);
    } else if (isArray(object) && object.length > 1e4) {
      // Its keys would be a long list of texts.
      for (let i = 0; i < object.length; i++) add(object[i]);
    } else {
      const names = keys(object);
      for (let i = 0; i < names.length; i++) {
        add((object as Record<string, unknown>)[names[i]]);
      }
    }
  }
  return objects;
}
