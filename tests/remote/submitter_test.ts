/** Who may run what, told by a link whose every event the test fires. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertRejects,
  assertThrows,
} from "@std/assert";
import {
  BrokenExecutor,
  CancelledError,
  RuntimeError,
  TimeoutError,
} from "../../errors.ts";
import {
  readArguments,
  readCall,
  type WireCall,
} from "../../internal/remote/check_messages.ts";
import {
  type Answer,
  type CallHead,
  type Claim,
  HANDED,
  PROTOCOL,
  type ResultHead,
  type RunRef,
  type Stop,
  toBytes,
} from "../../internal/remote/envelope.ts";
import { Submitter } from "../../internal/remote/submitter.ts";
import type {
  SubmitterEvents,
  SubmitterLink,
} from "../../internal/remote/transport.ts";
import { makeCodec } from "../../internal/values/codec.ts";
import { FakeClock, stateOf, turn } from "../_helpers.ts";

const LEASE = 4000;
const codec = makeCodec();

/** A server and its workers, played by the test. */
class HandLink implements SubmitterLink {
  readonly id = "me";
  readonly lease = LEASE;
  /** The calls that were published, in order. */
  readonly published: { key: string; head: CallHead; args: unknown }[] = [];
  /** What workers were asked for. */
  readonly asked: RunRef[] = [];
  /** What workers say that they have. */
  readonly held = new Map<string, string[]>();
  /** Workers that give no answer. */
  readonly silent = new Set<string>();
  attended = true;
  empty = false;
  discarded = 0;
  closed = 0;
  /** The calls that workers were handed, and what these say to it. */
  readonly handed: { worker: string; head: CallHead }[] = [];
  takes: () => Promise<boolean> = () => Promise.resolve(false);
  /** What keeps a call from being stored. */
  refusal: Error | undefined;
  events!: SubmitterEvents;

  publish(key: string, bytes: Uint8Array): Promise<number> {
    if (this.refusal) return Promise.reject(this.refusal);
    const { head, body } = readCall(bytes) as WireCall;
    const args = readArguments(codec, body);
    const count = this.published.push({ key, head, args });
    return Promise.resolve(count);
  }

  hand(worker: string, bytes: Uint8Array): Promise<boolean> {
    this.handed.push({ worker, head: (readCall(bytes) as WireCall).head });
    return this.takes();
  }

  ask(worker: string, runs: readonly RunRef[]): Promise<ReadonlySet<string>> {
    this.asked.push(...runs);
    if (this.silent.has(worker)) return Promise.reject(new Error("silent"));
    const held = this.held.get(worker) ?? [];
    const ids = runs.map(({ id }) => id);
    return Promise.resolve(new Set(ids.filter((id) => held.includes(id))));
  }

  /** The calls that workers were told to end. */
  readonly stopped: { worker: string; stop: Stop }[] = [];

  stop(worker: string, stop: Stop): Promise<void> {
    this.stopped.push({ worker, stop });
    return Promise.resolve();
  }

  /** How often the workers were asked whether they are there. */
  sought = 0;
  seek = () => {
    this.sought++;
  };

  isAttended = () => Promise.resolve(this.attended);
  isEmpty = () => Promise.resolve(this.empty);
  drained: () => Promise<void> = () => Promise.resolve();

  /** The messages that were taken back. */
  readonly takenBack: number[] = [];

  discard(messages: readonly number[]): Promise<void> {
    this.takenBack.push(...messages);
    this.discarded++;
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.closed++;
    return Promise.resolve();
  }

  /** The message that a call was published as first. */
  messageOf(id: string): number {
    return this.published.findIndex(({ head }) => head.id === id) + 1;
  }

  // ---- What workers do

  claim(
    id: string,
    worker: string,
    {
      message = this.messageOf(id),
      delivery = 1,
      run = delivery,
      v = PROTOCOL,
    }: Partial<Claim> = {},
  ): Answer | Promise<Answer> {
    return this.events.onClaim({
      v,
      id,
      message,
      delivery,
      worker,
      label: `Worker ${worker}`,
      run,
      slots: 2,
    });
  }

  says(
    id: string,
    worker: string,
    is: ResultHead["is"],
    rest: { run?: number; message?: string; v?: number; of?: number } = {},
    value: unknown = undefined,
  ): void {
    const of = this.messageOf(id) || HANDED;
    const head = { v: PROTOCOL, id, worker, run: 1, of, is, ...rest };
    this.events.onResult(
      toBytes(
        head,
        is === "outcome" ? codec.encode({ is: "returned", value }, 1) : "",
      ),
    );
  }
}

interface Setup {
  readonly link: HandLink;
  readonly remote: Submitter;
  readonly links: HandLink[];
}

