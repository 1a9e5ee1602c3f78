/**
 * The program of a child: its pipes ⇄ the runtime.
 *
 * ```text
 *          pool ── stdin ──▶ main thread ── postMessage ──▶ worker: runs tasks
 *            ▲                    │ exits when stdin ends        │
 *            └───── stdout ◀──────┴──────── frames ◀─────────────┘
 * ```
 *
 * Tasks run in a worker of the child, so that its main thread is always free:
 * it ends the child when the pool is gone, however that went and whatever a
 * task does, and it gives calls back that wait behind one that turned out long.
 * The worker writes its own frames: an outcome takes no detour.
 *
 * While calls come, the main thread stands still until the pipe has more, which
 * takes half the time that an event of the runtime takes; it hears nothing of its
 * worker then. That matters where the worker ends, so the pool has it listen when
 * the worker has said so, and whenever no call was sent for a while.
 *
 * The main thread may read any file, which lets the worker import modules; the
 * worker itself, and so the tasks, may do what the pool's `permissions` say.
 *
 * No file of this library is loaded by a child: one started by a program of
 * another place or version, or with no access to the network, is no special
 * case. A short program on the command line reads all others from stdin.
 */

import { makeCloneChecker } from "./clonable.ts";
import { type Codec, makeCodec, type Packed } from "./codec.ts";
import { makeFrameWriter } from "./framing.ts";
import type {
  AbortMessage,
  CallMessage,
  FunctionRef,
  StartMessage,
  ToWorker,
} from "./protocol.ts";
import { makeResults, type Results, type SharedResults } from "./results.ts";
import { makeRebuilder } from "./rebuild.ts";
import { evaluating, serve } from "./worker_runtime.ts";

/** What the codec makes of its own accord, where structured clone may not. */
export const ALSO_BETWEEN_PROCESSES: readonly string[] = ["DOMException"];

/** What a process cannot be sent, over and above what no worker can. */
export const NOT_BETWEEN_PROCESSES: readonly string[] = [
  "SharedArrayBuffer",
  "WebAssembly.Module",
  "WebAssembly.Memory",
  "MessagePort",
];

/** The first line to a child: what its main thread starts the worker with. */
export interface ChildStart {
  readonly type: "start";
  readonly secret: readonly number[];
  /** The worker's program. */
  readonly program: string;
  readonly workerName: string;
  /** What tasks may do; `undefined`: what the child may. */
  readonly permissions: Deno.PermissionOptionsObject | undefined;
  readonly slots: number;
  /** Whether tasks can have no other program write to their stdout. */
  readonly alone: boolean;
  /** The bytes that follow: the packed `StartMessage`. */
  readonly bytes: number;
}

/** What the pool says to a child's main thread, a line of JSON each. */
export type ToChild =
  | ChildStart
  | {
    readonly type: "calls";
    readonly slots: readonly number[];
    /** The bytes that follow: a line of JSON, and the bytes that it announces. */
    readonly bytes: number;
    /** The lengths of the buffers that follow, each by itself. */
    readonly buffers: readonly number[];
  }
  | {
    readonly type: "recall";
    readonly slots: readonly number[];
    readonly chunks: readonly number[];
  }
  /** The main thread is to hear its worker again, which it may not while it reads. */
  | { readonly type: "listen" }
  | AbortMessage;

/**
 * The line of JSON that calls come in: for each, slot, function and arguments;
 * or the arguments of many items, how many, and whether each has but one; or how
 * many bytes the arguments are.
 */
export interface CallsLine {
  readonly fns: readonly FunctionRef[];
  /** The slots of calls whose start is to be told. */
  readonly watched: readonly number[];
  readonly calls: readonly (
    | readonly [slot: number, fn: number, args: unknown]
    | readonly [
      slot: number,
      fn: number,
      args: unknown,
      count: number,
      single: boolean,
    ]
    | readonly [
      slot: number,
      fn: number,
      args: null,
      bytes: number,
      buffers: readonly number[],
    ]
  )[];
}

