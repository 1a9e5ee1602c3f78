/**
 * The configuration file of the program, whose import map holds in children
 * too.
 */

import { pathOf } from "./permissions.ts";

const NAMES = ["deno.json", "deno.jsonc"];

/**
 * Finds the `deno.json` next to the main module, or in a folder above it, where
 * this program may look. Where it may not, it has to be named.
 */
export function findConfig(): string | undefined {
  let folder: URL;
  try {
    folder = new URL(".", Deno.mainModule);
  } catch {
    return undefined;
  }
  if (folder.protocol !== "file:") return undefined;
  while (true) {
    for (const name of NAMES) {
      const path = pathOf(new URL(name, folder));
      // Asked first: looking without leave would prompt the user.
      const { state } = Deno.permissions.querySync({ name: "read", path });
      if (state !== "granted") continue;
      try {
        if (Deno.statSync(path).isFile) return path;
      } catch {
        // None here.
      }
    }
    const parent = new URL("..", folder);
    if (parent.href === folder.href) return undefined;
    folder = parent;
  }
}
