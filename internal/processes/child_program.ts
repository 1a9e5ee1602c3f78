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
 * The worker for its part waits a moment for more calls before it goes back to its
 * events (`processes/call_tray.ts`).
 *
 * The main thread may read any file, which lets the worker import modules; the
 * worker itself, and so the tasks, may do what the pool's `permissions` say.
 *
 * No file of this library is loaded by a child: one started by a program of
 * another place or version, or with no access to the network, is no special
 * case. A short program on the command line reads all others from stdin.
 */

import { jsonOf } from "../base/own_json.ts";
import { listErrorClasses } from "../call/error_classes.ts";
import type {
  AbortMessage,
  FromWorker,
  StartMessage,
  ToWorker,
} from "../call/protocol.ts";
import { evaluating, nameHelpers, program } from "../functions/program_text.ts";
import { makeKeeper } from "../inside/keep_captured.ts";
import { makePromiseWatch } from "../inside/promise_watch.ts";
import { makeRebuilder } from "../inside/rebuild_closure.ts";
import { makeRecorder } from "../inside/record_error.ts";
import { serve } from "../inside/runtime.ts";
import { makeLookout } from "../inside/spin.ts";
import { makeCloneChecker } from "../values/clone_checker.ts";
import { type Codec, makeCodec, type Packed } from "../values/codec.ts";
import { makeNumbering } from "../values/numbering.ts";
import { type CallTray, makeCallTray } from "./call_tray.ts";
import { type CallsReader, makeCallsReader } from "./calls_line.ts";
import { type FrameWriter, makeFrameWriter } from "./frame_writer.ts";
import { guardStreams, moveStdin } from "./guard_streams.ts";
import {
  type ItemResults,
  makeItemResults,
  type SharedResults,
} from "./item_results.ts";

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
  /** What the worker waits for, that has sent a large frame: whether it came whole. */
  | { readonly type: "got"; readonly whole: boolean }
  | AbortMessage;

/** What the main thread says to the worker. */
type ToTasks =
  | {
    readonly type: "start";
    readonly flags: SharedArrayBuffer;
    readonly lock: SharedArrayBuffer;
    readonly results: SharedResults;
    readonly tray: SharedArrayBuffer;
    readonly bytes: Uint8Array<ArrayBuffer>;
  }
  | {
    readonly type: "calls";
    readonly bytes: Uint8Array<ArrayBuffer>;
    readonly buffers: readonly ArrayBuffer[];
  }
  | AbortMessage;

/** The program of a child's main thread: a function of what was read already. */
export function childProgram(): string {
  return program`(input) => (${serveChild})(input, ${makeFrameWriter}, ${makeCallTray}, ${makeItemResults}, ${moveStdin})`;
}

/** The program of a child's worker: a module. */
export function tasksProgram(modules: Iterable<string>): string {
  // An import that can be seen in the program is made with the permissions of
  // the thread that starts it; so the worker may import these, and read none.
  let imports = "";
  for (const url of modules) {
    const name = JSON.stringify(url);
    const standIn = encodeURIComponent(
      `export * as module from ${name};export const url=import.meta.resolve(${name})`,
    );
    imports += `${name}: () => import("data:text/javascript,${standIn}"),\n`;
  }
  const list = (names: readonly string[]) => jsonOf(names);
  const text = program`(imports) => {
${nameHelpers()}const checker = (${makeCloneChecker})(${
    list(NOT_BETWEEN_PROCESSES)
  }, ${list(ALSO_BETWEEN_PROCESSES)});
const codec = (${makeCodec})();
(${guardStreams})();
(${serveTasks})(self, codec, (${makeCallsReader})(codec), ${makeFrameWriter}, ${makeCallTray}, ${makeLookout}, ${makeItemResults}, (scope) =>
  (${serve})(scope, checker, (${makeRebuilder})(), (${makeRecorder})(checker, (${listErrorClasses})()), (${makeKeeper})((${makeNumbering})(), (bytes) => codec.read(bytes)), (${makePromiseWatch})(), imports));
}`;
  return `${evaluating(text)}({__proto__: null, ${imports}});`;
}