/** What the main thread says to the worker. */
type ToTasks =
  | {
    readonly type: "start";
    readonly flags: SharedArrayBuffer;
    readonly lock: SharedArrayBuffer;
    readonly results: SharedResults;
    readonly alone: boolean;
    readonly bytes: Uint8Array<ArrayBuffer>;
  }
  | {
    readonly type: "calls";
    readonly bytes: Uint8Array<ArrayBuffer>;
    readonly buffers: readonly ArrayBuffer[];
  }
  | AbortMessage;

/**
 * What stands on the command line: reads the length of a program, and that, and
 * runs it. Short, since a command line is not to be long everywhere.
 */
export const BOOTSTRAP = `data:text/javascript,${
  encodeURIComponent(`(${bootstrap})()`)
}`;

/** Self-contained. */
function bootstrap(): void {
  let input = new Uint8Array(0);
  const chunk = new Uint8Array(65536);
  const more = () => {
    const count = Deno.stdin.readSync(chunk);
    if (count === null) Deno.exit(0);
    const longer = new Uint8Array(input.length + count);
    longer.set(input);
    longer.set(chunk.subarray(0, count), input.length);
    input = longer;
  };
  const decoder = new TextDecoder();
  let end: number;
  while ((end = input.indexOf(10)) < 0) more();
  const length = Number(decoder.decode(input.subarray(0, end)));
  const begin = end + 1;
  while (input.length < begin + length) more();
  const program = decoder.decode(input.subarray(begin, begin + length));
  (0, eval)(program)(input.subarray(begin + length));
}

/** The program of a child's main thread: a function of what was read already. */
export function childProgram(): string {
  return `(input) => (${serveChild})(input, ${makeFrameWriter}, ${makeResults})`;
}

/** The program of a child's worker: a module. */
export function tasksProgram(modules: Iterable<string>): string {
  // An import that can be seen in the program is made with the permissions of
  // the thread that starts it; so the worker may import these, and read none.
  let imports = "";
  for (const url of modules) {
    const name = JSON.stringify(url);
    const standIn = encodeURIComponent(`export * as module from ${name}`);
    imports += `${name}: () => import("data:text/javascript,${standIn}"),\n`;
  }
  const list = (names: readonly string[]) => JSON.stringify(names);
  const program = `(imports) => {
const checker = (${makeCloneChecker})(${list(NOT_BETWEEN_PROCESSES)}, ${
    list(ALSO_BETWEEN_PROCESSES)
  });
const codec = (${makeCodec})(true);
(${serveTasks})(self, codec, ${makeFrameWriter}, ${makeResults}, (scope) =>
  (${serve})(scope, checker, (${makeRebuilder})(), imports));
}`;
  return `${evaluating(program)}({__proto__: null, ${imports}});`;
}

