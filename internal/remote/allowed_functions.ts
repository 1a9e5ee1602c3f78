/** What a worker may run of what executors on other machines submit. */

import type { FunctionRef } from "../call/protocol.ts";
import { label } from "../functions/describe.ts";

/** What a worker was told. */
export interface Allowed {
  /** The modules whose functions may be called, by their names. */
  readonly modules: ReadonlyMap<string, string>;
  /** Whether functions may come as their source. */
  readonly allowSource: boolean;
  /** What to call the worker in messages to people. */
  readonly label: string;
}

/** The function of a call, as its child finds it; or why it may not run here. */
export function resolve(
  fn: FunctionRef,
  { modules, allowSource, label: name }: Allowed,
): FunctionRef | string {
  if (fn.by === "export") {
    const module = modules.get(fn.module);
    if (module !== undefined) return { ...fn, module };
    const names = [...modules.keys()].map((name) => `"${name}"`).join(", ");
    return `${name} has no module "${fn.module}", only ${
      names || "none"
    }: start it with --module ${fn.module}=<url>`;
  }
  if (allowSource) {
    // What a function imported is imported with what calls may do, and no more.
    return fn.by === "closure" ? { ...fn, modules: [] } : fn;
  }
  if (fn.by === "source") return { ...fn, exportedOnly: true };
  if (fn.by === "closure") {
    // Nothing of it is made here: it is found by its source, or not at all.
    const nothing = { code: "", finds: [], modules: [], owners: [] };
    return { ...fn, ...nothing, exportedOnly: true };
  }
  return `${name} runs functions of its modules only, and no built-ins: export a function that calls ${
    label(fn)
  }, or start the worker with --allow-source`;
}
