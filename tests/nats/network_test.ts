/**
 * Executors and workers on a network that others can reach: TLS, accounts, secrets,
 * and other clients in the same program. Each test has a server of its own.
 */

import { wsconnect } from "@nats-io/nats-core";
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { BrokenExecutor } from "../../errors.ts";
import type { RemoteWorker } from "../../internal/remote/remote_worker.ts";
import { NatsExecutor, type NatsExecutorOptions } from "../../nats.ts";
import { Authority, withoutOpenssl } from "../_certificates.ts";
import { within } from "../_helpers.ts";
import {
  makeNode,
  NatsServer,
  startWorker,
  withoutNats,
  type WorkerOptions,
  WorkerProcess,
} from "../_nats.ts";
import { infoOf, Tap } from "../_tap.ts";
import * as tasks from "../modules/drill_tasks.ts";

const MODULE = new URL("../modules/drill_tasks.ts", import.meta.url).href;
const SECRET = "s3cret-of-the-tests";
const QUEUE = "network";

function drill(name: string, fn: () => Promise<void>): void {
  Deno.test({
    name: `nats network: ${name}`,
    ignore: withoutNats || withoutOpenssl,
    fn: () => within(fn()) as Promise<void>,
  });
}

/** A configuration of TLS, and of a WebSocket with or without. */
function configOf(
  { certFile, keyFile, tls = true, more = "" }: {
    certFile: string;
    keyFile: string;
    tls?: boolean;
    more?: string;
  },
): string {
  const files = `cert_file: "${certFile}", key_file: "${keyFile}"`;
  return `
    ${tls ? `tls { ${files}, timeout: 5 }` : ""}
    websocket { host: "127.0.0.1", port: -1, ${
    tls ? `tls { ${files} }` : "no_tls: true"
  } }
    authorization { user: ada, password: "${SECRET}" }
    ${more}`;
}

/** What `held` needs. */
const MAY_WAIT = { permissions: { net: true, read: true, write: true } };

const ADA = { user: "ada", password: SECRET };

type More = Pick<NatsExecutorOptions, "credentials" | "tls">;

function executorOf(servers: string, more: More = {}): NatsExecutor {
  return new NatsExecutor({ servers, queue: QUEUE, module: MODULE, ...more });
}

function nodeOf(servers: string, more: More = {}): RemoteWorker {
  return makeNode({
    ...{ servers, queue: QUEUE, modules: [MODULE], pool: MAY_WAIT },
    ...more,
  });
}

/** Runs a call by a worker and an executor with the same way to the server. */
async function run(servers: string, more: More = {}): Promise<void> {
  const node = nodeOf(servers, more);
  try {
    await node.start();
    await using executor = executorOf(servers, more);
    assertEquals(await executor.submit(tasks.adds, 2, 3).result(), 5);
    const large = new Uint8Array(3 << 20);
    assertEquals(await executor.submit(tasks.size, large).result(), 3 << 20);
    await executor.shutdown();
  } finally {
    await node.stop();
  }
}

/** The error that breaks an executor, which has nothing secret in it. */
async function refused(servers: string, more: More = {}): Promise<string> {
  await using executor = executorOf(servers, more);
  const error = await executor.submit(tasks.adds, 1, 1).exception();
  assertInstanceOf(error, BrokenExecutor);
  for (const shown of [Deno.inspect(error), Deno.inspect(executor)]) {
    assert(!shown.includes(SECRET), shown);
  }
  return error.message;
}

