/** The options of `NatsExecutor` and of its workers, and what needs no server. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertThrows,
} from "@std/assert";
import type { Client } from "../../internal/nats/client.ts";
import {
  type Command,
  HELP,
  parseCommand,
} from "../../internal/nats/command.ts";
import { Messages } from "../../internal/nats/messages.ts";
import { deliveryOf } from "../../internal/nats/puller.ts";
import { Batches } from "../../internal/remote/batches.ts";
import { nameOfModule } from "../../internal/remote/module_names.ts";
import { NatsExecutor, type NatsExecutorOptions } from "../../nats.ts";
import { FakeClock, turn } from "../_helpers.ts";
import { connectClient } from "../_nats.ts";

const GOOD = { servers: "nats://127.0.0.1:4222", queue: "q" };

Deno.test("nats: an option of the wrong type, or out of range, is refused with its value", () => {
  const refused: [Record<string, unknown>, typeof TypeError, string][] = [
    [{ servers: "127.0.0.1:4222" }, TypeError, '"127.0.0.1:4222"'],
    [{ servers: [] }, TypeError, "at least one server"],
    [{ servers: ["http://a"] }, TypeError, '"http://a"'],
    [{ servers: undefined }, TypeError, "undefined"],
    [{ queue: "a.b" }, TypeError, '"a.b"'],
    [{ queue: "" }, TypeError, '""'],
    [{ queue: 5 }, TypeError, "5"],
    [{ lease: "1s" }, TypeError, '"1s"'],
    [{ lease: 999 }, RangeError, "999"],
    [{ lease: Infinity }, RangeError, "Infinity"],
    [{ maxAttempts: 0 }, RangeError, "maxAttempts must be greater than 0"],
    [{ maxAttempts: 1.5 }, TypeError, "maxAttempts must be an integer"],
    [{ workerTimeout: -1 }, RangeError, "workerTimeout must not be negative"],
    [{ workerTimeout: "1" }, TypeError, "workerTimeout"],
    [{ module: "./tasks.ts" }, TypeError, '"./tasks.ts"'],
    [{ module: { tasks: "./tasks.ts" } }, TypeError, '"./tasks.ts"'],
    [{ module: 5 }, TypeError, "5"],
    [
      { module: ["file:///a/t.ts", "file:///b/t.ts"] },
      TypeError,
      'Two modules are named "t"',
    ],
  ];
  for (const [options, type, words] of refused) {
    assertThrows(
      () => new NatsExecutor({ ...GOOD, ...options } as NatsExecutorOptions),
      type,
      words,
    );
  }
});

Deno.test(
  "nats: importing the entry point and making an executor takes no permission",
  {
    permissions: "none",
  },
  async () => {
    const executor = new NatsExecutor({
      servers: ["nats://a:1", "tls://ada:secret@b"],
      queue: "a-b_1",
      lease: 1000,
      maxAttempts: 2,
      workerTimeout: 0,
      module: { tasks: "file:///tasks.ts" },
    });
    await executor.shutdown();
  },
);

Deno.test("nats: a module is called what its file is, without the ending", () => {
  const names = {
    "file:///a/tasks.ts": "tasks",
    "file:///a/tasks.test.ts": "tasks.test",
    "https://a.b/c/mod.js?v=1.2#x": "mod",
    "file:///a/.hidden": ".hidden",
    "npm:chalk": "npm:chalk",
  };
  for (const [url, name] of Object.entries(names)) {
    assertEquals(nameOfModule(url), name);
  }
});

Deno.test("nats: a message says which it is, to old servers and new ones", () => {
  const delivery = { delivery: 2, message: 30, number: 4 };
  for (
    const reply of [
      "$JS.ACK.stream.workers.2.30.4.1700000000000000000.5",
      "$JS.ACK._.hash.stream.workers.2.30.4.1700000000000000000.5",
      "$JS.ACK._.hash.stream.workers.2.30.4.1700000000000000000.5.random",
    ]
  ) {
    assertEquals(deliveryOf(reply, "stream", "workers"), delivery);
    assertEquals(deliveryOf(reply, "stream", "others"), undefined);
    assertEquals(deliveryOf(reply, "other", "workers"), undefined);
  }
  for (
    const reply of [
      "",
      "some.where",
      "$JS.ACK.stream.workers",
      "$JS.ACK.stream.workers.2.x.4.1700000000000000000.5",
      "$JS.ACK.stream.workers.2.-30.4.1700000000000000000.5",
      "$JS.ACK.stream.workers.2.30.1e9.1700000000000000000.5",
    ]
  ) assertEquals(deliveryOf(reply, "stream", "workers"), undefined);
});

Deno.test("nats: questions of one turn go together, and so do those that come while others are under way; they fail together", async () => {
  const asked: [string, number[]][] = [];
  const answers: PromiseWithResolvers<number[]>[] = [];
  const batches = new Batches<number, number>(
    (whom, questions) => {
      asked.push([whom, questions]);
      answers.push(Promise.withResolvers<number[]>());
      return answers.at(-1)!.promise;
    },
    ({ length }) => Math.min(length, 3),
    true,
  );
  const first = [0, 1].map((n) => batches.add("a", n));
  const other = batches.add("b", 9);
  await turn();
  assertEquals(asked, [["a", [0, 1]], ["b", [9]]]);
  const all = [2, 3, 4, 5].map((n) => batches.add("a", n));
  await turn();
  assertEquals(asked.length, 2);
  answers[0].resolve([0, 10]);
  answers[1].resolve([90]);
  assertEquals([...await Promise.all(first), await other], [0, 10, 90]);
  await turn();
  assertEquals(asked[2], ["a", [2, 3, 4]]);
  const settled = Promise.allSettled(all.slice(0, 3));
  answers[2].reject(new RangeError("no"));
  assertEquals((await settled).map(({ status }) => status), [
    "rejected",
    "rejected",
    "rejected",
  ]);
  assertEquals(asked[3], ["a", [5]]);
  answers[3].resolve([50]);
  assertEquals(await all[3], 50);
  // Afterwards nothing is waited for again.
  batches.add("a", 6);
  await turn();
  assertEquals(asked[4], ["a", [6]]);
});

/** What is published on a connection that is none. */
function connectNowhere(): { nc: Client; published: string[] } {
  const published: string[] = [];
  const nc = {
    subscribe() {},
    inbox: () => "inbox",
    isClosed: () => false,
    publish: (subject: string) => published.push(subject),
  };
  return { nc: nc as unknown as Client, published };
}