/** The main thread of a child. Self-contained. */
async function serveChild(
  input: Uint8Array,
  writer: typeof makeFrameWriter,
  resultsOf: typeof makeResults,
): Promise<void> {
  /** How many results the worker can leave before they are written; a power of two. */
  const RESULTS = 4096;
  let flags: Int32Array<SharedArrayBuffer>;
  let results: Results;
  let worker: Worker;
  let say: (message: Packed) => void;
  let stdin: Pick<Deno.FsFile, "read" | "readSync"> = Deno.stdin;
  /** Whether nothing but more input is waited for, which takes half the time. */
  let isDeaf = false;
  const decoder = new TextDecoder();
  const chunk = new Uint8Array(65536);

  /**
   * Has the pool's pipe as a file of its own, and puts `/dev/null` in its place:
   * whatever reads stdin then, in whatever way, or inherits it, finds its end.
   * Where that can't be done, the usual ways to read it are closed one by one,
   * in `serveTasks`.
   */
  function moveStdin(): void {
    const isLinux = Deno.build.os === "linux";
    /** `F_SETPIPE_SZ` of Linux. */
    const PIPE_SIZE = 1031;
    const libraries: Partial<Record<string, string[]>> = {
      linux: ["libc.so.6", `libc.musl-${Deno.build.arch}.so.1`, "libc.so"],
      android: ["libc.so"],
      darwin: ["libSystem.B.dylib"],
      freebsd: ["libc.so.7"],
    };
    for (const library of libraries[Deno.build.os] ?? []) {
      try {
        const { symbols: c } = Deno.dlopen(library, {
          dup: { parameters: ["i32"], result: "i32" },
          dup2: { parameters: ["i32", "i32"], result: "i32" },
          open: { parameters: ["buffer", "i32"], result: "i32" },
          close: { parameters: ["i32"], result: "i32" },
          fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
        });
        // Large data then take a quarter of the switches between the processes.
        for (const end of isLinux ? [0, 1] : []) {
          c.fcntl(end, PIPE_SIZE, 1 << 18);
        }
        const pipe = c.dup(0);
        const nothing = c.open(new TextEncoder().encode("/dev/null\0"), 0);
        // Opened anew, so that the runtime reads it, and programs don't inherit it.
        stdin = Deno.openSync(`/dev/fd/${pipe}`);
        c.dup2(nothing, 0);
        c.close(pipe);
        c.close(nothing);
        return;
      } catch {
        // Not this one.
      }
    }
  }

  /** More input; a pool that is gone, or wants no more, ends the child. */
  async function read(): Promise<Uint8Array> {
    const count = isDeaf ? stdin.readSync(chunk) : await stdin.read(chunk);
    if (count === null) Deno.exit(0);
    return chunk.slice(0, count);
  }

  async function readLine(): Promise<string> {
    const parts: Uint8Array[] = [];
    let end: number;
    while ((end = input.indexOf(10)) < 0) {
      parts.push(input);
      input = await read();
    }
    let line = "";
    for (const part of parts) line += decoder.decode(part, { stream: true });
    line += decoder.decode(input.subarray(0, end));
    input = input.subarray(end + 1);
    return line;
  }

  function readBytes(length: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(length);
    const part = input.subarray(0, length);
    bytes.set(part);
    input = input.subarray(part.length);
    for (let filled = part.length; filled < length;) {
      // The rest is on its way: waiting for it here spares it a copy.
      const count = stdin.readSync(bytes.subarray(filled));
      if (count === null) Deno.exit(0);
      filled += count;
    }
    return bytes;
  }

  function start(message: ChildStart, bytes: Uint8Array<ArrayBuffer>): void {
    flags = new Int32Array(new SharedArrayBuffer(message.slots * 4));
    const lock = new Int32Array(new SharedArrayBuffer(4));
    say = writer(message.secret, 1, { lock, isAlone: () => false });
    const shared: SharedResults = {
      ring: new SharedArrayBuffer((2 + RESULTS) * 4),
      values: new SharedArrayBuffer(RESULTS * 16),
    };
    results = resultsOf(shared);
    // Short, as it stands in each frame of each stack.
    const url = URL.createObjectURL(
      new Blob([message.program], { type: "text/javascript" }),
    );
    // Before: a worker has a handle of its own of what stdin is by then.
    moveStdin();
    worker = new Worker(url, {
      type: "module",
      name: message.workerName,
      ...(message.permissions &&
        { deno: { permissions: message.permissions } }),
    } as WorkerOptions);
    // The worker's last words, when it has said why to the pool.
    worker.onmessage = ({ data }) => {
      // A task may post messages of its own.
      if (data?.secret === `${message.secret}`) Deno.exit(data.exit);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      console.error(`The worker of a child ended: ${event.message}`);
      Deno.exit(1);
    };
    const first: ToTasks = {
      type: "start",
      flags: flags.buffer,
      lock: lock.buffer,
      results: shared,
      alone: message.alone,
      bytes,
    };
    worker.postMessage(first);
  }

  while (true) {
    const message: ToChild = JSON.parse(await readLine());
    isDeaf = message.type === "calls";
    if (message.type === "listen") continue;
    if (message.type === "recall" || message.type === "abort") {
      const isRecall = message.type === "recall";
      const slots = isRecall ? message.slots : [message.slot];
      const back = slots.filter((slot) =>
        Atomics.compareExchange(flags, slot, 0, 2) === 0
      );
      // Of chunks, how many items have started; no more will.
      const chunks = isRecall
        ? message.chunks.map((
          slot,
        ) => [slot, Atomics.exchange(flags, slot, 1 << 30)])
        : [];
      // The worker may be in the middle of a long item, and not come to it.
      const late = isRecall ? results!.take() : undefined;
      if (late) say!(late);
      if (isRecall || back.length > 0) {
        say!(JSON.stringify({ type: "returned", slots: back, chunks }));
      } else {
        worker!.postMessage(message);
      }
      continue;
    }
    const bytes = readBytes(message.bytes);
    if (message.type === "start") {
      start(message, bytes);
    } else {
      for (const slot of message.slots) Atomics.store(flags!, slot, 0);
      const buffers = message.buffers.map((length) => readBytes(length).buffer);
      const calls: ToTasks = { type: "calls", bytes, buffers };
      worker!.postMessage(calls, [bytes.buffer, ...buffers]);
    }
  }
}

