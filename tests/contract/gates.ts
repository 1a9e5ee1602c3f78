/** Gates for workers that share memory, and for those that share nothing but a network. */

import { type Gate, MOST_IDS, until } from "./kind.ts";

const OPEN = 0;
const FIRST_ID = 1;

/** Holds threads by `Atomics.wait`: they block as hard as a thread can. */
export function sharedMemoryGate(): Gate {
  const handle = new SharedArrayBuffer((FIRST_ID + MOST_IDS) * 4);
  const view = new Int32Array(handle);
  const has = (id: number) => Atomics.load(view, FIRST_ID + id) === 1;
  const open = () => {
    Atomics.store(view, OPEN, 1);
    Atomics.notify(view, OPEN);
  };
  return {
    // Self-contained, and so are its constants: it travels as its source.
    pass: (handle: SharedArrayBuffer, id: number) => {
      const view = new Int32Array(handle);
      Atomics.store(view, 1 + id, 1);
      Atomics.wait(view, 0, 0);
      return id;
    },
    handle,
    get ids() {
      const ids = new Set<number>();
      for (let id = 0; id < MOST_IDS; id++) if (has(id)) ids.add(id);
      return ids;
    },
    // Atomics.waitAsync does not wake the event loop of Deno 2.5.
    entered: (...ids) => until(() => ids.every(has)),
    open,
    [Symbol.asyncDispose]: () => Promise.resolve(open()),
  };
}

/** Holds whoever may read and write files here, and blocks as hard as a worker can. */
export function fileGate(): Gate {
  const handle = Deno.makeTempDirSync();
  const closed = `${handle}/closed`;
  Deno.writeTextFileSync(closed, "");
  const read = () =>
    new Set(
      [...Deno.readDirSync(handle)].map(({ name }) => Number(name))
        .filter((id) => !isNaN(id)),
    );
  return {
    pass: (handle: string, id: number) => {
      Deno.writeTextFileSync(`${handle}/${id}`, "");
      const nothing = new Int32Array(new SharedArrayBuffer(4));
      try {
        while (Deno.statSync(`${handle}/closed`)) {
          Atomics.wait(nothing, 0, 0, 1);
        }
      } catch {
        // It is open.
      }
      return id;
    },
    handle,
    get ids() {
      return read();
    },
    entered: (...wanted) => until(() => wanted.every((id) => read().has(id))),
    open: () => Deno.removeSync(closed),
    [Symbol.asyncDispose]: () => Deno.remove(handle, { recursive: true }),
  };
}

/** Holds whoever can connect to this machine, by an answer that does not come. */
export function socketGate(): Gate {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const ids = new Set<number>();
  const held = new Set<Deno.Conn>();
  const unread = new Set<Deno.Conn>();
  const questions = new Set<Promise<void>>();
  let isOpen = false;

  async function ask(conn: Deno.Conn): Promise<void> {
    const bytes = new Uint8Array(4);
    unread.add(conn);
    try {
      if (await conn.read(bytes) === bytes.length) {
        ids.add(new DataView(bytes.buffer).getInt32(0));
      }
    } catch {
      // A worker that is ended meanwhile resets its connection.
    }
    if (!unread.delete(conn)) return;
    if (isOpen) conn.close();
    else held.add(conn);
  }

  function release(conns: Set<Deno.Conn>): void {
    for (const conn of conns) conn.close();
    conns.clear();
  }

  const accepting = (async () => {
    for await (const conn of listener) {
      const question = ask(conn).finally(() => questions.delete(question));
      questions.add(question);
    }
  })();

  return {
    pass: async (port: number, id: number) => {
      const conn = await Deno.connect({ hostname: "127.0.0.1", port });
      const bytes = new Uint8Array(4);
      new DataView(bytes.buffer).setInt32(0, id);
      await conn.write(bytes);
      await conn.read(bytes);
      conn.close();
      return id;
    },
    handle: (listener.addr as Deno.NetAddr).port,
    ids,
    entered: (...wanted) => until(() => wanted.every((id) => ids.has(id))),
    open() {
      isOpen = true;
      release(held);
    },
    async [Symbol.asyncDispose]() {
      this.open();
      listener.close();
      release(unread);
      await accepting;
      await Promise.all(questions);
    },
  };
}