drill(
  "calls and values of any size travel over each kind of connection that there is, and nothing secret is heard of those that are encrypted",
  async () => {
    using authority = new Authority();
    const tls = { caCerts: [authority.root.cert] };
    const server = authority.sign("DNS:localhost,IP:127.0.0.1");
    await using encrypted = await NatsServer.start({
      config: configOf(server),
    });
    for (const scheme of ["nats", "tls", "wss"] as const) {
      await using tap = new Tap(
        encrypted.urlOf(scheme === "wss" ? "wss" : "nats"),
      );
      for (const host of ["127.0.0.1", "localhost"]) {
        await run(tap.urlOf(scheme, host), { tls, credentials: ADA });
      }
      assert(tap.seen.length > 10_000);
      for (const word of [SECRET, "auth_token", `cf.${QUEUE}.`]) {
        assert(!tap.seen.includes(word), word);
      }
    }
    await using plain = await NatsServer.start({
      config: configOf({ ...server, tls: false }),
    });
    for (const scheme of ["nats", "ws"] as const) {
      await run(plain.urlOf(scheme).replace("//", `//ada:${SECRET}@`));
    }
  },
);

drill(
  "a server whose certificate is of nobody trusted, for another host, or expired is told nothing, and named",
  async () => {
    using authority = new Authority();
    using other = new Authority();
    const good = "DNS:localhost,IP:127.0.0.1";
    const wrong = [
      [other.sign(good), /UnknownIssuer/],
      [
        authority.sign("DNS:elsewhere.example"),
        /not valid for name|NotValidForName/i,
      ],
      [authority.sign(good, true), /expired/i],
    ] as const;
    for (const [certificate, why] of wrong) {
      await using server = await NatsServer.start({
        config: configOf(certificate),
      });
      for (const scheme of ["tls", "nats", "wss"] as const) {
        await using tap = new Tap(
          server.urlOf(scheme === "wss" ? "wss" : "nats"),
        );
        const message = await refused(tap.urlOf(scheme), {
          credentials: ADA,
          tls: { caCerts: [authority.root.cert] },
        });
        assertMatch(message, why);
        assertStringIncludes(message, tap.urlOf("").replace("://", ""));
        assert(!tap.seen.includes(SECRET));
        assertEquals(tap.count, 1);
      }
    }
  },
);

drill(
  "a server that asks for a certificate gets the client's, before or after it has said who it is",
  async () => {
    using authority = new Authority();
    const { cert, key } = authority.sign("DNS:client.example");
    const server = authority.sign("DNS:localhost,IP:127.0.0.1");
    const caCerts = [authority.root.cert];
    const files =
      `cert_file: "${server.certFile}", key_file: "${server.keyFile}", ca_file: "${authority.root.certFile}", verify: true, timeout: 5`;
    await using verifying = await NatsServer.start({
      config: `tls { ${files} }
      websocket { host: "127.0.0.1", port: -1, tls { ${
        files.replace(", timeout: 5", "")
      } } }`,
    });
    for (const scheme of ["tls", "wss"] as const) {
      for (const host of ["127.0.0.1", "localhost"]) {
        await run(verifying.urlOf(scheme, host), {
          tls: { caCerts, cert, key },
        });
      }
      const message = await refused(verifying.urlOf(scheme), {
        tls: { caCerts },
      });
      assertMatch(message, /certificate/i);
    }
    // The server's own is looked at here, too.
    using other = new Authority();
    const message = await refused(verifying.urlOf("tls"), {
      tls: { caCerts: [other.root.cert], cert, key },
    });
    assertMatch(message, /UnknownIssuer|unable to|certificate/i);
  },
);

drill("a server that wants TLS at once gets it", async () => {
  using authority = new Authority();
  const { cert, key } = authority.sign("IP:127.0.0.1");
  await using plain = await NatsServer.start({ user: "ada", pass: SECRET });
  // It ends TLS before the server.
  const listener = Deno.listenTls({
    hostname: "127.0.0.1",
    port: 0,
    cert,
    key,
  });
  const jobs: Promise<unknown>[] = [];
  const accepting = (async () => {
    for await (const near of listener) {
      const far = await Deno.connect({
        hostname: "127.0.0.1",
        port: Number(new URL(plain.url).port),
      });
      jobs.push(
        near.readable.pipeTo(far.writable).catch(() => {}),
        far.readable.pipeTo(near.writable).catch(() => {}),
      );
    }
  })();
  const { port } = listener.addr as Deno.NetAddr;
  await run(`tls://ada:${SECRET}@127.0.0.1:${port}`, {
    tls: { caCerts: [authority.root.cert], handshakeFirst: true },
  });
  listener.close();
  await accepting;
  await Promise.all(jobs);
});

