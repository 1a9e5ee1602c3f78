/** The command line of a worker. */

import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { checkCount } from "../base/checks.ts";
import { byName } from "../remote/module_names.ts";
import { checkLease, checkQueue } from "../remote/queue_options.ts";
import { type NatsCredentials, readCredentials } from "./credentials.ts";
import { redacted, redactedUrl } from "./redacted.ts";
import { checkServers, type NatsTls, type Server } from "./servers.ts";

/** What a worker was told. */
export interface Command {
  /** Whether it is only to make the queue. */
  readonly makesQueue: boolean;
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
  --servers URL         The server, nats://host:port, tls://, ws:// or wss://; may
                        be given several times for the servers of one cluster. With
                        no user or password: a command line is not secret. By
                        default, what NATS_URL has, where they may stand.
  --queue NAME          The queue that executors name.

What it shows to the servers whose URLs have nothing to show:
  --credentials-file FILE
                        A file of credentials: .creds, the seed of an nkey, or JSON
                        with "user" and "password", "token", or "nkey". It is read at
                        each connection. Needs --allow-read for it.
  NATS_USER and NATS_PASSWORD, NATS_TOKEN, or NATS_CREDS, such a file's path
                        The same from the environment, which needs --allow-env for
                        these names. Calls don't see what is secret in there.
  --tls-ca FILE         Certificates of authorities to trust, too. With this, or one
                        of the next two, nats:// is tls://. Need --allow-read.
  --tls-cert FILE       The certificate to show a server that asks for one.
  --tls-key FILE        Its private key.
  --tls-first           The server wants TLS at once (handshake_first).

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
  --make-queue          Make the queue, or find that it is there, and end: for an
                        account that may, so that those of workers and of programs
                        need not. Takes --servers, --queue, --lease and what is shown.
  --help                This page.

Whoever may publish to the queue can call the functions of the modules here, with
any arguments; with --allow-source, run any code. How to give programs and workers
accounts that can do only their part is told in docs/scale-out.md.

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

/** What a command line can't say itself. */
export interface Surroundings {
  /** A variable of the environment, if it is there and may be read. */
  env(name: string): string | undefined;
  /** The text of a file. */
  read(path: string): string;
}

/** What there is where a command runs. */
const HERE: Surroundings = {
  env(variable) {
    const { state } = Deno.permissions.querySync({ name: "env", variable });
    return state === "granted" ? Deno.env.get(variable) : undefined;
  },
  read: (path) => Deno.readTextFileSync(path),
};

/** The variables that have something secret. */
export const SECRET_VARIABLES = [
  "NATS_URL",
  "NATS_USER",
  "NATS_PASSWORD",
  "NATS_TOKEN",
];

/**
 * Reads the arguments of a command line.
 *
 * @returns `undefined` where help was asked for.
 * @throws what is wrong with them; nothing secret is in it.
 */
export function parseCommand(
  args: readonly string[],
  surroundings = HERE,
): Command | undefined {
  try {
    return parse(args, surroundings);
  } catch (error) {
    // What stands on a command line where it should not may be a URL.
    const { message } = error as Error;
    if (redacted(message) === message) throw error;
    throw new TypeError(redacted(message));
  }
}

function parse(
  args: readonly string[],
  surroundings: Surroundings,
): Command | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      servers: { type: "string", multiple: true, default: [] },
      queue: { type: "string" },
      "credentials-file": { type: "string" },
      "tls-ca": { type: "string", multiple: true, default: [] },
      "tls-cert": { type: "string" },
      "tls-key": { type: "string" },
      "tls-first": { type: "boolean", default: false },
      "make-queue": { type: "boolean", default: false },
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
  const named = values.servers.flatMap((text) => text.split(","));
  for (const server of named) {
    const url = URL.canParse(server) ? new URL(server) : undefined;
    // What is no URL may have them all the same.
    if (url ? url.username + url.password === "" : !server.includes("@")) {
      continue;
    }
    throw new TypeError(
      `--servers has a user, a password or a token, which a command line shows to all on this machine: put it in a file for --credentials-file, or in NATS_URL: received "${
        redactedUrl(server)
      }"`,
    );
  }
  const servers = named.length > 0
    ? named
    : surroundings.env("NATS_URL")?.split(",") ?? [];
  if (servers.length === 0) throw new TypeError("--servers is missing");
  if (values.queue === undefined) throw new TypeError("--queue is missing");
  const makesQueue = values["make-queue"];
  if (
    values.module.length === 0 && !values["allow-source"] && !makesQueue
  ) {
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
    makesQueue,
    servers: checkServers(
      servers,
      credentialsIn(values["credentials-file"], surroundings),
      tlsIn(
        {
          ca: values["tls-ca"],
          cert: values["tls-cert"],
          key: values["tls-key"],
          first: values["tls-first"],
        },
        surroundings,
      ),
    ),
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

/** What servers are shown: of the file, or else of the environment. */
function credentialsIn(
  flag: string | undefined,
  { env, read }: Surroundings,
): NatsCredentials | undefined {
  const file = flag ?? env("NATS_CREDS");
  if (file !== undefined) {
    const name = flag === undefined ? "NATS_CREDS" : "--credentials-file";
    readCredentials(
      readFor(name, file, read),
      `the credentials file ${file}`,
    );
    return { file };
  }
  const [user, password, token] = [
    "NATS_USER",
    "NATS_PASSWORD",
    "NATS_TOKEN",
  ].map(env);
  if (token !== undefined) return { token };
  if (user === undefined && password === undefined) return undefined;
  if (user !== undefined && password !== undefined) return { user, password };
  throw new TypeError(
    `NATS_USER and NATS_PASSWORD go together: ${
      user === undefined ? "NATS_USER" : "NATS_PASSWORD"
    } is missing, or --allow-env does not name it`,
  );
}

function tlsIn(
  { ca, cert, key, first }: {
    ca: readonly string[];
    cert: string | undefined;
    key: string | undefined;
    first: boolean;
  },
  { read }: Surroundings,
): NatsTls | undefined {
  if (ca.length === 0 && cert === undefined && key === undefined && !first) {
    return undefined;
  }
  const text = (name: string, file: string | undefined) =>
    file === undefined ? undefined : readFor(name, file, read);
  return {
    ...(ca.length > 0 && {
      caCerts: ca.map((file) => readFor("--tls-ca", file, read)),
    }),
    ...(cert !== undefined && { cert: text("--tls-cert", cert) }),
    ...(key !== undefined && { key: text("--tls-key", key) }),
    ...(first && { handshakeFirst: true }),
  };
}

function readFor(
  name: string,
  file: string,
  read: Surroundings["read"],
): string {
  try {
    return read(file);
  } catch (error) {
    throw new TypeError(
      `${name}: cannot read "${file}": ${(error as Error).message}`,
      { cause: error },
    );
  }
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