function setUp(
  options: { maxAttempts?: number; workerTimeout?: number } = {},
): Setup {
  const link = new HandLink();
  const links: HandLink[] = [];
  const remote = new Submitter({
    name: "HandExecutor",
    transport: {
      submitter(events) {
        link.events = events;
        links.push(link);
        return Promise.resolve(link);
      },
      worker: () => Promise.reject(new Error("none")),
    },
    maxAttempts: 1,
    workerTimeout: undefined,
    refer: (fn) => fn,
    closures: false,
    pack: (_fn, args) => codec.encode(args, 1),
    copy: (_fn, captured) => captured,
    ...options,
  });
  return { link, remote, links };
}

const double = (n: number) => n * 2;

function test(sentence: string, fn: () => Promise<void>): void {
  Deno.test(`remote: ${sentence}`, fn);
}

test("a call is pending until a worker's claim, running from then on, and done by its outcome", async () => {
  const { link, remote } = setUp();
  const future = remote.submit(double, [4]);
  await turn();
  const [{ head, args }] = link.published;
  assertEquals([head.v, head.from, head.lease, args], [1, "me", LEASE, [4]]);
  assertEquals([future.running(), future.done()], [false, false]);
  assertEquals(link.claim(head.id, "a"), "go");
  assertEquals([future.running(), future.cancel()], [true, false]);
  link.says(head.id, "a", "outcome", {}, 8);
  assertEquals(await future.result(), 8);
  await remote.shutdown();
  assertEquals([link.closed, link.discarded], [1, 0]);
});

test("a worker whose answer was lost may ask again", async () => {
  const { link, remote } = setUp();
  const future = remote.submit(double, [4]);
  await turn();
  const [{ head: { id } }] = link.published;
  assertEquals([link.claim(id, "a"), link.claim(id, "a")], ["go", "go"]);
  link.says(id, "a", "outcome", {}, 8);
  link.says(id, "a", "outcome", {}, 9);
  assertEquals(await future.result(), 8);
  assertEquals(link.claim(id, "a"), "no");
  await remote.shutdown();
});

test("a cancelled call is refused to whoever asks, however often it is delivered", async () => {
  const { link, remote } = setUp();
  const future = remote.submit(double, [4]);
  await turn();
  const [{ head: { id } }] = link.published;
  assertEquals(future.cancel(), true);
  for (let delivery = 1; delivery < 5; delivery++) {
    for (const worker of ["a", "b"]) {
      assertEquals(link.claim(id, worker, { delivery }), "no");
    }
  }
  await assertRejects(() => future.result(), CancelledError);
  await remote.shutdown();
  // What nobody has taken is taken back.
  assertEquals([link.discarded, link.takenBack], [1, [1]]);
});

test("a call that is cancelled while it is stored is taken back, and no call that was not", async () => {
  const { link, remote } = setUp();
  const stored = Promise.withResolvers<number>();
  const publish = link.publish.bind(link);
  link.publish = async (key, bytes) => {
    const number = await publish(key, bytes);
    return number === 2 ? stored.promise : number;
  };
  const futures = [1, 2, 3].map((n) => remote.submit(double, [n]));
  await turn();
  assertEquals(futures[1].cancel(), true);
  stored.resolve(2);
  await turn();
  for (const { head: { id } } of [link.published[0], link.published[2]]) {
    link.claim(id, "a");
    link.says(id, "a", "outcome", {}, 0);
  }
  await remote.shutdown();
  assertEquals(link.takenBack, [2]);
});

test("a call that was cancelled before it was published never is", async () => {
  const { link, remote } = setUp();
  const [first, second] = [1, 2].map((n) => remote.submit(double, [n]));
  assertEquals(first.cancel(), true);
  await turn();
  assertEquals(link.published.map(({ args }) => args), [[2]]);
  second.cancel();
  await remote.shutdown();
});

test("a call that is delivered again waits while its worker has it", async () => {
  const { link, remote } = setUp();
  const future = remote.submit(double, [4]);
  await turn();
  const [{ head: { id } }] = link.published;
  link.claim(id, "a");
  link.held.set("a", [id]);
  assertEquals(await link.claim(id, "b", { delivery: 2 }), "later");
  // Another message of the same call is one too many.
  assertEquals(await link.claim(id, "b", { message: 2 }), "no");
  assertEquals(await stateOf(future.result()), "pending");
  link.says(id, "a", "outcome", {}, 8);
  assertEquals(await future.result(), 8);
  await remote.shutdown();
});