drill(
  "whoever answers in the clear where there was TLS is told nothing, though the URL is nats://",
  async () => {
    using authority = new Authority();
    const certificate = authority.sign("IP:127.0.0.1");
    const more = { tls: { caCerts: [authority.root.cert] }, credentials: ADA };
    for (const scheme of ["nats", "tls"]) {
      await using server = await NatsServer.start({
        config: configOf(certificate),
      });
      await using tap = new Tap(server.url);
      await using executor = executorOf(tap.urlOf(scheme), more);
      const future = executor.submit(tasks.adds, 1, 2);
      // It is connected once the call is known to the server.
      await server.holds(QUEUE, 1, more);
      tap.forget();
      tap.impostor = infoOf({ nonce: "n" });
      tap.cut();
      const error = await future.exception() as Error;
      assertInstanceOf(error, BrokenExecutor);
      assertStringIncludes(error.message, "offers no TLS");
      assertEquals(tap.seen, "");
    }
  },
);

drill(
  "a tls:// server that offers none is told nothing, nor one that says more before TLS than who it is",
  async () => {
    using authority = new Authority();
    await using server = await NatsServer.start({
      config: configOf(authority.sign("IP:127.0.0.1")),
    });
    await using tap = new Tap(server.url);
    const more = { tls: { caCerts: [authority.root.cert] }, credentials: ADA };
    tap.impostor = infoOf();
    assertStringIncludes(
      await refused(tap.urlOf("tls"), more),
      "offers no TLS",
    );
    assertStringIncludes(
      await refused(tap.urlOf("nats"), more),
      "offers no TLS",
    );
    tap.impostor = `${infoOf({ tls_required: true })}PING\r\n`;
    assertStringIncludes(
      await refused(tap.urlOf("tls"), more),
      "more before TLS",
    );
    assertEquals(tap.seen, "");
  },
);

drill(
  "a wrong password, and none, are told in clear words, once, and shown by nothing",
  async () => {
    await using server = await NatsServer.start({ user: "ada", pass: "other" });
    await using tap = new Tap(server.url);
    const url = tap.urlOf("nats");
    const wrong: [string, More, RegExp][] = [
      [url.replace("//", `//ada:${SECRET}@`), {}, /Authorization Violation/],
      [url.replace("//", `//${SECRET}@`), {}, /Authorization Violation/],
      [url, { credentials: ADA }, /Authorization Violation/],
      [url, {}, /Authorization Violation.*no credentials/],
    ];
    for (const [servers, more, words] of wrong) {
      const before = tap.count;
      assertMatch(await refused(servers, more), words);
      assertEquals(tap.count, before + 1);
    }
  },
);

drill(
  "credentials that are revoked meanwhile break the executor soon, without a storm, and the worker waits for better ones",
  async () => {
    const config = (password: string) =>
      `authorization { users: [
      { user: ada, password: "${password}" }, { user: bob, password: "b" }
    ] }`;
    await using server = await NatsServer.start({ config: config(SECRET) });
    await using tap = new Tap(server.url);
    const said: string[] = [];
    const told = Promise.withResolvers<void>();
    const node = makeNode({
      ...{ servers: tap.urlOf("nats"), queue: QUEUE, modules: [MODULE] },
      ...{ pool: MAY_WAIT, credentials: ADA },
      log(text) {
        said.push(text);
        // The latter where it was refused once only.
        if (/ready again|there again/.test(text)) told.resolve();
      },
    });
    await node.start();
    const executor = executorOf(tap.urlOf("nats"), { credentials: ADA });
    assertEquals(await executor.submit(tasks.adds, 1, 2).result(), 3);
    await using gate = createGate();
    const future = executor.submit(
      tasks.held,
      Deno.makeTempFileSync(),
      gate.port,
      1,
    );
    await gate.entered;
    const before = tap.count;
    await server.reload(config("another"));
    const error = await future.exception() as Error;
    assertInstanceOf(error, BrokenExecutor);
    assertMatch(error.message, /Authoriz|Authentic/i);
    assert(!Deno.inspect(error).includes(SECRET));
    // Two attempts each, and the worker's first anew.
    assert(tap.count - before <= 6, `${tap.count - before} connections`);
    await server.reload(config(SECRET));
    await gate.open();
    await told.promise;
    assert(!said.join().includes(SECRET), said.join());
    await node.stop();
    await executor.shutdown();
  },
);

