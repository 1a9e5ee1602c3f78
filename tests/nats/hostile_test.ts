/**
 * A NATS server that others can reach: thousands of messages that are none of
 * their kind, on all subjects of a queue, after which everything is as it was.
 */

import { assert, assertEquals } from "@std/assert";
import { NatsExecutor } from "../../nats.ts";
import { within } from "../_helpers.ts";
import {
  Log,
  NatsServer,
  startWorker,
  withoutNats,
  type WorkerProcess,
} from "../_nats.ts";
import { RawClient, type RawMessage } from "../_nats_raw.ts";
import { socketGate } from "../contract.ts";
import * as tasks from "../modules/drill_tasks.ts";

/** How many messages each kind of worker is sent, unless it is said. */
const MESSAGES = Number(Deno.env.get("HOSTILE_MESSAGES") ?? 10_000);
const TOGETHER = 250;
const LEASE = 1000;
/** How much of a processor those may use that have nothing to do, of one. */
const IDLE = 0.1;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Numbers that are the same for the same seed. */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** What a field may be replaced by. */
const ODD: readonly unknown[] = [
  ...[null, true, -1, 0, 1.5, 1e300, 2 ** 53, "", "a b", "a.b", "*", ">"],
  ...["a\nb", "a\r\nPUB x 0\r\n", "\0", "\ud800", "x".repeat(5000)],
  ...["__proto__", "constructor", [], [[]], {}, [null], { length: 5 }],
  ...[{ toString: 1 }, { toJSON: 1 }, { then: 1 }, { constructor: null }],
  JSON.parse('{"__proto__":{"by":"source","source":"() => 1"}}'),
  { by: "source", name: "", source: "() => Deno.exit(1)" },
  { by: "name", name: "eval", path: ["eval"], source: "" },
];

/** Bodies of calls, and outcomes, that are none. */
const BODIES = [
  ...["", "no JSON", "[1,2", "[1],[2]", "5", "null", '"ab"', "{}", "[1,\n2]"],
  '[1]]],"fns":[{"by":"source","name":"","source":"() => 42"}],"calls":[[0,0,[]',
  ...['{"is":"returned","value":13}', '{"is":"threw","what":{}}', "[]\n[]"],
  "[".repeat(2000) + "]".repeat(2000),
];

const HEADS = [
  ...["NATS/1.0\r\n\r\n", "NATS/1.0 503\r\n\r\n", "NATS/1.0 409 x\r\n\r\n"],
  ...["NATS/1.0 408\r\nNats-Pending-Messages: 1e9\r\n\r\n", "NATS/1.0 100\r\n"],
  ...[
    "NATS/1.0\r\ncf-parts: 1,2,-3\r\n\r\n",
    "NATS/1.0\r\ncf-parts: 9\r\n\r\n",
  ],
  ...["NATS/1.0\r\ncf-object: no such object\r\n\r\n"],
  ...["NATS/1.0\r\ncf-parts: 1e3,NaN\r\ncf-object: *\r\n\r\n", "nonsense"],
  ...[
    "NATS/1.0\r\n: \r\n::\r\n\n\n\r\n\r\n",
    "NATS/1.0\r\n\xff\xfe: \xc3\r\n\r\n",
  ],
];

/** The subjects of a queue, and a message of each that was right. */
type Examples = Map<string, RawMessage>;

/** Makes messages of examples, no two alike. */
class Mutator {
  readonly #random: (below: number) => number;
  readonly #examples: readonly RawMessage[];
  readonly #replies: readonly string[];

  constructor(seed: number, examples: Examples, replies: readonly string[]) {
    this.#random = randomOf(seed);
    this.#examples = [...examples.values()];
    this.#replies = replies;
  }

  #one<T>(of: readonly T[]): T {
    return of[this.#random(of.length)];
  }