/** The worker of a child, around the runtime. Self-contained. */
function serveTasks(
  // deno-lint-ignore no-explicit-any -- a worker's global scope
  scope: any,
  codec: Codec,
  writer: typeof makeFrameWriter,
  resultsOf: typeof makeResults,
  serve: (scope: unknown) => void,
): void {
  /** For how long results are kept to be written together, in milliseconds. */
  const TOGETHER = 0.2;
  // Taken before any task runs: one may put its own in their place.
  const { parse } = JSON;
  const { round } = Math;
  const decoder = new TextDecoder();
  const decode = decoder.decode.bind(decoder);
  const post = scope.postMessage.bind(scope);
  const close = scope.close.bind(scope);
  const exit = Deno.exit;
  const now = performance.now.bind(performance);
  let say: (message: Packed) => void;
  let results: Results;
  /** When results were written last. */
  let written = 0;
  let listener: (event: unknown) => void;
  let alone = false;
  /** Marks the worker's last words as such. */
  let secret = "";

  // A worker ends alone: it is the main thread that ends the child.
  Deno.exit = (code?: number): never => {
    post({ exit: code ?? Deno.exitCode, secret });
    return exit(code);
  };

  // Stdin is the pool's. A task finds its end there, and so does a program
  // that a task starts.
  Object.defineProperty(Deno, "stdin", {
    configurable: true,
    value: {
      read: () => Promise.resolve(null),
      readSync: () => null,
      close: () => {},
      isTerminal: () => false,
      setRaw: () => {},
      get readable() {
        return new ReadableStream({
          start: (controller) => controller.close(),
        });
      },
    },
  });
  // Stdout is the pool's, too: a task may write to it, and not close it. What it
  // has written is out when `write` returns: the child may be about to end.
  for (const stream of [Deno.stdout, Deno.stderr]) {
    const writeSync = stream.writeSync.bind(stream);
    Object.defineProperties(stream, {
      close: { value: () => {} },
      write: {
        writable: true,
        value: (bytes: Uint8Array) =>
          new Promise((resolve) => resolve(writeSync(bytes))),
      },
      writable: {
        get: () =>
          new WritableStream<Uint8Array>({
            write(chunk) {
              for (let done = 0; done < chunk.length;) {
                done += writeSync(chunk.subarray(done));
              }
            },
          }),
      },
    });
  }
  const commandOf = Object.getOwnPropertyDescriptor(Deno, "Command")!;
  let command: typeof Deno.Command | undefined;
  Object.defineProperty(Deno, "Command", {
    configurable: true,
    enumerable: true,
    // Made when it is asked for: most tasks start no program.
    get: () => {
      if (command) return command;
      const Original: typeof Deno.Command = commandOf.value ??
        commandOf.get!.call(Deno);
      return command = class Command extends Original {
        constructor(program: string | URL, options: Deno.CommandOptions = {}) {
          const { stdin } = options;
          super(program, {
            ...options,
            stdin: stdin === undefined || stdin === "inherit" ? "null" : stdin,
          });
        }
      };
    },
  });

  // A worker of a task's prints beside it.
  const { Worker } = scope;
  scope.Worker = class extends Worker {
    constructor(...args: unknown[]) {
      alone = false;
      super(...args);
    }
  };

  const adapter = {
    name: scope.name,
    addEventListener(type: string, fn: (event: unknown) => void) {
      if (type === "message") listener = fn;
      else scope.addEventListener(type, fn);
    },
    postMessage(message: unknown) {
      const packed = codec.encode(message, 2, true);
      // First what came before.
      writeResults();
      send(packed);
    },
    leave(
      slot: number,
      item: number,
      ms: number,
      value: unknown,
      isLast: boolean,
    ): boolean {
      if (!isLast && results.leave(slot, item, ms, value)) {
        if (now() - written > TOGETHER) writeResults();
        return true;
      }
      const text = value === undefined ? "" : codec.text(value);
      if (text === undefined) return false;
      writeResults();
      // In whole microseconds, which are shorter to write and to read.
      send(`[${slot},${item},${round(ms * 1000)}${text && `,${text}`}]`);
      return true;
    },
    close: () => {
      post({ exit: 1, secret });
      close();
    },
  };
  serve(adapter);
  scope.close = adapter.close;

  function send(packed: Packed): void {
    try {
      say(packed);
    } catch (error) {
      // A worker that can't speak any more must not be waited for.
      console.error("The worker of a child can't write to its pool:", error);
      adapter.close();
    }
  }

  function writeResults(): void {
    const taken = results.take();
    if (taken !== undefined) send(taken);
    written = now();
  }

  function tell(message: ToWorker): void {
    listener({ data: message, stopImmediatePropagation() {} });
  }

  /** The calls of a message: a line of JSON, then bytes, and buffers apart. */
  function callsIn(
    data: Uint8Array<ArrayBuffer>,
    apart: readonly ArrayBuffer[],
  ): CallMessage[] {
    const end = data.indexOf(10);
    let at = end + 1;
    let next = 0;
    const { fns, watched, calls }: CallsLine = parse(
      decode(data.subarray(0, end)),
    );
    return calls.map((call) => {
      // Not taken apart by iterating, which takes as long as all the rest.
      const slot = call[0];
      const fn = fns[call[1]];
      const isWatched = watched.includes(slot);
      const number = call[3];
      if (number === undefined) {
        return { slot, fn, args: call[2], watched: isWatched };
      }
      const lengths = call[4];
      if (typeof lengths === "boolean") {
        return { slot, fn, args: call[2], count: number, single: lengths };
      }
      const bytes = data.subarray(at, at += number);
      const buffers = apart.slice(next, next += lengths!.length);
      return {
        slot,
        fn,
        watched: isWatched,
        // When the call starts: what can't be read fails that call alone.
        get args() {
          return codec.decode({ bytes, buffers });
        },
      };
    });
  }

  scope.addEventListener("message", (event: MessageEvent<ToTasks>) => {
    event.stopImmediatePropagation();
    const { data } = event;
    if (data.type === "abort") return tell(data);
    if (data.type === "calls") {
      return tell({ type: "calls", calls: callsIn(data.bytes, data.buffers) });
    }
    // What V8's serialiser wrote begins with 0xff.
    const isText = data.bytes[0] === 0x7b;
    const { secret: bytes, ...message } = codec.decode(
      isText ? decode(data.bytes) : data.bytes,
    ) as StartMessage & { secret: readonly number[] };
    secret = `${bytes}`;
    alone = data.alone;
    const lock = new Int32Array(data.lock);
    say = writer(bytes, 0, { lock, isAlone: () => alone });
    results = resultsOf(data.results);
    tell({ ...message, flags: data.flags });
  });
}
