/** What modules are called between programs that have them in different places. */

/** The name of a module that was given none: `tasks` for `…/tasks.ts`. */
export function nameOfModule(url: string): string {
  const path = url.replace(/[?#].*$/, "");
  const file = path.slice(path.lastIndexOf("/") + 1);
  return file.replace(/(?<=.)\.\w+$/, "") || file;
}

/**
 * Names for modules, and modules by their names.
 *
 * @throws {TypeError} when two have the same name.
 */
export function byName(
  modules: Iterable<readonly [name: string | undefined, url: string]>,
): Map<string, string> {
  const found = new Map<string, string>();
  for (const [given, url] of modules) {
    const name = given ?? nameOfModule(url);
    const other = found.get(name);
    if (other !== undefined && other !== url) {
      throw new TypeError(
        `Two modules are named "${name}", ${other} and ${url}: name one of them otherwise`,
      );
    }
    found.set(name, url);
  }
  return found;
}