Deno.test("nats: what is in no hurry goes before the next message, or soon, or at the end", async () => {
  using clock = new FakeClock();
  const { nc, published } = connectNowhere();
  const messages = new Messages(nc, () => {});
  messages.publishSoon("a", "");
  messages.publishSoon("b", "");
  assertEquals(published, []);
  messages.publish("c", "");
  assertEquals(published, ["a", "b", "c"]);
  messages.publishSoon("d", "");
  await clock.pass(10);
  assertEquals(published.slice(3), ["d"]);
  messages.publishSoon("e", "");
  messages.close(new Error("over"));
  assertEquals(published.slice(4), ["e"]);
});

Deno.test("nats: what is in no hurry starts no timer once the connection ends", async () => {
  const { nc, published } = connectNowhere();
  const messages = new Messages(nc, () => {});
  messages.close(new Error("over"));
  messages.publishSoon("a", "");
  assertEquals(published, ["a"]);
  await assertRejects(() => messages.ask("b", "", 1000));
});

Deno.test("nats: a question that nobody answers is given up in time, or with the connection", async () => {
  using clock = new FakeClock();
  const { nc, published } = connectNowhere();
  const messages = new Messages(nc, () => {});
  const late = assertRejects(
    () => messages.ask("a", "", 1000),
    Error,
    "timeout",
  );
  await clock.pass(1500);
  await late;
  const over = assertRejects(() => messages.ask("b", "", 1000), Error, "over");
  messages.giveUp(new Error("over"));
  await over;
  messages.close(new Error("over"));
  assertEquals(published, ["a", "b"]);
});