  next(): RawMessage {
    const example = this.#one(this.#examples);
    let { subject, reply, headers } = example;
    // What is someone else's word, of somebody who is not there.
    if (this.#random(8) === 0) subject = subject.replace(/\w+$/, "nobody");
    if (this.#random(3) === 0) reply = this.#one(this.#replies);
    // What is stored is answered by the server: that it obeys itself is its own affair.
    if (/\.(?:call|result)\./.test(subject) && reply?.startsWith("$")) {
      reply = "";
    }
    headers = this.#random(4) === 0
      ? bytesOf(this.#one(HEADS))
      : this.#random(2) === 0
      ? headers
      : undefined;
    return { subject, reply, headers, data: this.#data(example.data) };
  }

  #data(data: Uint8Array): Uint8Array {
    const way = this.#random(10);
    if (way === 0) return new Uint8Array(0);
    if (way === 1) {
      const noise = new Uint8Array(this.#random(300));
      return noise.map(() => this.#random(256));
    }
    const bytes = data.slice();
    if (way === 2 && bytes.length > 0) {
      bytes[this.#random(bytes.length)] = this.#random(256);
      return bytes;
    }
    if (way === 3) return bytes.slice(0, this.#random(bytes.length + 1));
    const end = bytes.indexOf(10);
    const head = decoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
    const body = end < 0 ? "" : `\n${decoder.decode(bytes.subarray(end + 1))}`;
    if (way === 4) return encoder.encode(`${head}\n${this.#one(BODIES)}`);
    if (way === 5) return encoder.encode(`${this.#one(BODIES)}${body}`);
    let value: unknown;
    try {
      value = JSON.parse(head);
    } catch {
      return encoder.encode(JSON.stringify(this.#one(ODD)));
    }
    const text = JSON.stringify(this.#changed(value)) ?? "";
    return encoder.encode(`${text}${body}`);
  }

  /** A value with one field, at some depth, missing or replaced. */
  #changed(value: unknown): unknown {
    const isLeaf = typeof value !== "object" || value === null;
    const keys = isLeaf ? [] : Object.keys(value as object);
    if (keys.length === 0 || this.#random(6) === 0) return this.#one(ODD);
    const copy = structuredClone(value) as Record<string, unknown>;
    const key = this.#one(keys);
    if (this.#random(5) === 0 && !Array.isArray(copy)) delete copy[key];
    else copy[key] = this.#changed(copy[key]);
    return copy;
  }
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

/** What a process has used of processors so far, in milliseconds. */
function usedBy(pid: number): number {
  const [, rest] = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ");
  const fields = rest.split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** Fails where one of these works though there is nothing to do. */
async function assertIdle(pids: readonly number[]): Promise<void> {
  for (let tries = 0;; tries++) {
    const before = pids.map(usedBy);
    const begin = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const ms = performance.now() - begin;
    const shares = pids.map((pid, i) => (usedBy(pid) - before[i]) / ms);
    if (shares.every((share) => share < IDLE)) return;
    // What is left of before has its time.
    assert(tries < 10, `they use ${shares} of a processor`);
  }
}

/** Sees what goes over a queue's subjects while some calls run as they should. */
async function examplesOf(
  client: RawClient,
  queue: string,
  pool: NatsExecutor,
): Promise<{ examples: Examples; replies: string[] }> {
  const examples: Examples = new Map();
  const inboxes = new Set<string>();
  const see = (message: RawMessage) => {
    const kind = message.subject.split(".").slice(0, 3).join(".");
    if (!examples.has(kind)) examples.set(kind, message);
    if (message.reply) inboxes.add(message.reply);
  };
  client.listen(`cf.${queue}.>`, see);
  client.listen("$JS.API.CONSUMER.MSG.NEXT.>", ({ reply }) => {
    // Where a worker hears of calls.
    if (reply) inboxes.add(reply);
  });
  await client.flush();
  while (
    !["call", "claim", "done", "run"].every((kind) =>
      examples.has(`cf.${queue}.${kind}`)
    )
  ) {
    const calls = [1, 2, 3].map((n) => pool.submit(tasks.adds, n, n));
    for (const call of calls) await call.result();
    // The next is handed to whoever has just ended one.
    await pool.submit(tasks.adds, 1, 1).result();
  }
  const done = examples.get(`cf.${queue}.done`)!;
  const submitter = done.subject.split(".")[3];
  const run = examples.get(`cf.${queue}.run`)!;
  const worker = run.subject.split(".")[3];
  const question = { from: submitter, runs: [{ id: "1", run: 0 }] };
  const add = (subject: string, data: string | Uint8Array) =>
    examples.set(subject, {
      subject,
      reply: "_INBOX.hostile",
      data: typeof data === "string" ? encoder.encode(data) : data,
    });
  add(`cf.${queue}.worker.${worker}`, JSON.stringify(question));
  add(`cf.${queue}.worker.any`, "");
  for (const inbox of inboxes) add(inbox, '["go"]');
  const call = examples.get(`cf.${queue}.call`)!;
  // The inbox of a worker may also be sent what looks like a call.
  for (const inbox of inboxes) add(`${inbox}`, call.data);
  return { examples, replies: [...inboxes] };
}

/** The name of a queue's stream of calls. */
async function streamOf(client: RawClient, queue: string): Promise<string> {
  const names = Promise.withResolvers<string>();
  client.listen("_INBOX.names", ({ data }) => {
    const name = new RegExp(`CF_${queue}_CALLS_\\w+`).exec(
      decoder.decode(data),
    );
    if (name) names.resolve(name[0]);
  });
  client.publish({
    subject: "$JS.API.STREAM.NAMES",
    reply: "_INBOX.names",
    data: new Uint8Array(0),
  });
  await client.flush();
  return await names.promise;
}

let queues = 0;

for (const kind of ["processes", "threads"]) {
  Deno.test({
    name:
      `nats hostile: ${MESSAGES} messages that are none of their kind change nothing, with a worker of ${kind}`,
    ignore: withoutNats || Deno.build.os !== "linux",
    fn: () => within(attack(kind === "threads" ? ["--threads"] : []), 120_000),
  });
}

async function attack(more: readonly string[]): Promise<void> {
  await using server = await NatsServer.start();
  await using log = new Log();
  await using gate = socketGate();
  const queue = `hostile-${++queues}`;
  await using worker: WorkerProcess = await startWorker({
    servers: server.url,
    queue,
    args: ["--max-workers", "2", "--lease", `${LEASE}`, ...more],
  });
  await using pool = new NatsExecutor({ servers: server.url, queue });
  await using client = await RawClient.connect(server.url);
  const seed = Number(Deno.env.get("HOSTILE_SEED") ?? Date.now() % 1e6);
  const told = console.error;
  const complaints: unknown[] = [];
  console.error = (...what) => complaints.push(what);
  try {
    const port = gate.handle as number;
    // One that runs all the while keeps both sides at their subjects.
    const call = pool.submit(tasks.held, log.path, port, 7);
    await gate.entered(7);
    const { examples, replies } = await examplesOf(client, queue, pool);
    const stream = await streamOf(client, queue);
    const mutator = new Mutator(seed, examples, [
      ...[
        "",
        "some.where",
        "a..b",
        "a.*",
        ">",
        "_INBOX.nobody",
        `cf.${queue}.call.x`,
      ],
      ...["$JS.API.STREAM.DELETE", "$JS.API.STREAM.PURGE"].map((subject) =>
        `${subject}.${stream}`
      ),
      ...replies,
    ]);
    for (let sent = 0; sent < MESSAGES;) {
      for (let i = 0; i < TOGETHER && sent < MESSAGES; i++, sent++) {
        client.publish(mutator.next());
      }
      await client.flush();
    }
    gate.open();
    assertEquals(await call.result(), 7);
    const sums = Array.from(
      { length: 100 },
      (_, i) => pool.submit(tasks.adds, i, i),
    );
    for (const [i, sum] of sums.entries()) {
      assertEquals(await sum.result(), 2 * i);
    }
    await server.holds(queue, 0);
    await assertIdle([worker.pid, Deno.pid]);
    assertEquals(log.count("start"), 1);
    assert(complaints.length < 100, `${complaints.length} complaints`);
    worker.kill("SIGTERM");
    assertEquals((await worker.status).code, 0, worker.stderr);
  } catch (error) {
    told(`HOSTILE_SEED=${seed}`, worker.stderr.slice(-3000), complaints);
    throw error;
  } finally {
    console.error = told;
  }
}
