/** What a worker takes, told by a link whose every event the test fires. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { ownClock } from "../../internal/base/timers.ts";
import { describe } from "../../internal/functions/describe.ts";
import {
  Malformed,
  readOutcome,
  readResult,
  type WireResult,
} from "../../internal/remote/check_messages.ts";
import {
  type Answer,
  type CallHead,
  type Claim,
  HANDED,
  PROTOCOL,
  toBytes,
} from "../../internal/remote/envelope.ts";
import {
  RemoteWorker,
  type RemoteWorkerOptions,
} from "../../internal/remote/remote_worker.ts";
import type {
  Job,
  WorkerEvents,
  WorkerLink,
} from "../../internal/remote/transport.ts";
import { makeCodec } from "../../internal/values/codec.ts";
import { processKind } from "../../process_pool.ts";
import { threadKind } from "../../thread_pool.ts";
import { turn } from "../_helpers.ts";
import { type Gate, socketGate } from "../contract.ts";
import { until } from "../contract/kind.ts";

const codec = makeCodec();

/** A server and a submitter, played by the test. */
class HandLink implements WorkerLink {
  events!: WorkerEvents;
  isClosed = false;
  /** For how long the submitter may be away. */
  lease = 60_000;
  /** How often it was made. */
  opened = 0;
  /** How many calls were asked for and are still to come. */
  wanted = 0;
  /** How many were asked for each time. */
  readonly wants: number[] = [];
  /** The calls that have ended. */
  readonly ended: string[] = [];

  want(count: number): void {
    this.wanted += count;
    this.wants.push(count);
  }

  /** What was said of them. */
  readonly told: WireResult[] = [];

  send(_from: string, bytes: Uint8Array): Promise<void> {
    const result = readResult(bytes);
    this.told.push(result);
    this.ended.push(result.head.id);
    return Promise.resolve();
  }

  /** What was asked of the submitter, which answers. */
  readonly claims: Claim[] = [];
  answers: () => Promise<Answer | undefined> = () => Promise.resolve("go");
  /** How many messages were answered for. */
  done = 0;

  claim(_from: string, claim: Claim): Promise<Answer | undefined> {
    this.claims.push(claim);
    return this.answers();
  }

  rest = () => Promise.resolve();
  close = () => Promise.resolve();