Deno.test("nats: a connection to a server that takes nothing any more ends all the same", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const connecting = connectClient(`nats://127.0.0.1:${port}`);
  const server = await listener.accept();
  const say = (text: string) => server.write(new TextEncoder().encode(text));
  await say(
    'INFO {"version":"2.9.0","max_payload":1073741824,"headers":true}\r\n',
  );
  // It reads who is there, and no more.
  await server.read(new Uint8Array(4096));
  await say("PONG\r\n");
  const nc = await connecting;
  // More than what is between the two can hold: the rest waits to be written.
  nc.publish("a", new Uint8Array(2 ** 26));
  for (let i = 0; i < 20; i++) await turn();
  await nc.close();
  server.close();
});

// ---- The worker's command line ---------------------------------------------------

const NEEDED = [
  "--servers",
  "nats://a:1",
  "--queue",
  "q",
  "--module",
  "./t.ts",
];

/** A command with the addresses of its servers. */
function shown({ servers, ...others }: Command) {
  return { servers: servers.map(({ address }) => address), ...others };
}

Deno.test("worker: a command line with what is needed has the rest by default", () => {
  const command = parseCommand(NEEDED)!;
  assertEquals(shown(command), {
    makesQueue: false,
    servers: ["a:1"],
    queue: "q",
    lease: undefined,
    modules: new Map([["t", new URL("t.ts", `file://${Deno.cwd()}/`).href]]),
    maxWorkers: navigator.hardwareConcurrency,
    allowSource: false,
    threads: false,
    permissions: {},
    config: undefined,
    name: undefined,
  });
});

Deno.test("worker: a command line may name all there is", () => {
  const command = parseCommand([
    ...["--servers", "nats://a:1,nats://b:2", "--servers", "nats://c:3"],
    ...["--queue", "q", "--module", "pdf=https://a.b/c.ts?d=e"],
    ...["--module", "file:///x/y.ts", "--max-workers", "3", "--allow-source"],
    ...["--grant", "read=/a,/b", "--grant", "read=/c", "--grant", "net"],
    ...["--config", "deno.json", "--lease", "2000", "--name", "left"],
  ])!;
  assertEquals(shown(command), {
    makesQueue: false,
    servers: ["a:1", "b:2", "c:3"],
    queue: "q",
    lease: 2000,
    modules: new Map([["pdf", "https://a.b/c.ts?d=e"], [
      "y",
      "file:///x/y.ts",
    ]]),
    maxWorkers: 3,
    allowSource: true,
    threads: false,
    permissions: { read: ["/a", "/b", "/c"], net: true },
    config: "deno.json",
    name: "left",
  });
});

Deno.test("worker: a command line that is wrong says what is", () => {
  const wrong: [string[], string][] = [
    [[], "--servers is missing"],
    [["--servers", "nats://a"], "--queue is missing"],
    [["--servers", "nats://a", "--queue", "q"], "--module is missing"],
    [[...NEEDED, "--servers", "a"], 'received "a"'],
    [[...NEEDED, "--queue", "a b"], '"a b"'],
    [[...NEEDED, "--max-workers", "0"], "--max-workers must be greater than 0"],
    [[...NEEDED, "--max-workers", "x"], "--max-workers must be a number"],
    [[...NEEDED, "--lease", "5"], "lease must be at least 1000"],
    [[...NEEDED, "--grant", "everything"], '"everything"'],
    [[...NEEDED, "--threads", "--grant", "net"], "--grant is for processes"],
    [[...NEEDED, "--module", "file:///other/t.ts"], "Two modules are named"],
    [[...NEEDED, "--colour"], "--colour"],
    [[...NEEDED, "more"], "more"],
  ];
  for (const [args, words] of wrong) {
    assertThrows(() => parseCommand(args), Error, words);
  }
});

Deno.test("worker: --help tells of every option", () => {
  assertEquals(parseCommand([...NEEDED, "--help"]), undefined);
  assertEquals(parseCommand(["-h"]), undefined);
  for (
    const option
      of "servers queue credentials-file tls-ca tls-cert tls-key tls-first module allow-source grant config max-workers threads lease name make-queue help"
        .split(" ")
  ) assertMatch(HELP, new RegExp(`\n  --${option}\\s`));
});