test("a call whose worker has it no more is broken, or started once more if it may be", async () => {
  for (const maxAttempts of [1, 2]) {
    const { link, remote } = setUp({ maxAttempts });
    const future = remote.submit(double, [4]);
    await turn();
    const [{ head: { id } }] = link.published;
    link.claim(id, "a");
    const answer = await link.claim(id, "b", { delivery: 2 });
    assertEquals(answer, maxAttempts === 1 ? "no" : "go");
    if (maxAttempts === 1) {
      const error = await assertRejects(() => future.result(), BrokenExecutor);
      assertEquals(
        error.message,
        'Worker a was lost while it ran "double": it may or may not have had its effect',
      );
    } else {
      // The first was only slow: asked late, it is refused.
      assertEquals(link.claim(id, "a"), "no");
      link.says(id, "b", "outcome", { run: 2 }, 8);
      assertEquals(await future.result(), 8);
    }
    await remote.shutdown();
  }
});

test("a worker that has ended its call and is delivered it as for the first time starts it no second time", async () => {
  for (const maxAttempts of [1, 2]) {
    const { link, remote } = setUp({ maxAttempts });
    const future = remote.submit(double, [4]);
    await turn();
    const [{ head: { id } }] = link.published;
    assertEquals(link.claim(id, "a"), "go");
    // The server was killed, and has forgotten that it has delivered the message.
    const drained = Promise.withResolvers<void>();
    link.drained = () => drained.promise;
    const answer = link.claim(id, "a", { run: 2 });
    // The outcome is fetched meanwhile.
    await turn();
    assertEquals(link.asked, [{ id, run: 1 }]);
    link.says(id, "a", "outcome", {}, 8);
    drained.resolve();
    assertEquals(await answer, "no");
    assertEquals(await future.result(), 8);
    await remote.shutdown();
  }
});

test("a worker that lost its run of a call has started it once, and does so again if it may", async () => {
  for (const maxAttempts of [1, 2]) {
    const { link, remote } = setUp({ maxAttempts });
    const future = remote.submit(double, [4]);
    await turn();
    const [{ head: { id } }] = link.published;
    const answers = [1, 2, 3].map((run) => () => link.claim(id, "a", { run }));
    assertEquals(answers[0](), "go");
    assertEquals(await answers[1](), maxAttempts === 1 ? "no" : "go");
    // What comes late of the first run is no word of the second.
    link.says(id, "a", "lost", { message: "Child 1 died" });
    assertEquals(
      await stateOf(future.result()),
      maxAttempts === 1 ? "rejected" : "pending",
    );
    assertEquals(await answers[2](), "no");
    assertInstanceOf(await future.exception(), BrokenExecutor);
    await remote.shutdown();
  }
});

test("nobody is taken for lost before the results are read that came while the server was away", async () => {
  const { link, remote } = setUp();
  const future = remote.submit(double, [4]);
  await turn();
  const [{ head: { id } }] = link.published;
  link.claim(id, "a");
  // One that was asked before, and whose answer came in time.
  const drained = Promise.withResolvers<void>();
  link.drained = () => drained.promise;
  const early = link.claim(id, "b", { delivery: 2 });
  await turn();
  link.events.onAway();
  drained.resolve();
  assertEquals(await early, "later");
  assertEquals(link.claim(id, "a", { run: 2 }), "later");
  assertEquals(link.claim(id, "b", { delivery: 2 }), "later");
  // The same run may go on.
  assertEquals(link.claim(id, "a"), "go");
  link.says(id, "a", "outcome", {}, 8);
  link.events.onBack();
  assertEquals(link.claim(id, "b", { delivery: 3 }), "no");
  assertEquals(await future.result(), 8);
  await remote.shutdown();
});

test("a worker that is silent for a lease has not lost its call while the server is away", async () => {
  using clock = new FakeClock();
  const { link, remote } = setUp();
  const future = remote.submit(double, [4]);
  await clock.pass(0);
  const [{ head: { id } }] = link.published;
  link.claim(id, "a");
  link.silent.add("a");
  const drained = Promise.withResolvers<void>();
  link.drained = () => drained.promise;
  await clock.pass(LEASE);
  link.events.onAway();
  drained.resolve();
  await clock.pass(0);
  assertEquals(future.done(), false);
  link.says(id, "a", "outcome", {}, 8);
  assertEquals(await future.result(), 8);
  await remote.shutdown();
});