/** Where `held` waits. */
function createGate() {
  const entered = Promise.withResolvers<void>();
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const conns: Deno.Conn[] = [];
  const accepting = (async () => {
    for await (const conn of listener) {
      conns.push(conn);
      entered.resolve();
    }
  })();
  let isOpen = false;
  const open = async () => {
    if (isOpen) return;
    isOpen = true;
    listener.close();
    await accepting;
    for (const conn of conns) conn.close();
  };
  return {
    port: (listener.addr as Deno.NetAddr).port,
    entered: entered.promise,
    open,
    [Symbol.asyncDispose]: open,
  };
}

drill(
  "other clients of the program and this one each have their own connection, in whatever order they come, break and go",
  async () => {
    const config = `websocket { host: "127.0.0.1", port: -1, no_tls: true }`;
    for (const order of ["theirs first", "ours first"]) {
      await using server = await NatsServer.start({ config });
      const connectTheirs = () =>
        wsconnect({
          servers: server.urlOf("ws"),
          ...{ reconnectTimeWait: 50, maxReconnectAttempts: -1 },
        });
      let theirs = order === "theirs first" ? await connectTheirs() : undefined;
      const node = nodeOf(server.url);
      await node.start();
      const executor = executorOf(server.url);
      assertEquals(await executor.submit(tasks.adds, 1, 2).result(), 3);
      theirs ??= await connectTheirs();
      await using gate = createGate();
      const log = await Deno.makeTempFile();
      const future = executor.submit(tasks.held, log, gate.port, 7);
      await gate.entered;
      const subscription = theirs.subscribe("greeting");
      const back = (async () => {
        for await (const { type } of theirs.status()) {
          if (type === "reconnect") return;
        }
      })();
      await server.kill();
      await server.start();
      await gate.open();
      assertEquals(await future.result(), 7);
      // A WebSocket's port is another one after a start: they are told of it.
      theirs.setServers([server.urlOf("ws")]);
      await back;
      theirs.publish("greeting", "hello");
      for await (const msg of subscription) {
        assertEquals(msg.string(), "hello");
        break;
      }
      await theirs.close();
      assertEquals(await executor.submit(tasks.adds, 3, 4).result(), 7);
      await executor.shutdown();
      await node.stop();
      await Deno.remove(log);
    }
  },
);

// ---- The worker's command ----------------------------------------------------------

drill(
  "a worker gets its secrets from files and from its environment, says none, and its calls find none",
  async () => {
    using authority = new Authority();
    await using server = await NatsServer.start({
      config: configOf(authority.sign("IP:127.0.0.1")),
    });
    const file = await Deno.makeTempFile();
    await Deno.writeTextFile(file, JSON.stringify(ADA));
    const url = server.urlOf("tls");
    const tls = { caCerts: [authority.root.cert] };
    const args = [
      ...["--max-workers", "1", "--tls-ca", authority.root.certFile],
      ...["--grant", "env", "--allow-source"],
    ];
    const ways: Omit<WorkerOptions, "queue">[] = [
      { servers: url, args: [...args, "--credentials-file", file] },
      { servers: url, args, env: { NATS_CREDS: file } },
      { servers: url, args, env: { NATS_USER: "ada", NATS_PASSWORD: SECRET } },
      {
        ...{ servers: "", args },
        env: { NATS_URL: url.replace("//", `//ada:${SECRET}@`) },
      },
    ];
    for (const way of ways) {
      await using worker = await startWorker({ queue: QUEUE, ...way });
      await using executor = executorOf(url, { tls, credentials: ADA });
      const found = await executor.submit(() => Deno.env.toObject()).result();
      assertEquals(found["NATS_PASSWORD"], undefined);
      assertEquals(found["NATS_URL"], undefined);
      assert(!worker.stderr.includes(SECRET), worker.stderr);
    }
    await Deno.remove(file);
  },
);