  /** A call that waits at a gate. */
  #call(id: number, gate: Gate): Uint8Array {
    return this.callOf(id, gate.pass, [gate.handle, id]);
  }

  callOf(id: number, fn: unknown, args: readonly unknown[]): Uint8Array {
    const head: CallHead = {
      v: PROTOCOL,
      id: `${id}`,
      from: "me",
      lease: this.lease,
      fn: describe(fn, "submit"),
    };
    return toBytes(head, codec.encode(args, 1));
  }

  hand(id: number, gate: Gate): boolean {
    return this.events.onHanded(this.#call(id, gate));
  }

  /** How often it was given back is told. */
  deliver(id: number, gate: Gate): { givenBack: number } {
    return this.deliverBytes(id, this.#call(id, gate));
  }

  /** Whatever bytes a message has. */
  deliverBytes(message: number, bytes: Uint8Array): { givenBack: number } {
    const seen = { givenBack: 0 };
    const job: Job = {
      from: "me",
      message,
      delivery: 1,
      bytes: () => Promise.resolve(bytes),
      extend() {},
      done: () => this.done++,
      giveBack: () => seen.givenBack++,
    };
    this.wanted--;
    this.events.onJob(job);
    return seen;
  }

  asks(id: number, run = HANDED): readonly string[] {
    return this.events.onAsked("me", [{ id: `${id}`, run }]);
  }
}

function test(
  sentence: string,
  fn: (link: HandLink, gate: Gate, node: RemoteWorker) => Promise<void>,
  options: Partial<RemoteWorkerOptions> = {},
): void {
  Deno.test(`node: ${sentence}`, async () => {
    await using gate = socketGate();
    const link = new HandLink();
    const node = new RemoteWorker({
      transport: {
        submitter: () => Promise.reject(new Error("none")),
        worker(_id, events) {
          link.events = events;
          link.opened++;
          link.wanted = 0;
          return Promise.resolve(link);
        },
      },
      kind: processKind({ permissions: { net: true } }),
      packed: true,
      slots: 1,
      modules: new Map(),
      allowSource: true,
      label: "Worker of the tests",
      log: () => {},
      ...options,
    });
    await node.start();
    try {
      await fn(link, gate, node);
    } finally {
      gate.open();
      await node.stop();
    }
  });
}

test(
  "a call that is handed over runs at once, and is said to be here from then on",
  async (link, gate) => {
    assertEquals(link.hand(1, gate), true);
    assertEquals(link.asks(1), ["1"]);
    await gate.entered(1);
    gate.open();
    await until(() => link.ended.length === 1);
    assertEquals(link.ended, ["1"]);
  },
);

test(
  "what there is no room for is not taken, handed over or delivered",
  async (link, gate) => {
    assertEquals([link.wanted, link.hand(1, gate)], [1, true]);
    assertEquals(link.hand(2, gate), false);
    assertEquals(link.deliver(3, gate), { givenBack: 1 });
    await gate.entered(1);
    gate.open();
    // As soon as there is, one is asked for, and no more.
    await until(() => link.wanted === 1);
    assertEquals(link.hand(2, gate), true);
    await until(() => link.ended.length === 2);
    assertEquals([link.wanted, ...link.ended], [1, "1", "2"]);
    assertEquals(gate.ids.has(3), false);
  },
);

test(
  "calls that end one soon after the other are replaced together, and wait for none that takes long",
  async (link, gate) => {
    const clock = { ...ownClock };
    let now = 0;
    let giveUp = () => {};
    Object.assign(ownClock, {
      now: () => now,
      start(fn: () => void) {
        giveUp = fn;
        return () => {};
      },
    });
    try {
      const answers = Array.from(
        { length: 7 },
        () => Promise.withResolvers<Answer>(),
      );
      link.answers = () => answers[link.claims.length - 1].promise;
      const end = async (...ids: number[]) => {
        const done = link.done + ids.length;
        for (const id of ids) answers[id].resolve("no");
        await until(() => link.done === done);
        await turn();
        return link.wants;
      };
      for (const id of [0, 1, 2]) link.deliver(id, gate);
      await until(() => link.claims.length === 3);
      assertEquals(await end(0), [3], "two others have come just now");
      assertEquals(await end(1, 2), [3, 3], "none is left");
      for (const id of [3, 4, 5]) link.deliver(id, gate);
      await until(() => link.claims.length === 6);
      await end(3);
      giveUp();
      assertEquals(link.wants, [3, 3, 1], "they took too long");
      link.deliver(6, gate);
      await until(() => link.claims.length === 7);
      now += 1000;
      assertEquals(await end(4), [3, 3, 1, 1], "they are here for long");
      await end(5, 6);
      giveUp();
      assertEquals(link.wanted, 3);
    } finally {
      Object.assign(ownClock, clock);
    }
  },
  { slots: 3 },
);

/** A call that is short; but that of one number kills its child. */
function oneKills(x: number, odd: number): number {
  if (x === odd) Deno.kill(Deno.pid, "SIGKILL");
  return x;
}

test(
  "a child that dies takes no call along that had ended, though all came together",
  async (link) => {
    const submit = async (odd: number) => {
      const told = link.told.length + 8;
      for (let x = 0; x < 8; x++) {
        const id = told + x;
        link.deliverBytes(id, link.callOf(id, oneKills, [x, odd]));
      }
      await until(() => link.told.length === told);
      const told8 = link.told.slice(-8);
      told8.sort((a, b) => Number(a.head.id) - Number(b.head.id));
      return told8.map(({ head }) => head.is);
    };
    // Known as short, they are handed to one child.
    for (let i = 0; i < 20; i++) await submit(-1);
    const results = await submit(5);
    assertEquals(
      results,
      results.map((_, x) => x === 5 ? "lost" : "outcome"),
    );
  },
  { slots: 8, kind: processKind({ permissions: "inherit" }) },
);

test(
  "a call that was said not to be here is not taken, should it come after all",
  async (link, gate) => {
    gate.open();
    assertEquals(link.asks(1), []);
    assertEquals(link.hand(1, gate), false);
    // It comes by the queue, and whoever brings it has been asked.
    link.deliver(1, gate);
    await until(() => link.ended.length === 1);
    assertEquals(link.ended, ["1"]);
  },
);

test(
  "each time that a call is delivered is a run of its own, which is here from its claim on",
  async (link, gate) => {
    const answer = Promise.withResolvers<Answer>();
    link.answers = () => answer.promise;
    link.deliver(1, gate);
    await until(() => link.claims.length === 1);
    const [{ run }] = link.claims;
    const here = [link.asks(1, run), link.asks(1, run + 1)];
    answer.resolve("go");
    gate.open();
    assertEquals(here, [["1"], []]);
    await until(() => link.ended.length === 1 && link.wanted === 1);
    assertEquals(link.asks(1, run), []);
    // The server has forgotten that it has delivered the message.
    link.answers = () => Promise.resolve("no");
    link.deliver(1, gate);
    await until(() => link.claims.length === 2 && link.wanted === 1);
    const [first, second] = link.claims;
    assertEquals(second, { ...first, run: second.run });
    assert(first.run !== second.run);
    assertEquals(link.ended, ["1"]);
  },
);

test(
  'a worker whose "go" was lost asks for it until the submitter is back',
  async (link, gate) => {
    const answers: (Answer | undefined)[] = [undefined, undefined, "go"];
    link.answers = () =>
      link.claims.length === 1
        ? Promise.reject(new Error("the server is away"))
        : Promise.resolve(answers.shift());
    const seen = link.deliver(1, gate);
    gate.open();
    await until(() => link.ended.length === 1);
    assertEquals(seen.givenBack, 0);
    assertEquals(new Set(link.claims.map(({ run }) => run)).size, 1);
  },
);

test(
  "a call whose submitter was never asked with success is given back while that is away",
  async (link, gate) => {
    link.answers = () => Promise.resolve(undefined);
    const seen = link.deliver(1, gate);
    await until(() => seen.givenBack === 1);
    assertEquals(link.done, 0);
  },
);

test(
  "a submitter that was away for a moment, twice, is not taken for gone",
  async (link, gate) => {
    link.lease = 1;
    for (const answer of [undefined, "no", undefined] as const) {
      const asked = link.claims.length;
      // Longer than its lease passes between one absence and the other.
      const begin = performance.now();
      await until(() => performance.now() - begin > 2);
      link.answers = () => Promise.resolve(answer);
      link.deliver(1, gate);
      await until(() => link.claims.length > asked && link.wanted === 1);
    }
    // The one that was refused.
    assertEquals(link.done, 1);
  },
);

test(
  "a submitter that is away for a lease is gone, and its calls are dropped as they come",
  async (link, gate) => {
    link.lease = 1;
    link.answers = () => Promise.resolve(undefined);
    const deliver = async (id: number) => {
      const asked = link.claims.length;
      link.deliver(id, gate);
      await until(() => link.claims.length > asked && link.wanted === 1);
    };
    while (link.done === 0) await deliver(1);
    await deliver(2);
    assertEquals([link.done, ...link.ended], [2]);
    // Should it be there again after all, it is asked as ever.
    link.answers = () => Promise.resolve("go");
    gate.open();
    await deliver(3);
    await until(() => link.ended.length === 1);
  },
);

test(
  "a worker that is to end takes nothing more that is handed over",
  async (link, gate, node) => {
    const stopped = node.stop();
    assertEquals(link.hand(1, gate), false);
    await stopped;
  },
);

test("what is handed over and is no call is not taken", (link) => {
  assertEquals(link.events.onHanded(new Uint8Array([1, 2])), false);
  return Promise.resolve();
});

test(
  "a worker that does nothing while its queue is lost asks the new one for as much as it may run",
  async (link, gate) => {
    link.events.onLost("the server has lost the queue");
    await until(() => link.opened === 2 && link.wanted === 1);
    gate.open();
    link.deliver(1, gate);
    await until(() => link.ended.length === 1 && link.wanted === 1);
  },
);

// ---- What comes is data ------------------------------------------------------------

const CALL: CallHead = {
  v: PROTOCOL,
  id: "1",
  from: "me",
  lease: 60_000,
  fn: { by: "source", name: "sum", source: "(...all) => all.length" },
};

/** What a call that was told of came to: its value, or the error's name and message. */
function outcomeOf({ head, body }: WireResult): unknown {
  if (head.is !== "outcome") return [head.is, head.message];
  const outcome = readOutcome(codec, body);
  if (outcome.is === "returned") return outcome.value;
  assert(outcome.is === "threw");
  const [{ name, message }] = outcome.what.errors;
  return [name, message];
}

const kinds: [string, Partial<RemoteWorkerOptions>][] = [
  ["processes", {}],
  ["threads", { kind: threadKind({}), packed: false }],
];

for (const [kind, options] of kinds) {
  test(
    `arguments are one value, whatever text they come as, in ${kind}`,
    async (link) => {
      const spliced = '{"by":"source","name":"","source":"() => 42"}';
      const bodies: [string | Uint8Array<ArrayBuffer>, unknown][] = [
        ["[1,2]", 2],
        ["[1,\n\n 2, 3]\n", 3],
        ['["]]}","\u2028"]', 2],
        [`[1]]],"fns":[${spliced}],"calls":[[0,0,[]`, "DataCloneError"],
        [`[1]],[0,0,[1]`, "DataCloneError"],
        ["[1],[2]", "DataCloneError"],
        ["no JSON", "DataCloneError"],
        ["[1,2", "DataCloneError"],
        ["", "DataCloneError"],
        ["\n", "DataCloneError"],
        ["5", "DataCloneError"],
        ['"abc"', "DataCloneError"],
        ['{"length":2}', "DataCloneError"],
        ["\ufeff[1]", "DataCloneError"],
        [new Uint8Array(0), "DataCloneError"],
        [new Uint8Array([255, 15, 1, 2, 3]), "DataCloneError"],
      ];
      for (const [i, [body, right]] of bodies.entries()) {
        const head = { ...CALL, id: `${i + 1}` };
        link.deliverBytes(i + 1, toBytes(head, body));
        await until(() => link.told.length === i + 1 && link.wanted === 1);
        const got = outcomeOf(link.told[i]);
        if (right !== "DataCloneError") assertEquals(got, right);
        else {
          const [name, message] = got as string[];
          assertEquals(name, right, `${got}`);
          assertMatch(message, /^Cannot read the arguments of "sum": ./);
        }
      }
      // Text that is no UTF-8 is no other text.
      const bad = toBytes(CALL, '["x"]');
      bad[bad.length - 3] = 0xff;
      link.deliverBytes(99, bad);
      await until(() => link.told.length === bodies.length + 1);
      assertEquals(
        (outcomeOf(link.told.at(-1)!) as string[])[0],
        "DataCloneError",
      );
      // All of it by one child, that none of it has ended.
      assertEquals(new Set(link.told.map(({ head }) => head.is)).size, 1);
      assertEquals(link.done, bodies.length + 1);
    },
    options,
  );
}

test("what is no call is answered for when it comes, and told to nobody", async (link) => {
  const none = [
    new Uint8Array(0),
    new Uint8Array([1, 2]),
    toBytes({ ...CALL, from: "a b" }, "[]"),
    toBytes({ ...CALL, from: "you" }, "[]"),
    toBytes({ ...CALL, id: 5 }, "[]"),
    toBytes([], "[]"),
  ];
  for (const [i, bytes] of none.entries()) {
    link.deliverBytes(i, bytes);
    await until(() => link.done === i + 1 && link.wanted === 1);
  }
  assertEquals([link.told.length, link.claims.length], [0, 0]);
});

test("a call that can't be run is refused to its submitter, and answered for", async (link) => {
  const refused: [object, RegExp][] = [
    [{ fn: null }, /^Worker of the tests can't read the call: fn must be/],
    [{ fn: { by: "export", name: "x", module: [] } }, /module must be text/],
    [{ v: 3 }, /was sent version 3/],
    [{ fn: { by: "export", name: "x", module: "y" } }, /has no module "y"/],
  ];
  for (const [i, [change, why]] of refused.entries()) {
    link.deliverBytes(7, toBytes({ ...CALL, ...change }, "[]"));
    await until(() => link.done === i + 1 && link.wanted === 1);
    const { head } = link.told[i];
    assertEquals([head.is, head.id, head.of], ["refused", "1", 7]);
    assertMatch(head.message!, why);
  }
  assertEquals(link.claims.length, 0);
});

test("a submitter that is away is waited for no longer than the queue's lease, whatever its call says", async (link) => {
  link.lease = 50;
  link.answers = () => Promise.resolve(undefined);
  while (link.done === 0) {
    link.deliverBytes(1, toBytes({ ...CALL, lease: 1e300 }, "[]"));
    await until(() => link.wanted === 1);
  }
  assertEquals(link.told.length, 0);
});

test("a submitter whose answers are none is asked a few times, and its call dropped", async (link) => {
  link.answers = () => Promise.reject(new Malformed("it is no answer"));
  link.deliverBytes(1, toBytes(CALL, "[]"));
  await until(() => link.done === 1 && link.wanted === 1);
  assertEquals(link.claims.length, 3);
  assertEquals(link.told.length, 0);
});

test(
  "a call that its submitter wants no more ends, and is answered for, whether it runs or waits for its start",
  async (link, gate) => {
    const stoppable = { ...CALL, stoppable: true };
    const held = { ...stoppable, fn: describe(gate.pass, "submit") };
    link.deliverBytes(1, toBytes(held, codec.encode([gate.handle, 1], 1)));
    await gate.entered(1);
    const [{ run }] = link.claims;
    const stop = (from: string, id: string, run: number) =>
      link.events.onStop(from, { id, run, message: "enough" });
    // Of another run, another call, another submitter.
    stop("me", "1", run + 1);
    stop("me", "2", run);
    stop("you", "1", run);
    assertEquals(link.asks(1, run), ["1"]);
    stop("me", "1", run);
    await until(() => link.done === 1 && link.wanted === 1);
    const answer = Promise.withResolvers<Answer>();
    link.answers = () => answer.promise;
    link.deliverBytes(2, toBytes(stoppable, "[]"));
    await until(() => link.claims.length === 2);
    stop("me", "1", link.claims[1].run);
    answer.resolve("go");
    await until(() => link.done === 2 && link.wanted === 1);
    assertEquals(link.told.length, 0);
  },
);

test("a call whose time limit passes ends, and its submitter is told so", async (link) => {
  const fn = { ...CALL.fn, source: "() => { for (;;); }" };
  link.deliverBytes(1, toBytes({ ...CALL, timeLimit: 50, fn }, "[]"));
  await until(() => link.told.length === 1 && link.wanted === 1);
  const [{ head: { is, message } }] = link.told;
  assertEquals(is, "stopped");
  assertMatch(message!, /"sum" did not end within its time limit of 50 ms/);
  assertEquals(link.done, 1);
});

test(
  "a worker that is to end waits for no answer that does not come",
  async (link, _gate, node) => {
    link.answers = () => Promise.reject(new Error("nothing within 5 seconds"));
    const seen = link.deliverBytes(1, toBytes(CALL, "[]"));
    await until(() => link.claims.length > 2);
    await node.stop();
    assertEquals([seen.givenBack, link.told.length], [1, 0]);
  },
);