test("a call whose attempt is lost is published once more: its message may be gone", async () => {
  using clock = new FakeClock();
  const { link, remote } = setUp({ maxAttempts: 3 });
  const future = remote.submit(double, [4]);
  await clock.pass(0);
  const [{ head: { id } }] = link.published;
  link.claim(id, "a");
  assertEquals(await link.claim(id, "b", { delivery: 2 }), "go");
  // It asks late, and answers for the message that is with "b".
  assertEquals(link.claim(id, "a", { run: 7 }), "no");
  await clock.pass(LEASE * 1.5);
  assertEquals(link.published.map(({ head }) => head.id), [id, id]);
  assertEquals(link.claim(id, "c", { message: 2 }), "go");
  link.says(id, "c", "outcome", {}, 8);
  assertEquals(await future.result(), 8);
  await remote.shutdown();
});

test("the outcome of an attempt that was taken for lost counts, if it comes first", async () => {
  const { link, remote } = setUp({ maxAttempts: 2 });
  const future = remote.submit(double, [4]);
  await turn();
  const [{ head: { id } }] = link.published;
  link.claim(id, "a");
  assertEquals(await link.claim(id, "b", { delivery: 2 }), "go");
  link.says(id, "a", "outcome", {}, 8);
  link.says(id, "b", "outcome", { run: 2 }, 8);
  assertEquals(await future.result(), 8);
  await remote.shutdown();
});

test("a worker that says that its child died loses the attempt that it was, and no later one", async () => {
  const { link, remote } = setUp({ maxAttempts: 2 });
  const future = remote.submit(double, [4]);
  await turn();
  const [{ head: { id } }] = link.published;
  link.claim(id, "a");
  link.says(id, "a", "lost", { message: "Child 1 died" });
  assertEquals(link.claim(id, "b", { delivery: 2 }), "go");
  link.says(id, "a", "lost", { message: "Child 1 died" });
  assertEquals(await stateOf(future.result()), "pending");
  link.says(id, "b", "lost", { run: 2, message: "Child 9 died" });
  const error = await assertRejects(() => future.result(), BrokenExecutor);
  assertEquals(
    error.message,
    'Child 9 died while it ran "double": that was attempt 2 of 2',
  );
  await remote.shutdown();
});

test("a worker that is not heard of for a lease has lost its calls, and no others have", async () => {
  using clock = new FakeClock();
  const { link, remote } = setUp();
  const futures = [1, 2].map((n) => remote.submit(double, [n]));
  await clock.pass(0);
  const ids = link.published.map(({ head }) => head.id);
  link.claim(ids[0], "a");
  link.claim(ids[1], "b", { message: 2 });
  link.held.set("b", [ids[1]]);
  await clock.pass(LEASE - 1);
  assertEquals(futures.map((future) => future.done()), [false, false]);
  await clock.pass(LEASE / 2);
  assertEquals(futures.map((future) => future.done()), [true, false]);
  const error = await futures[0].exception();
  assertInstanceOf(error, BrokenExecutor);
  assertEquals(
    error.message,
    `Worker a was not heard of for ${LEASE} ms while it ran "double": it may or may not have had its effect`,
  );
  link.says(ids[1], "b", "outcome", {}, 4);
  assertEquals(await futures[1].result(), 4);
  await remote.shutdown();
});

test("a worker that gives no answer keeps its call until it was not heard of for a lease", async () => {
  using clock = new FakeClock();
  const { link, remote } = setUp({ maxAttempts: 2 });
  const future = remote.submit(double, [4]);
  await clock.pass(0);
  const [{ head: { id } }] = link.published;
  link.claim(id, "a");
  link.silent.add("a");
  assertEquals(await link.claim(id, "b", { delivery: 2 }), "later");
  await clock.pass(LEASE / 2);
  assertEquals(await link.claim(id, "b", { delivery: 3 }), "later");
  await clock.pass(LEASE);
  assertEquals(link.claim(id, "b", { delivery: 4 }), "go");
  link.says(id, "b", "outcome", { run: 4 }, 8);
  assertEquals(await future.result(), 8);
  await remote.shutdown();
});

test("calls that the server has no more are published again", async () => {
  using clock = new FakeClock();
  const { link, remote } = setUp();
  const future = remote.submit(double, [4]);
  await clock.pass(0);
  link.empty = true;
  await clock.pass(5000);
  const [first, second] = link.published;
  assertEquals(second.head, first.head);
  assert(first.key !== second.key);
  link.empty = false;
  link.claim(first.head.id, "a", { message: 2 });
  link.says(first.head.id, "a", "outcome", {}, 8);
  assertEquals(await future.result(), 8);
  await remote.shutdown();
});

test("calls are published again after the server was away for half a lease, and not before", async () => {
  using clock = new FakeClock();
  const { link, remote } = setUp();
  const future = remote.submit(double, [4]);
  await clock.pass(0);
  for (const [away, published] of [[LEASE / 4, 1], [LEASE, 2]]) {
    link.events.onAway();
    await clock.pass(away);
    link.events.onBack();
    await clock.pass(0);
    assertEquals(link.published.length, published);
  }
  future.cancel();
  await remote.shutdown();
});

