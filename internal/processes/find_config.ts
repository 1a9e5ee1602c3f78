/**
 * How children find modules: as the program does, by its configuration file, its
 * `node_modules`, and the flags that it was started with.
 */

import { pathOf } from "../base/file_path.ts";
import { mainModule } from "../call/realm.ts";

/** Flags of `deno` that say where modules are found, with a value of their own. */
const WITH_VALUE = new Set([
  "--config",
  "--import-map",
  "--lock",
  "--node-modules-dir",
  "--node-modules-linker",
  "--vendor",
  "--cert",
  "--conditions",
]);
/** Those of which the value stands by itself. */
const APART = new Set(["--config", "--import-map", "--cert", "--conditions"]);
/** Those whose value is a path. */
const PATHS = new Set(["--config", "--import-map", "--lock", "--cert"]);
const PLAIN = new Set([
  "--no-config",
  "--no-lock",
  "--no-npm",
  "--no-remote",
  "--cached-only",
]);

/**
 * The flags with which a child finds the modules that the program finds, as far
 * as this program may know how it does.
 *
 * @param config The configuration file, if it was named.
 * @param given Flags that children get anyway.
 */
export function moduleFlags(
  config: string | undefined,
  given: readonly string[] = [],
): string[] {
  const isGiven = new Set(given.map(nameOf));
  const own = commandFlags();
  const flags = own.filter((flag) =>
    !isGiven.has(nameOf(flag)) &&
    !(config !== undefined && /^--(?:no-)?config(?:=|$)/.test(flag))
  );
  const has = (name: string) =>
    isGiven.has(name) || flags.some((flag) => nameOf(flag) === name);
  if (config !== undefined) flags.push(`--config=${config}`);
  if (has("--config") || has("--no-config")) return flags;
  const found = findProject();
  if (found?.config !== undefined) flags.push(`--config=${found.config}`);
  else if (found?.hasPackage && !has("--node-modules-dir")) {
    flags.push("--node-modules-dir=manual");
  }
  return flags;
}

/** The name of a flag, `--config` for `-c deno.json`. */
function nameOf(flag: string): string {
  return /^-c(?!-)/.test(flag) ? "--config" : flag.replace(/=.*$/s, "");
}

// ---- Files near the main module ----------------------------------------------

interface Project {
  readonly config: string | undefined;
  /** Whether it has a `package.json`, whose packages are in `node_modules`. */
  readonly hasPackage: boolean;
}

/**
 * Finds the `deno.json` or `package.json` next to the main module, or in a folder
 * above it, where this program may look.
 */
function findProject(): Project | undefined {
  let folder: URL;
  try {
    folder = new URL(".", mainModule());
  } catch {
    return undefined;
  }
  if (folder.protocol !== "file:") return undefined;
  let hasPackage = false;
  while (true) {
    for (const name of ["deno.json", "deno.jsonc"]) {
      const config = pathOf(new URL(name, folder));
      if (!isFile(config)) continue;
      // A package of its own that is no part of a workspace knows nothing of it.
      const isIts = !hasPackage || hasWorkspace(config);
      return { config: isIts ? config : undefined, hasPackage };
    }
    hasPackage ||= isFile(pathOf(new URL("package.json", folder)));
    const parent = new URL("..", folder);
    if (parent.href === folder.href) return { config: undefined, hasPackage };
    folder = parent;
  }
}

function hasWorkspace(config: string): boolean {
  try {
    return /"workspace"\s*:/.test(Deno.readTextFileSync(config));
  } catch {
    return false;
  }
}

function isFile(path: string): boolean {
  // Asked first: looking without leave would prompt the user.
  const { state } = Deno.permissions.querySync({ name: "read", path });
  if (state !== "granted") return false;
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

// ---- The command line --------------------------------------------------------

let known: readonly string[] | undefined;

/** What of the program's own command line says where modules are found. */
function commandFlags(): readonly string[] {
  return known ??= flagsIn(commandLine());
}

/**
 * Reads a command line: `deno run`, flags, the main module.
 *
 * @param absolute Makes a path one that means the same elsewhere.
 */
export function flagsIn(
  args: readonly string[],
  absolute: (path: string) => string = fromHere,
): string[] {
  const flags: string[] = [];
  for (let i = 1; i < args.length; i++) {
    const arg = args[i];
    const name = nameOf(arg);
    // Children have one of these anyway.
    const isUnstable = /^--unstable-(?!worker-options$)[a-z-]+$/.test(arg);
    if (PLAIN.has(name) || isUnstable) flags.push(arg);
    if (!WITH_VALUE.has(name)) continue;
    let value = arg.startsWith("--")
      ? /=(.*)$/s.exec(arg)?.[1]
      : arg.slice(2).replace(/^=/, "") || undefined;
    if (value === undefined && APART.has(name)) value = args[++i];
    if (value === undefined && !APART.has(name)) flags.push(name);
    else if (value !== undefined) {
      flags.push(`${name}=${PATHS.has(name) ? absolute(value) : value}`);
    }
  }
  return flags;
}

/** What this program was started with; nothing where that can't be known. */
function commandLine(): string[] {
  try {
    if (Deno.build.standalone || Deno.build.os !== "linux") return [];
    // A program that may not do everything may not read that.
    for (const name of ["read", "run", "ffi", "sys", "env"] as const) {
      if (Deno.permissions.querySync({ name }).state !== "granted") return [];
    }
    const args = Deno.readTextFileSync("/proc/self/cmdline").split("\0");
    // What comes last is for the program itself.
    return args.slice(0, args.length - 1 - Deno.args.length);
  } catch {
    return [];
  }
}

function fromHere(path: string): string {
  return /^(?:\/|[a-z][\w+.-]+:)/i.test(path) ? path : `${Deno.cwd()}/${path}`;
}
