/** What `transfer()` marked, in this realm. */

const MARKS = Symbol.for("@concurrent/futures transfers");

type Marks = WeakMap<object, readonly Transferable[]>;

/** The marks, whichever copy of this library made them; the runtime of a worker asks for the same. */
export function transferMarks(): Marks {
  const holder = globalThis as unknown as Record<symbol, unknown>;
  if (!holder[MARKS]) {
    Object.defineProperty(holder, MARKS, { value: new WeakMap() });
  }
  return holder[MARKS] as Marks;
}

const NONE: readonly Transferable[] = [];

/** What of some arguments is to be moved: by options, and by marks. */
export function transferablesOf(
  args: readonly unknown[],
  listed: readonly Transferable[],
): readonly Transferable[] {
  const marks = (globalThis as unknown as Record<symbol, unknown>)[MARKS] as
    | Marks
    | undefined;
  if (!marks) return listed;
  let all: readonly Transferable[] | undefined;
  for (const arg of args) {
    if (typeof arg !== "object" || arg === null) continue;
    const marked = marks.get(arg);
    if (marked) all = [...all ?? listed, ...marked];
  }
  return all ?? (listed.length > 0 ? listed : NONE);
}