test("a server that stays away breaks the executor, sooner once it is shut down", async () => {
  for (const [shutDown, limit] of [[false, 10_000], [true, 1000]] as const) {
    using clock = new FakeClock();
    const { link, remote } = setUp();
    const future = remote.submit(double, [4]);
    await clock.pass(0);
    link.events.onAway();
    const over = shutDown ? remote.shutdown() : undefined;
    await clock.pass(limit - 1);
    assertEquals(future.done(), false);
    await clock.pass(1);
    const error = await future.exception();
    assertInstanceOf(error, BrokenExecutor);
    assertEquals(error.message, `The server was away for ${limit} ms`);
    assertThrows(() => remote.submit(double, [1]), BrokenExecutor);
    await over;
    await remote.shutdown();
    assertEquals(link.closed, 1);
  }
});

test("a link that is lost breaks all calls, each with an error of its own", async () => {
  const { link, remote } = setUp();
  const futures = [1, 2].map((n) => remote.submit(double, [n]));
  await turn();
  const cause = new Error("gone");
  link.events.onLost("the server has lost the queue", cause);
  const [a, b] = await Promise.all(futures.map((future) => future.exception()));
  assertInstanceOf(a, BrokenExecutor);
  assertEquals(a.message, "The server has lost the queue");
  assert(a !== b && a.cause === cause);
  const error = assertThrows(() => remote.submit(double, [1]), BrokenExecutor);
  assertEquals(
    error.message,
    'Cannot submit "double" to HandExecutor: the server has lost the queue',
  );
  await remote.shutdown();
});

test("a call that can't be stored fails alone", async () => {
  const { link, remote } = setUp();
  link.refusal = new RangeError("the stream is full");
  const failed = remote.submit(double, [1]);
  const error = await assertRejects(() => failed.result(), BrokenExecutor);
  assertEquals(error.message, 'Cannot send "double": the stream is full');
  link.refusal = undefined;
  const future = remote.submit(double, [4]);
  await turn();
  const { head: { id } } = link.published[0];
  link.claim(id, "a");
  link.says(id, "a", "outcome", {}, 8);
  assertEquals(await future.result(), 8);
  await remote.shutdown();
});

test("a worker of another version of the protocol starts nothing, and what it says fails its call", async () => {
  const { link, remote } = setUp();
  const future = remote.submit(double, [4]);
  await turn();
  const [{ head: { id } }] = link.published;
  assertEquals(link.claim(id, "a", { v: 2 }), "no");
  assertEquals(future.running(), false);
  link.claim(id, "a");
  link.says(id, "a", "outcome", { v: 2 }, 8);
  const error = await assertRejects(() => future.result(), RuntimeError);
  assertEquals(
    error.message,
    'Cannot read what came of "double": the worker speaks version 2 of the protocol, this program 1',
  );
  await remote.shutdown();
});

test("what a worker refuses to run fails with its reason", async () => {
  const { link, remote } = setUp();
  const future = remote.submit(double, [4]);
  await turn();
  const [{ head: { id } }] = link.published;
  link.says(id, "a", "refused", { message: "Worker a has no module" });
  const error = await assertRejects(() => future.result(), RuntimeError);
  assertEquals(error.message, 'Cannot run "double": Worker a has no module');
  await remote.shutdown();
});

test("a claim for a message that this program did not publish is refused, whatever call it names", async () => {
  const { link, remote } = setUp();
  const stored = Promise.withResolvers<number>();
  link.publish = (key, bytes) => {
    HandLink.prototype.publish.call(link, key, bytes);
    return stored.promise;
  };
  const future = remote.submit(double, [4]);
  await turn();
  const [{ head: { id } }] = link.published;
  // The word that it is stored has not come, so it may be either.
  const answers = [5, 1].map((message) => link.claim(id, "a", { message }));
  stored.resolve(1);
  assertEquals(await Promise.all(answers), ["no", "go"]);
  assertEquals(link.claim(id, "b", { message: 5 }), "no");
  for (const other of [`0${id}`, `${id}.0`, "0x1", "-1", "1e0", "__proto__"]) {
    assertEquals(link.claim(other, "a", { message: 1 }), "no");
  }
  link.says(id, "a", "outcome", {}, 8);
  assertEquals(await future.result(), 8);
  await remote.shutdown();
});