/** The main thread of a child. Self-contained. */
async function serveChild(
  input: Uint8Array,
  writer: typeof makeFrameWriter,
  trays: typeof makeCallTray,
  resultsOf: typeof makeItemResults,
  ownStdin: typeof moveStdin,
): Promise<void> {
  /** How many results the worker can leave before they are written; a power of two. */
  const RESULTS = 4096;
  /** The flag of a call that has asked for its signal; see `inside/runtime.ts`. */
  const LISTENS = 3;
  let flags: Int32Array<SharedArrayBuffer>;
  let lock: Int32Array<SharedArrayBuffer>;
  let results: ItemResults;
  let worker: Worker;
  const tray = trays();
  let say: (message: Packed) => void;
  let stdin: Pick<Deno.FsFile, "read" | "readSync"> = Deno.stdin;
  /** Whether nothing but more input is waited for, which takes half the time. */
  let isDeaf = false;
  const decoder = new TextDecoder();
  const chunk = new Uint8Array(65536);

  /** More input; a pool that is gone, or wants no more, ends the child. */
  async function read(): Promise<Uint8Array> {
    while (true) {
      try {
        const count = isDeaf ? stdin.readSync(chunk) : await stdin.read(chunk);
        if (count === null) Deno.exit(0);
        return chunk.slice(0, count);
      } catch (error) {
        passInterruption(error);
      }
    }
  }

  function readNow(target: Uint8Array): number | null {
    while (true) {
      try {
        return stdin.readSync(target);
      } catch (error) {
        passInterruption(error);
      }
    }
  }

  /** By a signal, which somebody has handled: what was interrupted is done again. */
  function passInterruption(error: unknown): void {
    if (!(error instanceof Deno.errors.Interrupted)) throw error;
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
      const count = readNow(bytes.subarray(filled));
      if (count === null) Deno.exit(0);
      filled += count;
    }
    return bytes;
  }

  function start(message: ChildStart, bytes: Uint8Array<ArrayBuffer>): void {
    flags = new Int32Array(new SharedArrayBuffer(message.slots * 4));
    lock = new Int32Array(new SharedArrayBuffer(8));
    say = writer(message.secret, 1, { lock, large: false });
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
    stdin = ownStdin();
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
      const left = results.take();
      if (left) say(left);
      Deno.exit(1);
    };
    const first: ToTasks = {
      type: "start",
      flags: flags.buffer,
      lock: lock.buffer,
      results: shared,
      tray: tray.memory,
      bytes,
    };
    post(first);
  }

  function post(message: ToTasks, transfer: Transferable[] = []): void {
    tray.posting();
    worker.postMessage(message, transfer);
  }

  while (true) {
    const message: ToChild = JSON.parse(await readLine());
    if (message.type === "got") {
      Atomics.store(lock!, 1, message.whole ? 1 : 2);
      Atomics.notify(lock!, 1);
      continue;
    }
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
        const { slot, call } = message as AbortMessage;
        const listens = Atomics.load(flags!, slot) === LISTENS;
        if (listens) post(message as AbortMessage);
        say!(JSON.stringify({ type: "aborting", slot, call, listens }));
      }
      continue;
    }
    const bytes = readBytes(message.bytes);
    if (message.type === "start") {
      start(message, bytes);
    } else {
      for (const slot of message.slots) Atomics.store(flags!, slot, 0);
      const buffers = message.buffers.map((length) => readBytes(length).buffer);
      if (buffers.length === 0 && tray.put(bytes)) continue;
      const calls: ToTasks = { type: "calls", bytes, buffers };
      post(calls, [bytes.buffer, ...buffers]);
    }
  }
}

