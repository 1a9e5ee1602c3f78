/**
 * What children of a process pool may do: the `permissions` option, as flags
 * of `deno run` and as permissions of the worker that runs the tasks.
 *
 * A child never gets more than the program has, its `--deny-*` flags included. A
 * program can't read its own flags; it can ask about one thing at a time. Of paths
 * the answer tells whether a part of them is denied. Of a prefix of variables, a
 * host without a port, or a name with addresses it does not: these are asked about
 * piece by piece where there is an end of the pieces, and refused where there is
 * none, unless all of that kind is granted and nothing denied.
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
 * @param env What of their environment is not this program's.
 * @throws {TypeError} when it is none of the shapes.
 * @throws {Deno.errors.NotCapable} when it asks for more than this program has.
 */
export function childPermissions(
  option: Deno.PermissionOptions | undefined,
  cwd?: string | URL,
  env: Readonly<Record<string, string>> = {},
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
    const grant = grantOf(name, wanted, cwd !== undefined, env);
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
  env: Readonly<Record<string, string>>,
): boolean | string[] {
  const grant = wanted === "none"
    ? false
    : wanted === "inherit"
    ? "inherit"
    : (wanted as Record<string, unknown>)[name] ?? false;
  if (grant === false) return false;
  const whole = ask(name);
  if (grant === "inherit") return whole === "granted";
  if (grant === true) {
    if (whole !== "granted") throw escalation(name, undefined, whole);
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
    if (whole === "granted") continue;
    checkPart(name, item, `permissions.${name}[${i}]`, whole, env);
  }
  if (list.length === 0) return false;
  return moved && (MEMBER[name] === "path" || name === "run")
    ? list.map((item) => absolute(name, item))
    : list;
}

/**
 * Checks that one item of a list is the program's own, all of it.
 *
 * @param whole What is known of all things of that kind; not that all are granted.
 * @throws {Deno.errors.NotCapable} when it is not, or can't be told.
 */
function checkPart(
  name: Name,
  item: string,
  where: string,
  whole: Answer,
  env: Readonly<Record<string, string>>,
): void {
  const answer = ask(name, item);
  if (answer === "unknown") {
    throw untold(name, item, where, "the runtime gives no answer about it");
  }
  if (answer !== "granted") throw escalation(name, item, answer, where);
  if (name === "env" && item.endsWith("*")) {
    throw untold(name, item, where, "name each variable");
  }
  if (name === "run" && !/[\\/]/.test(item)) {
    const path = Object.keys(env).find((key) => /^path(?:ext)?$/i.test(key));
    if (path !== undefined) {
      throw untold(
        name,
        item,
        where,
        `env.${path} may make it another program there: name it by its path`,
      );
    }
  }
  if (MEMBER[name] === "host") checkHost(name, item, where, whole);
}

/** Checks what a host's name alone does not tell: its ports, its addresses. */
function checkHost(
  name: Name,
  item: string,
  where: string,
  whole: Answer,
): void {
  if (/^(?:unix|vsock):/.test(item)) return;
  if (/[*/]/.test(item)) {
    throw untold(name, item, where, "name each host");
  }
  const hasPort = /[^:]:\d+$/.test(item);
  const isAddress = /^(?:\d+\.){3}\d+$/.test(item.replace(/:\d+$/, "")) ||
    item.startsWith("[") && !/^\[::ffff:/i.test(item);
  // Where something is denied, it may be one of its addresses.
  if (!isAddress && whole === "partial") {
    throw untold(
      name,
      item,
      where,
      "one of its addresses may be denied: name the address",
    );
  }
  for (let port = 0; !hasPort && port < 65536; port++) {
    if (ask(name, `${item}:${port}`) === "granted") continue;
    throw escalation(name, `${item}:${port}`, "denied", where);
  }
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

/**
 * What the runtime says of a permission: that all of it is granted, that a part is
 * denied, that it is not granted; or nothing.
 */
type Answer = "granted" | "partial" | "denied" | "unknown";

function ask(name: Name, item?: string): Answer {
  const description = {
    name,
    ...(item !== undefined && { [MEMBER[name]]: item }),
  } as unknown as Deno.PermissionDescriptor;
  try {
    const { state, partial } = Deno.permissions.querySync(description);
    return state !== "granted" ? "denied" : partial ? "partial" : "granted";
  } catch {
    // Not of a form that it can be asked about: a wildcard, say.
    return "unknown";
  }
}

function escalation(
  name: Name,
  item: string | undefined,
  answer: Answer,
  where?: string,
): Error {
  const what = item === undefined ? "" : ` to ${JSON.stringify(item)}`;
  const place = where === undefined ? "" : ` (${where})`;
  return new Deno.errors.NotCapable(
    `Cannot give children "${name}" permission${what}${place}, ${
      answer === "partial"
        ? "of which a part is denied to this program itself: name what they need of the rest"
        : `which this program does not have itself: run it with --allow-${name}`
    }`,
  );
}

function untold(name: Name, item: string, where: string, how: string): Error {
  return new Deno.errors.NotCapable(
    `Cannot give children "${name}" permission to ${
      JSON.stringify(item)
    } (${where}), of which a part may be denied to this program itself: ${how}, or run it with --allow-${name} and no --deny-${name}`,
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
