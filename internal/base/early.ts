/** What takes the runtime's built-ins while nobody has put others in their place. */

/**
 * Makes something when the module that has it is loaded; or, where the runtime has
 * not all that it takes, or forbids it at that time, when it is first needed. So
 * the package loads wherever a part of it can be used.
 *
 * @returns What gives it.
 */
export function early<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  try {
    made = { value: make() };
  } catch {
    // Whoever needs it is told.
  }
  return () => (made ??= { value: make() }).value;
}