test("what is said of a call counts from who was given its start, and from nobody else", async () => {
  const { link, remote } = setUp({ maxAttempts: 2 });
  const future = remote.submit(double, [4]);
  await turn();
  const [{ head: { id } }] = link.published;
  link.says(id, "a", "outcome", {}, 1);
  link.says(id, "a", "refused", { message: "no such message", of: 2 });
  assertEquals(future.done(), false);
  link.claim(id, "a");
  link.says(id, "b", "outcome", {}, 2);
  link.says(id, "a", "outcome", { run: 3 }, 3);
  link.says(id, "b", "lost", { message: "Child 1 died" });
  link.says(id, "b", "refused", { message: "I may not" });
  assertEquals(await stateOf(future.result()), "pending");
  link.says(id, "a", "outcome", {}, 8);
  assertEquals(await future.result(), 8);
  await remote.shutdown();
});

test("an outcome that can't be read fails its call if it is its worker's, and is passed over otherwise", async () => {
  const bodies = [
    "null",
    "[]",
    '{"is":"raised","error":5}',
    '{"is":"threw","what":null}',
    '{"is":"threw","what":{"thrown":{"error":9},"errors":[]}}',
    '{"is":"unguarded"}',
    "{",
    "",
    "\ud800",
  ];
  for (const body of bodies) {
    const { link, remote } = setUp();
    const future = remote.submit(double, [4]);
    await turn();
    const [{ head: { id } }] = link.published;
    link.claim(id, "a");
    const say = (worker: string) => {
      const head = { v: PROTOCOL, id, worker, run: 1, of: 1, is: "outcome" };
      link.events.onResult(toBytes(head, body));
    };
    say("b");
    assertEquals(future.done(), false);
    say("a");
    const error = await assertRejects(() => future.result(), RuntimeError);
    assertMatch(error.message, /^Cannot read what came of "double": ./);
    await remote.shutdown();
  }
});

test("a signal cancels a call that waits, and has the worker end one that runs, whose future fails at once", async () => {
  const { link, remote } = setUp();
  const controller = new AbortController();
  const options = {
    signals: [controller.signal],
    timeLimit: undefined,
    transfer: [],
  };
  const runs = remote.submit(double, [4], options);
  const waits = remote.submit(double, [5], options);
  const other = remote.submit(double, [6]);
  await turn();
  const ids = link.published.map(({ head }) => head.id);
  assertEquals(
    link.published.map(({ head }) => head.stoppable),
    [true, true, undefined],
  );
  link.claim(ids[0], "a", { run: 7 });
  controller.abort("enough");
  assertEquals([runs.done(), waits.cancelled()], [true, true]);
  assertEquals(await runs.exception(), "enough");
  const stop = { id: ids[0], run: 7, message: "enough" };
  assertEquals(link.stopped, [{ worker: "a", stop }]);
  // What comes late of them is nobody's.
  link.says(ids[0], "a", "outcome", { run: 7 }, 8);
  assertEquals([0, 1].map((i) => link.claim(ids[i], "b")), ["no", "no"]);
  link.claim(ids[2], "a");
  link.says(ids[2], "a", "outcome", {}, 12);
  assertEquals(await other.result(), 12);
  const { finished, failed, cancelled } = remote.stats().calls;
  assertEquals([finished, failed, cancelled], [1, 1, 1]);
  await remote.shutdown();
});

test("a worker that does not hear that a call is to end is told again, and the connection waits for that", async () => {
  using clock = new FakeClock();
  const { link, remote } = setUp();
  const controller = new AbortController();
  const future = remote.submit(double, [4], {
    signals: [controller.signal],
    timeLimit: 50,
    transfer: [],
  });
  await clock.pass(0);
  const [{ head }] = link.published;
  assertEquals([head.timeLimit, head.stoppable], [50, true]);
  link.claim(head.id, "a");
  let told = 0;
  link.stop = () =>
    ++told < 3
      ? Promise.reject(new Error("nothing within a second"))
      : Promise.resolve();
  controller.abort();
  assertEquals(future.done(), true);
  const over = remote.shutdown();
  await clock.pass(0);
  assertEquals([told, link.closed], [1, 0]);
  await clock.pass(100);
  await clock.pass(100);
  await over;
  assertEquals([told, link.closed], [3, 1]);
});

test("a call whose time is over where it runs fails with a TimeoutError", async () => {
  const { link, remote } = setUp();
  const future = remote.submit(double, [4], {
    signals: [],
    timeLimit: 50,
    transfer: [],
  });
  await turn();
  const [{ head: { id } }] = link.published;
  link.claim(id, "a");
  link.says(id, "b", "stopped", { message: "by nobody who has it" });
  assertEquals(future.done(), false);
  link.says(id, "a", "stopped", { message: '"double" did not end' });
  await assertRejects(() => future.result(), TimeoutError, "did not end");
  await remote.shutdown();
});

