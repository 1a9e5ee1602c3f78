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

import { show } from "../base/checks.ts";
import { pathOf } from "../base/file_path.ts";

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
        // A comma would make two of one there, and of a pattern the main thread
        // does not know that it has it: the worker's list knows better.
        flags.add(
          grant.some((item) => item.includes(",") || isPattern(name, item))
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

/** Whether it stands for several, of which the runtime can't be asked: `*.host`, `10.0.0.0/8`. */
function isPattern(name: Name, item: string): boolean {
  if (name === "env") return item.endsWith("*");
  return MEMBER[name] === "host" && !isSocket(item) && /[*/]/.test(item);
}

/** Whether it is no host, but an address that has neither a name nor a port. */
function isSocket(item: string): boolean {
  return /^(?:unix|vsock):/.test(item);
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
  if (isPattern(name, item)) {
    throw untold(name, item, where, `name each ${MEMBER[name]}`);
  }
  const answer = ask(name, item);
  if (answer === "unknown") {
    throw untold(name, item, where, "the runtime gives no answer about it");
  }
  if (answer !== "granted") throw escalation(name, item, answer, where);
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
  if (MEMBER[name] === "host" && !isSocket(item)) {
    checkHost(name, item, where, whole);
  }
}

/**
 * Checks what the answer about a host leaves open. Deno looks at a host's name, and
 * at the addresses that it turns out to have; of what is allowed by name it does
 * not tell that its address, a range around that, or one of its ports is denied.
 */
function checkHost(
  name: Name,
  item: string,
  where: string,
  whole: Answer,
): void {
  const [, host, port = ""] = /^(.*?[^:])(:\d+)?$/.exec(item)!;
  const isAddress = /^(?:\d+\.){3}\d+$/.test(host) || host.startsWith("[");
  const addresses = host === "localhost"
    ? ["127.0.0.1", "[::1]"]
    : isAddress
    ? [host]
    : [];
  if (addresses.length === 0 && whole === "partial") {
    throw untold(
      name,
      item,
      where,
      "one of its addresses may be denied: name the address",
    );
  }
  const asked = addresses.flatMap((address) => [address, address + port]);
  // All of it may be denied, and this allowed by itself: the first counts.
  if (whole === "denied" || asked.some((one) => ask(name, one) === "denied")) {
    throw escalation(name, item, "denied", where);
  }
  for (const address of whole === "partial" ? [] : addresses) {
    const beside = ask(name, besideOf(address) + port);
    if (beside === "prompt" || host === "localhost" && beside !== "denied") {
      continue;
    }
    throw untold(name, item, where, "a range that it is in may be denied");
  }
  if (port === "") checkPorts(name, item, addresses, where);
}

/** Hosts without a port of which it turned out that none of their ports is denied. */
const free = new Set<string>();

/** Asks for each port of a host; which takes a third of a second, and so is done once. */
function checkPorts(
  name: Name,
  host: string,
  addresses: readonly string[],
  where: string,
): void {
  const key = `${name} ${host}`;
  if (free.has(key)) return;
  const others = addresses.filter((address) => address !== host);
  for (let port = 0; port < 65536; port++) {
    if (
      ask(name, `${host}:${port}`) !== "granted" ||
      others.some((other) => ask(name, `${other}:${port}`) === "denied")
    ) throw escalation(name, `${host}:${port}`, "denied", where);
  }
  free.add(key);
}

/** The address beside one: what has both in it is a range. */
function besideOf(address: string): string {
  return address.startsWith("[")
    ? address.replace(
      /([0-9a-f]*)\]$/i,
      (_, digits) => `${(Number(`0x0${digits}`) ^ 1).toString(16)}]`,
    )
    : address.replace(/\d+$/, (digits) => String(Number(digits) ^ 1));
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
 * What the runtime says of a permission: that all of it is granted, or all but a
 * part that is denied; that it is denied, or neither; or nothing at all.
 */
type Answer = "granted" | "partial" | "denied" | "prompt" | "unknown";

function ask(name: Name, item?: string): Answer {
  const description = {
    name,
    ...(item !== undefined && { [MEMBER[name]]: item }),
  } as unknown as Deno.PermissionDescriptor;
  try {
    const { state, partial } = Deno.permissions.querySync(description);
    return state === "granted" && partial ? "partial" : state;
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
