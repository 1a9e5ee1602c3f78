/** What is moved to a worker, where each kind of pool has a way of its own. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
} from "@std/assert";
import { ProcessPoolExecutor, ThreadPoolExecutor, transfer } from "../mod.ts";
import { within } from "./_helpers.ts";
import { sharedMemoryGate } from "./contract.ts";

function test(sentence: string, fn: () => Promise<void>): void {
  Deno.test(`transfer: ${sentence}`, () => within(fn()));
}

/** A port's next message. */
function messageOf(port: MessagePort): Promise<unknown> {
  return new Promise((resolve) => {
    port.onmessage = ({ data }) => resolve(data);
  });
}

const says = ({ port, text }: { port: MessagePort; text: string }) => {
  port.postMessage(text);
  port.close();
};

test("a message port goes to a thread, by a call handed over at once and by one that waits", async () => {
  await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
  await using gate = sharedMemoryGate();
  for (const waits of [false, true]) {
    const { port1, port2 } = new MessageChannel();
    const held = waits && pool.submit(gate.pass, gate.handle, 0);
    const heard = messageOf(port1);
    const future = pool.submit(
      says,
      transfer({ port: port2, text: `waits: ${waits}` }, [port2]),
    );
    gate.open();
    if (held) await held.result();
    assertEquals(await heard, `waits: ${waits}`);
    await future.result();
    port1.close();
  }
});

test("a message port comes back from a thread", async () => {
  await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
  const { port } = await pool.submit(() => {
    const { port1, port2 } = new MessageChannel();
    port2.onmessage = ({ data }) => {
      port2.postMessage(`heard ${data}`);
      port2.close();
    };
    return transfer({ port: port1 }, [port1]);
  }).result();
  const heard = messageOf(port);
  port.postMessage("you");
  assertEquals(await heard, "heard you");
  port.close();
});

test("a message port, or a stream, can't go to a process or come from one", async () => {
  await using pool = new ProcessPoolExecutor({ maxWorkers: 1 });
  const { port1, port2 } = new MessageChannel();
  const stream = new ReadableStream();
  for (
    const [future, says] of [
      [
        pool.submit((..._: unknown[]) => {}, transfer({ port1 }, [port1])),
        /args\[0\]\.port1 is a MessagePort, which can't be copied/,
      ],
      [
        pool.submit(
          (..._: unknown[]) => {},
          transfer(stream, [stream as unknown as Transferable]),
        ),
        /args\[0\] is a ReadableStream, which can't be copied/,
      ],
      [
        pool.submit(() => {
          const { port1, port2 } = new MessageChannel();
          port2.close();
          return transfer({ port1 }, [port1]);
        }),
        /result\.port1 is a MessagePort, which can't be copied/,
      ],
    ] as const
  ) {
    const error = await future.exception();
    assertInstanceOf(error, DOMException);
    assertEquals(error.name, "DataCloneError");
    assertMatch(error.message, says);
  }
  assertEquals(await pool.submit(Math.sqrt, 4).result(), 2);
  port1.close();
  port2.close();
});

for (const Pool of [ThreadPoolExecutor, ProcessPoolExecutor]) {
  test(`${Pool.name}: what is read while the arguments are packed may submit a call of its own`, async () => {
    await using pool = new Pool({ maxWorkers: 1 });
    // The first takes another way than the second, where there are two.
    for (const length of [8, 1_000_000]) {
      const bytes = new Uint8Array(length).fill(7);
      let others = 0;
      const value = {
        bytes,
        get other() {
          if (others++ === 0) pool.submit(Math.sqrt, 4);
          return 5;
        },
      };
      const future = pool.submit(
        ({ bytes, other }: { bytes: Uint8Array; other: number }) => [
          bytes.length,
          bytes.at(-1)!,
          other,
        ],
        transfer(value, [bytes.buffer]),
      );
      assertEquals(await future.result(), [length, 7, 5]);
      assertEquals(bytes.length, 0);
    }
  });
}

test("an argument that is moved is not copied on its way to a thread, nor when it waits", async () => {
  await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
  await using gate = sharedMemoryGate();
  const held = pool.submit(gate.pass, gate.handle, 0);
  await gate.entered(0);
  const before = Deno.memoryUsage().external;
  const buffers = Array.from({ length: 8 }, () => new ArrayBuffer(2 ** 24));
  const made = Deno.memoryUsage().external - before;
  const futures = buffers.map((buffer) =>
    pool.submit((b: ArrayBuffer) => b.byteLength, transfer(buffer, [buffer]))
  );
  const moved = Deno.memoryUsage().external - before;
  assert(moved <= made * 1.2, `${moved} bytes of ${made}`);
  gate.open();
  await held.result();
  for (const future of futures) assertEquals(await future.result(), 2 ** 24);
});
