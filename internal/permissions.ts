/**
 * What children of a process pool may do: the `permissions` option, as flags
 * of `deno run` and as permissions of the worker that runs the tasks.
 */

import { show } from "./timer.ts";

/** What to start a child with. */
export interface ChildPermissions {
  /** For the child, whose main thread also reads the modules. */
  readonly flags: readonly string[];
  /** For the worker in it; `undefined`: what the child may. */
  readonly tasks: Deno.PermissionOptionsObject | undefined;
  /** Whether tasks may read whatever they like. */
  readonly readAll: boolean;
  /** Whether tasks may start what prints beside them. */
  readonly startsOthers: boolean;
}

type Name = "env" | "ffi" | "import" | "net" | "read" | "run" | "sys" | "write";
const NAMES: readonly Name[] = [
  "env",
  "ffi",
  "import",
  "net",
  "read",
  "run",
  "sys",
  "write",
];

/** The member of a permission's description that names one thing. */
const MEMBER: Record<Name, string> = {
  env: "variable",
  ffi: "path",
  import: "host",
  net: "host",
  read: "path",
  run: "command",
  sys: "kind",
  write: "path",
};

/**
 * Reads the `permissions` option.
 *
 * @param cwd Where the children run, if not where this program does.
 * @throws {TypeError} when it is none of the shapes.
 * @throws {Deno.errors.NotCapable} when it asks for more than this program has.
 */
export function childPermissions(
  option: Deno.PermissionOptions | undefined,
  cwd?: string | URL,
): ChildPermissions {
  const wanted = option ?? "none";
  if (wanted !== "none" && wanted !== "inherit" && !isRecord(wanted)) {
    throw new TypeError(
      `permissions must be "none", "inherit" or an object: received ${
        show(wanted)
      }`,
    );
  }
  if (isRecord(wanted)) {
    for (const key of Object.keys(wanted)) {
      if (NAMES.includes(key as Name)) continue;
      throw new TypeError(
        `permissions has no "${key}": it may have ${NAMES.join(", ")}`,
      );
    }
  }
  // To read modules, and to move its stdin out of the way.
  const flags = new Set(["--allow-read", "--allow-ffi"]);
  const tasks: Record<string, unknown> = {};
  let all = true;
  for (const name of NAMES) {
    const grant = grantOf(name, wanted, cwd !== undefined);
    if (grant === true) {
      flags.add(`--allow-${name}`);
      tasks[name] = "inherit";
    } else if (grant === false) {
      tasks[name] = false;
      all = false;
    } else {
      // The child's main thread has these as a whole; the tasks, only here.
      if (name !== "read" && name !== "ffi") {
        // A comma would make two of one there: the worker's list knows better.
        flags.add(
          grant.some((item) => item.includes(","))
            ? `--allow-${name}`
            : `--allow-${name}=${grant.join(",")}`,
        );
      }
      tasks[name] = grant;
      all = false;
    }
  }
  return {
    flags: [...flags],
    tasks: all ? undefined : tasks as Deno.PermissionOptionsObject,
    readAll: tasks.read === "inherit",
    startsOthers: tasks.run !== false || tasks.ffi !== false,
  };
}

function isRecord(value: unknown): value is Deno.PermissionOptionsObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** All, nothing, or a list. */
function grantOf(
  name: Name,
  wanted: Deno.PermissionOptions,
  moved: boolean,
): boolean | string[] {
  const grant = wanted === "none"
    ? false
    : wanted === "inherit"
    ? "inherit"
    : (wanted as Record<string, unknown>)[name] ?? false;
  if (grant === "inherit") return isGranted(name);
  if (grant === false) return false;
  if (grant === true) {
    if (!isGranted(name)) throw escalation(name);
    return true;
  }
  if (!Array.isArray(grant)) {
    throw new TypeError(
      `permissions.${name} must be a boolean, "inherit" or an array: received ${
        show(grant)
      }`,
    );
  }
  const list = grant.map((item) =>
    item instanceof URL ? pathOf(item) : String(item)
  );
  for (const [i, item] of list.entries()) {
    if (item === "") {
      throw new TypeError(
        `permissions.${name}[${i}] must not be empty: leave it out, or name a ${
          MEMBER[name]
        }`,
      );
    }
    if (!isGranted(name, item)) throw escalation(name, item);
  }
  if (list.length === 0) return false;
  return moved && (MEMBER[name] === "path" || name === "run")
    ? list.map((item) => absolute(name, item))
    : list;
}

/** A path that means the same in another working directory. */
function absolute(name: Name, path: string): string {
  const isCommand = name === "run" && !/[\\/]/.test(path);
  if (isCommand || /^(?:[\\/]|[A-Za-z]:)/.test(path)) return path;
  let folder: string;
  try {
    folder = Deno.cwd();
  } catch (error) {
    throw new TypeError(
      `permissions.${name} can't name ${
        show(path)
      }, a relative path, together with cwd: this program may not know its own working directory`,
      { cause: error },
    );
  }
  return `${folder}/${path}`;
}

/** Whether this program may do something, as far as it can know. */
function isGranted(name: Name, item?: string): boolean {
  const description = {
    name,
    ...(item !== undefined && { [MEMBER[name]]: item }),
  } as unknown as Deno.PermissionDescriptor;
  try {
    const { state, partial } = Deno.permissions.querySync(description);
    return state === "granted" && !partial;
  } catch (error) {
    // Versions that know no such permission, or not this form of it.
    if (error instanceof TypeError) return true;
    throw error;
  }
}

function escalation(name: Name, item?: string): Error {
  const what = item === undefined ? "" : ` to ${JSON.stringify(item)}`;
  return new Deno.errors.NotCapable(
    `Cannot give children "${name}" permission${what}, which this program does not have itself: run it with --allow-${name}`,
  );
}

/** The path of a file: URL. */
export function pathOf(url: URL): string {
  if (url.protocol !== "file:") {
    throw new TypeError(`A path must be a file: URL: received ${url}`);
  }
  const path = decodeURIComponent(url.pathname);
  return Deno.build.os === "windows"
    ? path.replace(/^\/(?=[A-Za-z]:)/, "").replaceAll("/", "\\")
    : path;
}