test("workers that were heard of are counted, until they are not for long", async () => {
  using clock = new FakeClock();
  const { link, remote } = setUp();
  const future = remote.submit(double, [4]);
  await clock.pass(0);
  link.events.onWorker({ worker: "b", slots: 3 });
  link.events.onWorker({ worker: "b", slots: 3 });
  link.claim(link.published[0].head.id, "a");
  assertEquals(remote.stats().workers, { live: 5, busy: 1 });
  link.held.set("a", ["1"]);
  await clock.pass(9000);
  link.events.onWorker({ worker: "b", slots: 3 });
  await clock.pass(2000);
  assertEquals(remote.stats().workers.live, 3);
  link.says("1", "a", "outcome", {}, 8);
  await future.result();
  await remote.shutdown();
  assertEquals(remote.stats().workers, { live: 0, busy: 0 });
});

test("the connection ends when there was no call for a while, and is made anew for the next", async () => {
  using clock = new FakeClock();
  const { link, links, remote } = setUp();
  for (const round of [1, 2]) {
    const future = remote.submit(double, [round]);
    await clock.pass(0);
    const { head: { id } } = link.published[round - 1];
    link.claim(id, "a");
    link.says(id, "a", "outcome", {}, 8);
    assertEquals(await future.result(), 8);
    await clock.pass(199);
    assertEquals(link.closed, round - 1);
    await clock.pass(1);
    assertEquals([link.closed, links.length], [round, round]);
  }
  await remote.shutdown();
  assertEquals(link.closed, 2);
});

test("calls that no worker is there for break the executor after workerTimeout", async () => {
  using clock = new FakeClock();
  const { link, remote } = setUp({ workerTimeout: 5000 });
  link.attended = false;
  const future = remote.submit(double, [4]);
  await clock.pass(4000);
  link.attended = true;
  await clock.pass(2000);
  link.attended = false;
  await clock.pass(5000);
  assertEquals(future.done(), false);
  await clock.pass(3000);
  const error = await future.exception();
  assertInstanceOf(error, BrokenExecutor);
  assertEquals(error.message, "No worker was there for 5000 ms");
  await remote.shutdown();
});

// ---- Past the queue ----------------------------------------------------------------

/** A call has ended on worker "a", which is free from now on. */
async function endOne({ link, remote }: Setup): Promise<void> {
  const future = remote.submit(double, [1]);
  await turn();
  const { head: { id } } = link.published.at(-1)!;
  link.claim(id, "a");
  link.says(id, "a", "outcome", {}, 2);
  assertEquals(await future.result(), 2);
}

test("a call is handed to the worker that has just ended one, and runs from then on", async () => {
  const setup = setUp();
  const { link, remote } = setup;
  await endOne(setup);
  link.takes = () => Promise.resolve(true);
  const future = remote.submit(double, [4]);
  await turn();
  const [{ worker, head }] = link.handed;
  assertEquals([worker, head.from, link.published.length], ["a", "me", 1]);
  assertEquals([future.running(), future.cancel()], [true, false]);
  link.says(head.id, "a", "outcome", { run: 0 }, 8);
  assertEquals(await future.result(), 8);
  await remote.shutdown();
});

test("a call that its worker does not take is published, and pending as before", async () => {
  const setup = setUp();
  const { link, remote } = setup;
  await endOne(setup);
  const { promise, resolve } = Promise.withResolvers<boolean>();
  link.takes = () => promise;
  const future = remote.submit(double, [4]);
  await turn();
  assertEquals(future.running(), true);
  resolve(false);
  await turn();
  assertEquals(future.running(), false);
  const [, { head: { id } }] = link.published;
  assertEquals(id, link.handed[0].head.id);
  assertEquals(future.cancel(), true);
  assertEquals(link.claim(id, "b"), "no");
  await remote.shutdown();
});

test("calls stay behind one of which it is not known whether it was taken", async () => {
  const setup = setUp();
  const { link, remote } = setup;
  await endOne(setup);
  const { promise, resolve } = Promise.withResolvers<boolean>();
  link.takes = () => promise;
  const futures = [remote.submit(double, [1])];
  await turn();
  futures.push(remote.submit(double, [2]), remote.submit(double, [3]));
  await turn();
  assertEquals([link.handed.length, link.published.length], [1, 1]);
  resolve(false);
  await turn();
  assertEquals(link.published.slice(1).map(({ args }) => args), [
    [1],
    [2],
    [3],
  ]);
  for (const future of futures) future.cancel();
  await remote.shutdown();
});