/** The worker of a child, around the runtime. Self-contained. */
function serveTasks(
  // deno-lint-ignore no-explicit-any -- a worker's global scope
  scope: any,
  codec: Codec,
  readCalls: CallsReader,
  writer: typeof makeFrameWriter,
  trays: typeof makeCallTray,
  lookoutOf: typeof makeLookout,
  resultsOf: typeof makeItemResults,
  serve: (scope: unknown) => void,
): void {
  /** For how long results are kept to be written together, in milliseconds. */
  const TOGETHER = 0.2;
  /**
   * How long calls are looked out for, in milliseconds: about as long as the pool
   * takes to hear of a result, and to send the next.
   */
  const PATIENCE = 0.15;
  type Ended = FromWorker & { type: "outcome" };
  // Taken before any task runs: one may put its own in their place.
  const { round } = Math;
  const printError = console.error.bind(console);
  const { bind, call } = Function.prototype;
  /** A method as a function of what it is a method of. */
  // deno-lint-ignore no-explicit-any -- of whatever method
  const uncurried = (method: any): any => bind.call(call, method);
  const stopPropagation = uncurried(Event.prototype.stopImmediatePropagation);
  const dataThere = Object.getOwnPropertyDescriptor(
    MessageEvent.prototype,
    "data",
  );
  const dataOf = dataThere?.get && uncurried(dataThere.get);
  const post = scope.postMessage.bind(scope);
  const close = scope.close.bind(scope);
  const exit = Deno.exit;
  const now = performance.now.bind(performance);
  let say: FrameWriter;
  let results: ItemResults;
  /** When results were written last. */
  let written = 0;
  let listener: (event: unknown) => void;
  let tray: CallTray;
  /** Whether what it says can't be written any more. */
  let isMute = false;
  /** Marks the worker's last words as such. */
  let secret = "";

  // A worker ends alone: it is the main thread that ends the child.
  Deno.exit = (code?: number): never => {
    post({ exit: code ?? Deno.exitCode, secret });
    return exit(code);
  };

  const adapter = {
    name: scope.name,
    addEventListener(type: string, fn: (event: unknown) => void) {
      if (type === "message") listener = fn;
      else scope.addEventListener(type, fn);
    },
    postMessage(message: FromWorker) {
      let packed: Packed;
      let about: string | undefined;
      const outcome = message.type === "outcome" ? message.outcome : undefined;
      const is = outcome?.is;
      if (is === "returned" || is === "threw") {
        const { slot, item = 0, ms } = message as Ended;
        const what = is === "returned" ? outcome!.value : outcome!.what;
        packed = codec.encode(what, is === "threw" ? 3 : 0, true, true);
        const of = `"slot":${slot},"item":${item},"ms":${ms}`;
        // What it is about stands apart: so what can't be read fails its call alone.
        if (typeof packed !== "string") about = `,"is":"${is}",${of}`;
        else {
          const key = is === "returned" ? "value" : "what";
          packed =
            `{"type":"outcome",${of},"outcome":{"is":"${is}","${key}":${packed}}}`;
        }
      } else {
        packed = codec.encode(message, 4, true);
      }
      // First what came before.
      writeResults();
      send(packed, about);
    },
    whenRead: codec.whenRead,
    leave(
      slot: number,
      item: number,
      ms: number,
      value: unknown,
      isLast: boolean,
    ): boolean {
      // The last goes with those that wait for it.
      const goesAlong = !isLast || results.hasSome();
      if (goesAlong && results.leave(slot, item, ms, value)) {
        if (isLast || now() - written > TOGETHER) writeResults();
        return true;
      }
      const text = value === undefined ? "" : codec.text(value);
      if (text === undefined) return false;
      writeResults();
      // In whole microseconds, which are shorter to write and to read.
      send(`[${slot},${item},${round(ms * 1000)}${text && `,${text}`}]`);
      return true;
    },
    onIdle() {
      const bytes = tray.take();
      if (bytes) takeIn(bytes, []);
    },
    close: () => {
      post({ exit: 1, secret });
      close();
    },
  };
  serve(adapter);
  scope.close = adapter.close;

  function send(packed: Packed, about?: string): void {
    if (isMute) return;
    try {
      say(packed, about);
    } catch (error) {
      // A worker that can't speak any more must not be waited for. What says so
      // may fail, too, and ends up here again.
      isMute = true;
      try {
        printError("The worker of a child can't write to its pool:", error);
      } catch {
        // Then its end has to do.
      }
      adapter.close();
    }
  }

  function writeResults(): void {
    const taken = results.take();
    if (taken !== undefined) send(taken);
    written = now();
  }

  function takeIn(
    bytes: Uint8Array<ArrayBuffer>,
    buffers: readonly ArrayBuffer[],
  ): void {
    const calls = readCalls(bytes, buffers, forget);
    tell({ type: "calls", calls, areWhole: true });
  }

  function forget(ids: readonly number[]): void {
    tell({ type: "forget", ids });
  }

  function tell(message: ToWorker): void {
    listener({ data: message, stopImmediatePropagation() {} });
  }

  scope.addEventListener("message", (event: MessageEvent<ToTasks>) => {
    stopPropagation(event);
    const data: ToTasks = dataOf ? dataOf(event) : event.data;
    if (data.type === "start") tray = trays(data.tray, lookoutOf(PATIENCE));
    tray.received();
    if (data.type === "abort") return tell(data);
    if (data.type === "calls") {
      return takeIn(data.bytes, data.buffers);
    }
    const { secret: bytes, ...message } = codec.read(
      data.bytes,
    ) as StartMessage & { secret: readonly number[] };
    secret = `${bytes}`;
    const lock = new Int32Array(data.lock);
    say = writer(bytes, 0, { lock, large: true });
    results = resultsOf(data.results);
    tell({ ...message, flags: data.flags });
  });
}
