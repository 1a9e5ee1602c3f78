/** What the lock file of a project calls its packages. */

import { pathOf } from "../base/file_path.ts";

const known = new Map<string, Readonly<Record<string, unknown>>>();

/**
 * The names that a lock file has for a version of a package, `npm:ms@^2.1.0`. What
 * asks for it by one of these leaves the file as it is.
 *
 * @param script The script that uses the package: the file is in a folder above it.
 */
export function lockedNames(
  script: string,
  name: string,
  version: string,
): string[] {
  const names: string[] = [];
  for (const [key, locked] of Object.entries(specifiersOf(script))) {
    if (typeof locked !== "string" || !key.startsWith(`npm:${name}@`)) continue;
    // Behind the version may be what the package was installed with.
    const found = locked.replace(/^npm:.*@/, "").replace(/_.*$/s, "");
    if (found === version) names.push(key);
  }
  return names;
}

function specifiersOf(script: string): Readonly<Record<string, unknown>> {
  if (!script.startsWith("file:")) return {};
  for (let folder = new URL(".", script);;) {
    const { href } = folder;
    const found = known.get(href) ?? read(new URL("deno.lock", folder));
    if (found) {
      known.set(href, found);
      return found;
    }
    folder = new URL("..", folder);
    if (folder.href === href) return {};
  }
}

function read(url: URL): Readonly<Record<string, unknown>> | undefined {
  const path = pathOf(url);
  // Asked first: looking without leave would prompt the user.
  const { state } = Deno.permissions.querySync({ name: "read", path });
  if (state !== "granted") return undefined;
  try {
    const { specifiers, packages } = JSON.parse(Deno.readTextFileSync(path));
    return specifiers ?? packages?.specifiers ?? {};
  } catch {
    // None here, or none that can be read.
    return undefined;
  }
}