/** What a command finds around it: variables, and files. */
function around(
  variables: Record<string, string>,
  files: Record<string, string> = {},
) {
  return {
    env: (name: string) => variables[name],
    read(path: string) {
      if (path in files) return files[path];
      throw new Deno.errors.NotFound(`no such file: ${path}`);
    },
  };
}

Deno.test("worker: what servers are shown comes from a file, or else from the environment, and nothing shows it", async () => {
  const secret = "s3cret-of-the-command";
  const user = { NATS_USER: "ada", NATS_PASSWORD: secret };
  const url = { NATS_URL: `nats://bob:${secret}@a:1,nats://b:2` };
  const json = JSON.stringify({ token: secret });
  const pem = `-----BEGIN CERTIFICATE-----${secret}`;
  const key = `-----BEGIN EC PRIVATE KEY-----${secret}`;
  const files = { "f.json": json, "c.pem": pem, "k.pem": key };
  const rest = NEEDED.slice(2);
  const told: [string[], Record<string, string>, object[]][] = [
    [NEEDED, {}, [{}]],
    [NEEDED, user, [{ user: "ada", pass: secret }]],
    [NEEDED, { NATS_TOKEN: secret }, [{ auth_token: secret }]],
    [rest, url, [{ user: "bob", pass: secret }, {}]],
    [rest, { ...url, ...user }, [
      { user: "bob", pass: secret },
      { user: "ada", pass: secret },
    ]],
    // What is named on the command line goes before.
    [NEEDED, url, [{}]],
  ];
  for (const [args, variables, proofs] of told) {
    const command = parseCommand(args, around(variables))!;
    assertEquals(
      await Promise.all(command.servers.map((server) => server.prove(""))),
      proofs,
    );
    assert(!Deno.inspect(command, { depth: 9 }).includes(secret));
  }
  const tls = [
    "--tls-ca",
    "c.pem",
    "--tls-cert",
    "c.pem",
    "--tls-key",
    "k.pem",
  ];
  const command = parseCommand(
    [...NEEDED, ...tls, "--tls-first", "--credentials-file", "f.json"],
    around(user, files),
  )!;
  assertEquals(command.servers[0].tls, {
    ...{ caCerts: [pem], cert: pem, key, handshakeFirst: true },
  });
  assert(command.servers[0].mustEncrypt);
  assert(!Deno.inspect(command, { depth: 9 }).includes(secret));
  const wrong: [string[], Record<string, string>, string][] = [
    [NEEDED, { NATS_USER: "ada" }, "NATS_PASSWORD is missing"],
    [NEEDED, { NATS_PASSWORD: secret }, "NATS_USER is missing"],
    [NEEDED, { NATS_CREDS: "no.creds" }, 'NATS_CREDS: cannot read "no.creds"'],
    [[...NEEDED, "--credentials-file", "c.pem"], {}, "has no seed"],
    [[...NEEDED, "--tls-ca", "no.pem"], {}, '--tls-ca: cannot read "no.pem"'],
    [[...NEEDED, "--tls-cert", "c.pem"], {}, "go together"],
    [[...NEEDED, "--tls-ca", "f.json"], {}, "tls.caCerts"],
    [rest, { NATS_URL: `nat://bob:${secret}@a:1` }, "nat://…@a:1"],
    [[...NEEDED, "--servers", `nats://${secret}@a:1`], {}, "nats://…@a:1"],
    [[...NEEDED, `--servers=bob:${secret}@a:1`], {}, "…@a:1"],
    [[...NEEDED, `nats://bob:${secret}@a:1`], {}, "nats://…@a:1"],
  ];
  for (const [args, variables, words] of wrong) {
    const error = assertThrows(
      () => parseCommand(args, around(variables, files)),
      Error,
      words,
    );
    assert(!Deno.inspect(error).includes(secret), Deno.inspect(error));
  }
});
