/** The two ends of a tray, in one thread: what the other does while one waits. */

import { assertEquals } from "@std/assert";
import { stub } from "@std/testing/mock";
import {
  type CallTray,
  makeCallTray,
} from "../../internal/processes/call_tray.ts";

const bytes = new Uint8Array([1, 2, 3]);

interface Ends {
  readonly main: CallTray;
  readonly worker: CallTray;
  /** What happens while the worker waits. */
  meanwhile: () => unknown;
  /** How often it has waited. */
  waited: number;
  /** How long it waits at the most, in milliseconds. */
  patience: number;
  now: number;
}

function test(sentence: string, fn: (ends: Ends) => void): void {
  Deno.test(`tray: ${sentence}`, () => {
    using _wait = stub(Atomics, "wait", (...args: unknown[]) => {
      ends.waited++;
      ends.patience = args[3] as number;
      ends.meanwhile();
      return "ok" as const;
    });
    using _now = stub(performance, "now", () => ends.now);
    const main = makeCallTray();
    const worker = makeCallTray(main.memory);
    const ends: Ends = {
      main,
      worker,
      meanwhile: () => {},
      waited: 0,
      patience: 0,
      now: 0,
    };
    fn(ends);
  });
}

test("a worker that waits is handed what comes, once", (ends) => {
  const { main, worker } = ends;
  const put: boolean[] = [];
  ends.meanwhile = () => put.push(main.put(bytes), main.put(bytes));
  assertEquals(worker.take(), bytes);
  assertEquals(put, [true, false]);
  ends.meanwhile = () => {};
  assertEquals(worker.take(), undefined);
});

test("a worker that looks out for what comes does not wait for it", (ends) => {
  const { main } = ends;
  const looks: boolean[] = [];
  const worker = makeCallTray(main.memory, (hasCome) => {
    looks.push(hasCome());
    if (looks.length === 1) main.put(bytes);
    looks.push(hasCome());
    return looks.at(-1)!;
  });
  assertEquals([worker.take(), ends.waited], [bytes, 0]);
  assertEquals(looks, [false, true]);
  // What it does not see, it waits for.
  ends.meanwhile = () => main.put(bytes);
  assertEquals([worker.take(), ends.waited], [bytes, 1]);
});

test("nothing is put where nobody waits, nor waits any more", ({ main, worker }) => {
  assertEquals(main.put(bytes), false);
  assertEquals(worker.take(), undefined);
  assertEquals(main.put(bytes), false);
});

test("a worker waits no longer when a message is posted to it", (ends) => {
  const { worker } = ends;
  let put: boolean | undefined;
  ends.meanwhile = () => {
    main.posting();
    put = main.put(bytes);
  };
  using woken = stub(Atomics, "notify", () => 1);
  const main = makeCallTray(ends.main.memory);
  assertEquals([worker.take(), put], [undefined, false]);
  assertEquals(woken.calls.length, 1);
});

test("a worker does not wait while a message is on its way to it", (ends) => {
  const { main, worker } = ends;
  main.posting();
  assertEquals([worker.take(), ends.waited], [undefined, 0]);
  worker.received();
  worker.take();
  assertEquals(ends.waited, 1);
});

test("nothing is put before a message that is on its way", ({ main, worker }) => {
  // The worker has come to the tray, and not seen yet that there is a message.
  main.posting();
  Atomics.store(new Int32Array(main.memory), 0, 1);
  assertEquals(main.put(bytes), false);
  worker.received();
  assertEquals(main.put(bytes), true);
});

test("a worker that has had no event for a while does not wait", (ends) => {
  const { main, worker } = ends;
  ends.meanwhile = () => main.put(bytes);
  ends.now = 5;
  assertEquals(worker.take(), bytes);
  ends.now = 5.1;
  assertEquals([worker.take(), ends.waited], [undefined, 1]);
  main.posting();
  worker.received();
  assertEquals(worker.take(), bytes);
});

test("a worker waits longer where the last message came soon, until it does so in vain", (ends) => {
  const { main, worker } = ends;
  const message = (now: number) => {
    ends.now = now;
    main.posting();
    worker.received();
  };
  const patience = () => {
    worker.take();
    return ends.patience;
  };
  const short = patience();
  message(1);
  ends.meanwhile = () => main.put(bytes);
  const long = patience();
  assertEquals([long > 1, patience()], [true, long]);
  message(100);
  assertEquals(patience(), long, "what it was handed came soon, too");
  ends.meanwhile = () => {};
  assertEquals(patience(), long);
  message(200);
  assertEquals(patience(), short);
});

test("what is too large is not put", (ends) => {
  const { main, worker } = ends;
  const put: boolean[] = [];
  ends.meanwhile = () => {
    put.push(main.put(new Uint8Array(8192)), main.put(new Uint8Array(8176)));
  };
  assertEquals(worker.take()?.length, 8176);
  assertEquals(put, [false, true]);
});
