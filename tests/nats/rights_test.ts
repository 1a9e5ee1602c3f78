/** The accounts of `examples/cluster/server.conf`: each can do its part, and no more. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertStringIncludes,
} from "@std/assert";
import { BrokenExecutor } from "../../errors.ts";
import { NatsExecutor } from "../../nats.ts";
import { within } from "../_helpers.ts";
import {
  connectClient,
  Log,
  NatsServer,
  startWorker,
  withoutNats,
  WorkerProcess,
} from "../_nats.ts";
import * as tasks from "../modules/drill_tasks.ts";

const ROOT = new URL("../../", import.meta.url);
const MODULE = new URL("../modules/drill_tasks.ts", import.meta.url).href;
const CONFIG = Deno.readTextFileSync(
  new URL("examples/cluster/server.conf", ROOT),
);
const QUEUE = "example";
const PASSWORDS = {
  MAKER_PASSWORD: "of-maker",
  WORKER_PASSWORD: "of-worker",
  SUBMITTER_PASSWORD: "of-submitter",
};
const MAKER = { NATS_USER: "maker", NATS_PASSWORD: "of-maker" };
const WORKER = { NATS_USER: "worker", NATS_PASSWORD: "of-worker" };
const SUBMITTER = { user: "submitter", password: "of-submitter" };

function drill(name: string, fn: () => Promise<void>): void {
  Deno.test({
    name: `nats rights: ${name}`,
    ignore: withoutNats,
    fn: () => within(fn()) as Promise<void>,
  });
}

/** The server of the example, on any port, without the lines that `leave` out. */
function startServer(config = CONFIG): Promise<NatsServer> {
  return NatsServer.start({
    config: config
      .replace('listen: "127.0.0.1:4222"\n', "")
      .replace("jetstream: enabled\n", ""),
    env: PASSWORDS,
  });
}

async function makeQueue(server: NatsServer): Promise<void> {
  await using maker = new WorkerProcess({
    ...{ servers: server.url, queue: QUEUE, env: MAKER },
    args: ["--make-queue", "--lease", "2000"],
  });
  assertEquals((await maker.status).code, 0, maker.stderr);
}

function submitterOf(server: NatsServer): NatsExecutor {
  return new NatsExecutor({
    ...{ servers: server.url, queue: QUEUE, module: MODULE },
    credentials: SUBMITTER,
  });
}

Deno.test("nats rights: the docs quote the example's configuration as it is", () => {
  const docs = Deno.readTextFileSync(new URL("docs/scale-out.md", ROOT));
  assertStringIncludes(docs, `\`\`\`conf\n${CONFIG}\`\`\``);
});

drill(
  "an account that may not make the queue says who is to, and one that may makes it, once or twice",
  async () => {
    await using server = await startServer();
    await using early = new WorkerProcess({
      ...{ servers: server.url, queue: QUEUE, env: WORKER },
      args: ["--module", "tests/modules/drill_tasks.ts"],
    });
    assertEquals((await early.status).code, 1);
    await early.ended;
    assertStringIncludes(early.stderr, "--make-queue");
    await using executor = submitterOf(server);
    const error = await executor.submit(tasks.adds, 1, 2).exception();
    assertInstanceOf(error, BrokenExecutor);
    assertStringIncludes(error.message, "--make-queue");
    await makeQueue(server);
    await makeQueue(server);
  },
);

drill(
  "worker and submitter do all that they do with the least rights: any size, cancels, handed calls, kills, restarts",
  async () => {
    await using server = await startServer();
    await makeQueue(server);
    await using log = new Log();
    const start = () =>
      startWorker({ servers: server.url, queue: QUEUE, env: WORKER });
    await using worker = await start();
    await using executor = submitterOf(server);
    for (let i = 0; i < 10; i++) {
      assertEquals(await executor.submit(tasks.adds, i, 1).result(), i + 1);
    }
    const large = new Uint8Array(3 << 20).fill(1);
    assertEquals(await executor.submit(tasks.size, large).result(), 3 << 20);
    const made = await executor.submit(tasks.makes, 3 << 20).result();
    assertEquals((made as Uint8Array).length, 3 << 20);
    const futures = Array.from(
      { length: 40 },
      (_, i) => executor.submit(tasks.adds, i, 1),
    );
    const cancelled = futures.filter((future) => future.cancel()).length;
    assert(cancelled > 0);
    assertEquals(await executor.submit(tasks.adds, 1, 1).result(), 2);
    // A server that is killed, while a call runs and another waits.
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr as Deno.NetAddr;
    const held = executor.submit(tasks.held, log.path, port, 1);
    const conn = await listener.accept();
    await server.kill();
    await server.start();
    conn.close();
    assertEquals(await held.result(), 1);
    // A worker that is killed.
    const lost = executor.submit(tasks.held, log.path, port, 2);
    const other = await listener.accept();
    worker.kill("SIGKILL");
    assertInstanceOf(await lost.exception(), BrokenExecutor);
    other.close();
    listener.close();
    await using second = await start();
    assertEquals(await executor.submit(tasks.adds, 2, 2).result(), 4);
    await executor.shutdown();
    second.kill("SIGTERM");
    assertEquals((await second.status).code, 0);
  },
);

