/** The command line of a worker. */

import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { byName } from "./module_names.ts";
import { checkCount } from "./packing.ts";
import { checkServers, type Server } from "./nats_servers.ts";
import { checkLease, checkQueue } from "./queue_options.ts";

/** What a worker was told. */
export interface Command {
  readonly servers: readonly Server[];
  readonly queue: string;
  readonly lease: number | undefined;
  readonly modules: ReadonlyMap<string, string>;
  readonly maxWorkers: number;
  readonly allowSource: boolean;
  readonly threads: boolean;
  readonly permissions: Deno.PermissionOptionsObject;
  readonly config: string | undefined;
  readonly name: string | undefined;
}

/** The page that `--help` prints. */
export const HELP =
  `Runs calls that executors submit to a queue on a NATS server.

Usage:
  deno run --allow-net=HOST:PORT --allow-run jsr:@concurrent/futures/worker \\
    --servers nats://HOST:PORT --queue NAME --module ./tasks.ts [options]

What it needs:
  --servers URL         The server, nats://[user:password@]host:port; may be
                        given several times for the servers of one cluster.
  --queue NAME          The queue that executors name.

What it may run:
  --module [NAME=]URL   A module, as a URL or a path, whose exported functions
                        may be called; may be given several times. Its name, by
                        which taskModule() finds it, is that of its file without
                        the ending ("tasks" for ./tasks.ts) unless another is given.
  --allow-source        Also run functions that come as their source, and
                        built-ins. Whoever can reach the queue can then run any
                        code here, within the permissions below.
  --grant KIND[=LIST]   What calls may do: read, write, net, env, run, sys, ffi or
                        import, with a list as Deno's own --allow-KIND has it; may
                        be given several times. By default, nothing. The worker
                        itself needs the same permission.
  --config FILE         The deno.json whose import map the modules use.

How it runs:
  --max-workers N       How many calls run at once, each in a process of its own.
                        Default: the number of processors.
  --threads             Run them in threads of the worker instead, which is quicker
                        for short calls. They may then do what the worker may, a
                        crash takes the worker along, and modules on this machine
                        need --allow-read.
  --lease MS            For how long a worker may not be heard of before its calls
                        are lost, at least 1000. Set for the whole queue. Default:
                        as the queue has it, 10000 for a new one.
  --name TEXT           What error messages call this worker. Default: its pid.
  --help                This page.

It ends with code 0 after SIGTERM, SIGINT or Ctrl-C, once the calls that run are
done; a second one ends it at once. If the server can't be reached at the start, it
ends with code 1; later on it waits for the server to come back.

Examples:
  # Functions of two modules, four at once, that may read one folder
  deno run --allow-net=10.0.0.5:4222 --allow-run --allow-read=/data \\
    jsr:@concurrent/futures/worker --servers nats://10.0.0.5:4222 \\
    --queue thumbnails --module ./images.ts --module pdf=https://example.com/p.ts \\
    --max-workers 4 --grant read=/data

  # Any function, for a cluster of one's own
  deno run --allow-net=127.0.0.1:4222 --allow-run jsr:@concurrent/futures/worker \\
    --servers nats://127.0.0.1:4222 --queue play --allow-source
`;

const KINDS = ["env", "ffi", "import", "net", "read", "run", "sys", "write"];

/**
 * Reads the arguments of a command line.
 *
 * @returns `undefined` where help was asked for.
 * @throws what is wrong with them.
 */
export function parseCommand(args: readonly string[]): Command | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      servers: { type: "string", multiple: true, default: [] },
      queue: { type: "string" },
      module: { type: "string", multiple: true, default: [] },
      "allow-source": { type: "boolean", default: false },
      grant: { type: "string", multiple: true, default: [] },
      config: { type: "string" },
      threads: { type: "boolean", default: false },
      "max-workers": { type: "string" },
      lease: { type: "string" },
      name: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  if (values.servers.length === 0) throw new TypeError("--servers is missing");
  if (values.queue === undefined) throw new TypeError("--queue is missing");
  if (values.module.length === 0 && !values["allow-source"]) {
    throw new TypeError(
      "--module is missing: without it, or --allow-source, there is nothing to run",
    );
  }
  for (const option of ["grant", "config"] as const) {
    if (values.threads && values[option]?.length) {
      throw new TypeError(
        `--${option} is for processes: with --threads, give the worker itself what its calls need`,
      );
    }
  }
  const maxWorkers = numberOf("max-workers", values["max-workers"]) ??
    navigator.hardwareConcurrency;
  checkCount(maxWorkers, "--max-workers");
  return {
    servers: checkServers(values.servers.flatMap((text) => text.split(","))),
    queue: checkQueue(values.queue),
    lease: checkLease(numberOf("lease", values.lease)),
    modules: byName(values.module.map((text) => {
      const [, name, url] = /^(?:([\w-]+)=)?(.+)$/.exec(text) ?? [];
      if (url === undefined) throw new TypeError("--module is empty");
      return [name, urlOf(url)];
    })),
    maxWorkers,
    allowSource: values["allow-source"],
    threads: values.threads,
    permissions: permissionsOf(values.grant),
    config: values.config,
    name: values.name,
  };
}

function numberOf(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const number = text.trim() === "" ? NaN : Number(text);
  if (!Number.isNaN(number)) return number;
  throw new TypeError(`--${name} must be a number: received "${text}"`);
}

/** A URL as it is, a path as a `file:` URL. */
function urlOf(text: string): string {
  // What has one letter before the colon is a drive.
  return /^[a-z][\w+.-]+:/i.test(text) ? text : pathToFileURL(text).href;
}

function permissionsOf(
  grants: readonly string[],
): Deno.PermissionOptionsObject {
  const permissions: Record<string, true | string[]> = {};
  for (const grant of grants) {
    const [, kind, list] = /^(\w+)(?:=(.*))?$/.exec(grant) ?? [];
    if (!KINDS.includes(kind)) {
      throw new TypeError(
        `--grant takes ${KINDS.join(", ")}: received "${grant}"`,
      );
    }
    const before = permissions[kind];
    if (list === undefined || before === true) permissions[kind] = true;
    else permissions[kind] = [...before ?? [], ...list.split(",")];
  }
  return permissions as Deno.PermissionOptionsObject;
}