drill(
  "a worker that may not come in ends with code 1, and what is wrong on its command line with code 2, without a secret",
  async () => {
    await using server = await NatsServer.start({ user: "ada", pass: "other" });
    const file = await Deno.makeTempFile();
    await Deno.writeTextFile(file, JSON.stringify(ADA));
    const wrong: [string, string[], number, string][] = [
      [server.url, ["--credentials-file", file], 1, "Authorization Violation"],
      [server.url, [], 1, "no credentials"],
      [
        server.url.replace("//", `//ada:${SECRET}@`),
        [],
        2,
        "--credentials-file",
      ],
      [server.url.replace("//", `//${SECRET}@`), [], 2, "NATS_URL"],
      [`nat://ada:${SECRET}@127.0.0.1:1`, [], 2, "--credentials-file"],
      [server.url, [`nats://ada:${SECRET}@a:1`], 2, "…@a:1"],
      [server.url, ["--credentials-file", `${file}.not`], 2, "cannot read"],
    ];
    for (const [servers, args, code, words] of wrong) {
      await using worker = new WorkerProcess({
        ...{ servers, queue: QUEUE },
        args: ["--module", "tests/modules/drill_tasks.ts", ...args],
      });
      assertEquals((await worker.status).code, code, worker.stderr);
      await worker.ended;
      assertStringIncludes(worker.stderr, words);
      assert(!worker.stderr.includes(SECRET), worker.stderr);
    }
    await Deno.remove(file);
  },
);

drill(
  "an executor whose server is away says what the last attempt to reach it came to",
  async () => {
    const server = await NatsServer.start();
    const executor = executorOf(server.url);
    const future = executor.submit(tasks.adds, 1, 2);
    await server.holds(QUEUE, 1);
    await server[Symbol.asyncDispose]();
    const ended = executor.shutdown();
    const error = await future.exception() as Error;
    assertInstanceOf(error, BrokenExecutor);
    assertMatch(error.message, /^The server was away for/);
    assertMatch(`${error.cause}`, /refused/i);
    await ended;
  },
);

drill(
  "a nats:// server that once asked for TLS, of a certificate that the runtime itself trusts, is told nothing without from then on, by the next connection neither",
  async () => {
    using authority = new Authority();
    await using server = await NatsServer.start({
      config: configOf(authority.sign("IP:127.0.0.1")),
    });
    await using tap = new Tap(server.url);
    const { startTls } = Deno;
    // As if the runtime had been started with this authority.
    Deno.startTls = (conn, options) =>
      startTls(conn, { ...options, caCerts: [authority.root.cert] });
    try {
      await using executor = executorOf(tap.urlOf("nats"), {
        credentials: ADA,
      });
      const future = executor.submit(tasks.adds, 1, 2);
      await server.holds(QUEUE, 1, {
        ...{ credentials: ADA, tls: { caCerts: [authority.root.cert] } },
      });
      tap.forget();
      tap.impostor = infoOf({ nonce: "n" });
      tap.cut();
      const error = await future.exception() as Error;
      assertStringIncludes(error.message, "offers no TLS");
      assertEquals(tap.seen, "");
    } finally {
      Deno.startTls = startTls;
    }
  },
);