drill(
  "a right that is missing is named, by a worker that ends, or by an executor that is broken",
  async () => {
    const without = (line: string, after: string) => {
      const from = CONFIG.indexOf(after);
      const at = CONFIG.indexOf(`"${line}"`, from);
      assert(at > 0, line);
      return CONFIG.slice(0, at) + CONFIG.slice(at + line.length + 2);
    };
    const ofWorker = ["cf.example.run.*", "cf.example.worker.*"];
    for (const line of ofWorker) {
      await using server = await startServer(
        without(line, 'subscribe: [\n          "cf.example.run'),
      );
      await makeQueue(server);
      await using worker = new WorkerProcess({
        ...{ servers: server.url, queue: QUEUE, env: WORKER },
        args: ["--module", "tests/modules/drill_tasks.ts"],
      });
      assertEquals((await worker.status).code, 1);
      await worker.ended;
      assertStringIncludes(worker.stderr, 'may not subscribe to "cf.example');
    }
    const ofSubmitter = [
      "cf.example.call.*",
      "cf.example.claim.*",
      "cf.example.done.*",
      "_INBOX.cf.example.submitter.>",
      "$JS.API.STREAM.NAMES",
      "$JS.API.CONSUMER.INFO.*.workers",
    ];
    for (const line of ofSubmitter) {
      await using server = await startServer(without(line, "user: submitter"));
      await makeQueue(server);
      await using executor = submitterOf(server);
      const error = await executor.submit(tasks.adds, 1, 2).exception();
      assertInstanceOf(error, BrokenExecutor);
      assertStringIncludes(error.message, "the account may not");
      assertStringIncludes(error.message, line.split("*")[0].replace(/>$/, ""));
    }
  },
);

drill("each account is refused what is another's part", async () => {
  await using server = await startServer();
  await makeQueue(server);
  const denied: [string, string, "publish" | "subscribe", string][] = [
    ["worker", "of-worker", "publish", "cf.example.call.x"],
    ["worker", "of-worker", "subscribe", "cf.example.claim.*"],
    ["worker", "of-worker", "subscribe", "_INBOX.>"],
    ["worker", "of-worker", "publish", "$JS.API.STREAM.DELETE.x"],
    ["submitter", "of-submitter", "publish", "cf.example.done.x"],
    ["submitter", "of-submitter", "publish", "cf.example.result.x.y"],
    ["submitter", "of-submitter", "publish", "$JS.ACK.x.workers.1.1.1.1.1"],
    [
      "submitter",
      "of-submitter",
      "publish",
      "$JS.API.CONSUMER.MSG.NEXT.x.workers",
    ],
    ["submitter", "of-submitter", "subscribe", "cf.example.call.*"],
    ["submitter", "of-submitter", "subscribe", "_INBOX.cf.example.worker.>"],
    ["submitter", "of-submitter", "publish", "$JS.API.STREAM.CREATE.x"],
    ["maker", "of-maker", "publish", "cf.example.call.x"],
    ["maker", "of-maker", "subscribe", "cf.example.>"],
  ];
  for (const [user, password, operation, subject] of denied) {
    const told: string[] = [];
    const client = await connectClient(
      server.url,
      { credentials: { user, password } },
      (_error, what, which) => told.push(`${what} ${which}`),
    );
    if (operation === "publish") client.publish(subject, "");
    else client.subscribe(subject, { callback() {} });
    await client.flush();
    assertEquals(told, [`${operation} ${subject}`], user);
    await client.close();
  }
});