test("a call waits in the queue where others do, or where the last ended long ago", async () => {
  using clock = new FakeClock();
  const { link, remote } = setUp();
  const first = remote.submit(double, [1]);
  await clock.pass(0);
  const end = (id: string) => {
    link.claim(id, "a");
    link.says(id, "a", "outcome", {}, 0);
  };
  end(link.published[0].head.id);
  await first.result();
  const futures = [2, 3].map((n) => remote.submit(double, [n]));
  await clock.pass(0);
  assertEquals([link.handed.length, link.published.length], [0, 3]);
  for (const { head } of link.published.slice(1)) end(head.id);
  await clock.pass(101);
  futures.push(remote.submit(double, [4]));
  await clock.pass(0);
  assertEquals([link.handed.length, link.published.length], [0, 4]);
  end(link.published[3].head.id);
  for (const future of futures) await future.result();
  await remote.shutdown();
});

test("a call of which nobody knows whether it was taken is, if its worker has it, and else is published", async () => {
  for (const has of [true, false]) {
    using clock = new FakeClock();
    const { link, remote } = setUp();
    const first = remote.submit(double, [1]);
    await clock.pass(0);
    link.claim(link.published[0].head.id, "a");
    link.says(link.published[0].head.id, "a", "outcome", {}, 2);
    await first.result();
    link.takes = () => Promise.reject(new Error("the server is away"));
    const future = remote.submit(double, [4]);
    await clock.pass(0);
    const [{ head: { id } }] = link.handed;
    if (has) link.held.set("a", [id]);
    assertEquals(future.running(), true);
    await clock.pass(LEASE / 2);
    assertEquals(future.running(), has);
    assertEquals(link.published.length, has ? 1 : 2);
    if (!has) assertEquals(link.claim(id, "b"), "go");
    const [worker, run] = has ? ["a", HANDED] : ["b", 1];
    link.says(id, worker, "outcome", { run }, 8);
    assertEquals(await future.result(), 8);
    await remote.shutdown();
  }
});

test("a call of which nobody knows whether it was taken is not published before its worker was asked", async () => {
  using clock = new FakeClock();
  const { link, remote } = setUp();
  const first = remote.submit(double, [1]);
  await clock.pass(0);
  link.claim(link.published[0].head.id, "a");
  link.says(link.published[0].head.id, "a", "outcome", {}, 2);
  await first.result();
  link.takes = () => Promise.reject(new Error("the server is away"));
  const future = remote.submit(double, [4]);
  await clock.pass(0);
  link.events.onAway();
  await clock.pass(LEASE);
  link.events.onBack();
  await clock.pass(0);
  assertEquals([link.published.length, future.running()], [1, true]);
  await clock.pass(1000);
  assertEquals([link.published.length, future.running()], [2, false]);
  assertEquals(future.cancel(), true);
  await remote.shutdown();
});

test("a call whose worker is lost that it was handed to is broken, or published if it may be started once more", async () => {
  for (const maxAttempts of [1, 2]) {
    using clock = new FakeClock();
    const { link, remote } = setUp({ maxAttempts });
    const first = remote.submit(double, [1]);
    await clock.pass(0);
    link.claim(link.published[0].head.id, "a");
    link.says(link.published[0].head.id, "a", "outcome", {}, 2);
    await first.result();
    link.takes = () => Promise.resolve(true);
    const future = remote.submit(double, [4]);
    await clock.pass(0);
    link.silent.add("a");
    await clock.pass(LEASE * 1.5);
    if (maxAttempts === 1) {
      const error = await future.exception();
      assertInstanceOf(error, BrokenExecutor);
      assertEquals(
        error.message,
        `Worker a was not heard of for ${LEASE} ms while it ran "double": it may or may not have had its effect`,
      );
    } else {
      assertEquals([future.running(), future.cancel()], [true, false]);
      const [, { head: { id } }] = link.published;
      assertEquals(link.claim(id, "b"), "go");
      link.says(id, "b", "outcome", {}, 8);
      assertEquals(await future.result(), 8);
    }
    await remote.shutdown();
  }
});

test("a child that dies of a call that was handed over has it published if it may be started once more", async () => {
  const setup = setUp({ maxAttempts: 2 });
  const { link, remote } = setup;
  await endOne(setup);
  link.takes = () => Promise.resolve(true);
  const future = remote.submit(double, [4]);
  await turn();
  const [{ head: { id } }] = link.handed;
  link.says(id, "a", "lost", { run: 0, message: "Child 1 died" });
  await turn();
  assertEquals(link.published.at(-1)!.head.id, id);
  assertEquals(link.claim(id, "b"), "go");
  link.says(id, "b", "outcome", {}, 8);
  assertEquals(await future.result(), 8);
  await remote.shutdown();
});
