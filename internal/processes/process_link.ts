/** A child process as the pool sees it: a `PoolLink` over its pipes. */

import { together } from "../base/bytes.ts";
import { jsonOf } from "../base/own_json.ts";
import { ownClock, soon, startQuietTimer, startTimer } from "../base/timers.ts";
import { thrownBy } from "../call/call.ts";
import { GARBLED, isFromWorker } from "../call/check_message.ts";
import type {
  CallMessage,
  Carried,
  FromWorker,
  FunctionRef,
  StartMessage,
} from "../call/protocol.ts";
import { mainModule } from "../call/realm.ts";
import { textOf as textOfThrown } from "../call/revive_error.ts";
import { Deliveries } from "../closures/carried.ts";
import { taskModules } from "../functions/describe.ts";
import { type LinkEvents, type PoolLink, tell } from "../pool/pool_link.ts";
import { hasOwnModule } from "../pool/pool_options.ts";
import type { Codec, Packed, UnreadText } from "../values/codec.ts";
import { BOOTSTRAP } from "./bootstrap.ts";
import { childProgram, tasksProgram, type ToChild } from "./child_program.ts";
import { LineForwarder } from "./forward_output.ts";
import { FrameReader } from "./frame_reader.ts";
import {
  type ResultsMessage,
  type ResultText,
  valueOf,
} from "./item_results.ts";
import type { ChildPermissions } from "./permissions.ts";
import { drained, readAll, readFrames } from "./read_streams.ts";

/** How long a child that was asked to end may take, in milliseconds. */
const GRACE = 2000;
/** From how many bytes on what is said to a child is a write of its own. */
const LARGE = 65_536;
/** A child that was sent no call for so long listens to its worker, in milliseconds. */
const HUSH = 50;

const encoder = new TextEncoder();

/** What a child says: a plain result has a shorter form. */
type FromChild = FromWorker | ResultsMessage | Returned;
type Returned = readonly [
  slot: number,
  item: number,
  microseconds: number,
  value?: unknown,
];

function isReturned(message: FromChild): message is Returned {
  return Array.isArray(message);
}

function isOutcome(message: FromChild): boolean {
  return isReturned(message) || message?.type === "outcome" ||
    message?.type === "results";
}

/** Arguments as they wait; a number is the only one. */
export type PackedArguments = Packed | UnreadText | number;

function isUnread(packed: Packed | UnreadText): packed is UnreadText {
  return Object.hasOwn(packed as object, "text");
}

function textOfArguments(packed: string | number): string {
  return typeof packed === "number" ? `[${packed}]` : packed;
}

/** An object as JSON, of its members with a comma before each; `null` of none. */
function objectOf(members: string): string {
  return members === "" ? "null" : `{${members.slice(1)}}`;
}

/** The bytes of what a function captured: of a text, or of V8's serialiser. */
function bytesOf(packed: Packed): Uint8Array {
  return typeof packed === "string"
    ? encoder.encode(packed)
    : packed as Uint8Array;
}

/** What all children of a pool have in common. */
export interface ChildOptions {
  readonly name: string;
  readonly codec: Codec;
  /** How many calls a child can hold at once. */
  readonly slots: number;
  readonly execPath: string | URL;
  readonly execArgv: readonly string[];
  /** What says where modules are found. */
  readonly moduleFlags: readonly string[];
  readonly permissions: ChildPermissions;
  readonly env: Readonly<Record<string, string>> | undefined;
  readonly cwd: string | URL | undefined;
  /** Whether what is typed at a terminal, such as Ctrl-C, is not for them. */
  readonly detached: boolean;
  readonly modules: readonly string[];
  readonly initializer: StartMessage["initializer"];
}

/** References as JSON: most are sent many times. */
const texts = new WeakMap<FunctionRef, string>();

function textOf(fn: FunctionRef): string {
  let text = texts.get(fn);
  if (text === undefined) texts.set(fn, text = jsonOf(fn));
  return text;
}

/** One child process. */
export class ProcessLink implements PoolLink {
  readonly label: string;
  readonly #child: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array>;
  readonly #deliveries = new Deliveries();
  readonly #events: LinkEvents;
  /** The modules that the child can import, `undefined` if it can all. */
  readonly #modules: ReadonlySet<string> | undefined;
  readonly startsLate: boolean;
  readonly answersAbort = true;
  /** What is to be written in this turn of the event loop. */
  #unwritten: Uint8Array[] = [];
  /** Whether calls were sent since the timer was set that has the child listen. */
  #sent = false;
  #stopTimer: (() => void) | undefined;
  /** What the child said of its death before it died. */
  #lastWords: (FromWorker & { type: "died" }) | undefined;
  /** Why what it said could not be read. */
  #garbled: { readonly error: unknown } | undefined;
  /** Resolves when the child is gone and all it has written is read. */
  readonly #gone: Promise<void>;

  /** @param resultsTogether See `StartMessage`. */
  constructor(
    index: number,
    depth: number,
    options: ChildOptions,
    events: LinkEvents,
    resultsTogether: boolean,
  ) {
    const { moduleFlags, permissions, cwd, env } = options;
    const modules = new Set([...options.modules, ...taskModules]);
    this.#modules = permissions.readAll ? undefined : modules;
    this.#events = events;
    this.startsLate = options.modules.length > 0 ||
      options.initializer !== undefined;
    // What a module of another host imports is its own business; tasks may not.
    const isRemote = [...modules].some((url) => /^https?:/.test(url));
    const flags = new Set(permissions.flags);
    if (isRemote) flags.add("--allow-import");
    // Before there is a child: should it fail, none is left.
    const secret = [...crypto.getRandomValues(new Uint8Array(11))];
    // The flags are for the child to make.
    const start: Omit<StartMessage, "flags"> & { secret: readonly number[] } = {
      type: "start",
      secret,
      modules: options.modules,
      ownModule: hasOwnModule(options.modules),
      initializer: options.initializer,
      resultsTogether,
      depth,
      mainModule: mainModule(),
    };
    const program = encoder.encode(childProgram());
    const { codec, slots } = options;
    const packed = codec.encode(start, 3) as string | Uint8Array<ArrayBuffer>;
    const bytes = typeof packed === "string" ? encoder.encode(packed) : packed;
    this.#child = new Deno.Command(options.execPath, {
      args: [
        "run",
        "--quiet",
        "--no-prompt",
        "--unstable-worker-options",
        ...moduleFlags,
        ...flags,
        ...options.execArgv,
        BOOTSTRAP,
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      ...(options.detached && { detached: true }),
      ...(cwd !== undefined && { cwd }),
      ...(env !== undefined && { env }),
    }).spawn();
    this.label = `child ${index + 1} (pid ${this.#child.pid})`;
    this.#stdin = this.#child.stdin.getWriter();
    this.#stdin.closed.catch(() => {});

    this.#write(encoder.encode(`${program.length}\n`), program);
    this.#writeLine({
      type: "start",
      secret,
      program: tasksProgram(modules),
      workerName: `${options.name}_${index}`,
      permissions: permissions.tasks,
      slots,
      bytes: bytes.length,
    }, bytes);

    const stdout = new LineForwarder(Deno.stdout);
    const stderr = new LineForwarder(Deno.stderr);
    const frames = new FrameReader(
      secret,
      codec,
      (message, next) =>
        this.#onMessage(message as FromChild, next as FromChild | undefined),
      (output) => stdout.push(output),
      (whole) => this.#writeLine({ type: "got", whole }),
    );
    const stops = [
      readFrames(this.#child.stdout, frames, (error) => {
        this.#garbled ??= { error };
        this.#signal("SIGKILL");
      }),
      readAll(this.#child.stderr, (part) => stderr.push(part)),
    ];
    this.#gone = this.#child.status.then(async (status) => {
      try {
        await drained(stops);
        frames.end();
        stdout.flush();
        stderr.flush();
      } catch (error) {
        this.#garbled ??= { error };
      }
      this.#stopForGood();
      this.#stdin.abort().catch(() => {});
      this.#onExit(status, stderr.lastLines());
    });
  }

  send(calls: readonly CallMessage[]): void {
    this.#sent = true;
    const fns = new Map<FunctionRef, number>();
    let texts = "";
    const slots: number[] = [];
    let watched = "";
    const parts: Uint8Array[] = [];
    const buffers: ArrayBuffer[] = [];
    const fresh: Carried[] = [];
    let carriedText = "";
    let text = "";
    for (const call of calls) {
      const { slot, fn, args, carried, shared, count, single } = call;
      const number = call.watched;
      if (number !== undefined) watched += `,"${slot}":${number}`;
      if (carried) {
        const { id, captured } = this.#deliveries.messageOf(carried, fresh);
        const bytes = captured === undefined
          ? undefined
          : bytesOf(captured as Packed);
        const list = shared ? jsonOf(shared) : "null";
        const length = bytes?.length ?? null;
        carriedText += `,"${slot}":[${id ?? null},${length},${list}]`;
        if (bytes) parts.push(bytes);
      } else if (shared) {
        carriedText += `,"${slot}":[false,null,${JSON.stringify(shared)}]`;
      }
      let id = fns.get(fn);
      if (id === undefined) {
        fns.set(fn, id = fns.size);
        texts += `,${textOf(fn)}`;
      }
      slots.push(slot);
      if (count !== undefined) {
        const all = single
          ? jsonOf(args)
          : `[${(args as (string | number)[]).map(textOfArguments).join()}]`;
        text += `,[${slot},${id},${all},${count},${single}]`;
        continue;
      }
      const packed = args as PackedArguments;
      if (typeof packed === "string" || typeof packed === "number") {
        text += `,[${slot},${id},${textOfArguments(packed)}]`;
        continue;
      }
      if (isUnread(packed)) {
        text += `,[${slot},${id},null,${packed.text.length},"text"]`;
        parts.push(packed.text);
        continue;
      }
      const { bytes, buffers: apart } = packed instanceof Uint8Array
        ? { bytes: packed, buffers: [] }
        : packed;
      const lengths = apart.map(({ byteLength }) => byteLength);
      text += `,[${slot},${id},null,${bytes.length},[${lengths}]]`;
      parts.push(bytes);
      buffers.push(...apart);
    }
    // Nothing is left out: it would be read from what a task gave to all objects.
    this.#writeCalls(
      `{"fns":[${texts.slice(1)}],"calls":[${text.slice(1)}],"watched":${
        objectOf(watched)
      },"carried":${objectOf(carriedText)},"forget":null}`,
      slots,
      parts,
      buffers,
    );
    if (fresh.length > 0) this.#deliveries.sent(fresh);
  }

  forget(carried: Carried): void {
    if (!this.#deliveries.forget(carried)) return;
    this.#sent = true;
    this.#writeCalls(
      `{"fns":[],"calls":[],"watched":null,"carried":null,"forget":[${carried.id}]}`,
    );
  }

  /** Writes a `CallsLine` for the worker, and the bytes that it announces. */
  #writeCalls(
    text: string,
    slots: readonly number[] = [],
    parts: readonly Uint8Array[] = [],
    buffers: readonly ArrayBuffer[] = [],
  ): void {
    const line = encoder.encode(`${text}\n`);
    let bytes = line.length;
    for (const part of parts) bytes += part.length;
    this.#writeLine(
      {
        type: "calls",
        slots,
        bytes,
        buffers: buffers.map(({ byteLength }) => byteLength),
      },
      line,
      ...parts,
      ...buffers.map((buffer) => new Uint8Array(buffer)),
    );
  }

  /** A call that was handed to a child counts as started. */
  hasStarted(): boolean {
    return true;
  }

  takeBack(): boolean {
    return false;
  }

  recall(slots: readonly number[], chunks: readonly number[]): void {
    this.#writeLine({ type: "recall", slots, chunks });
  }

  abort(slot: number, call: number, name: string, message: string): void {
    this.#writeLine({ type: "abort", slot, call, name, message });
  }

  accepts(fn: FunctionRef): boolean {
    const modules = this.#modules;
    if (!modules) return true;
    if (fn.by === "closure") return fn.modules.every((url) => modules.has(url));
    return fn.by !== "export" || modules.has(fn.module);
  }

  async end(): Promise<void> {
    // The end of its stdin ends the child, with whatever it does at its end.
    this.#flush();
    this.#stopForGood();
    this.#stdin.close().catch(() => {});
    await this.#end();
  }

  async kill(signal: Deno.Signal): Promise<void> {
    this.#signal(signal);
    await this.#end();
  }

  /** Waits for the child to end; not for long. */
  async #end(): Promise<void> {
    // Not yet: the pool is in the middle of something, see `loadTimers`.
    await undefined;
    const stop = startTimer(GRACE, () => this.#signal("SIGKILL"));
    await this.#gone;
    stop();
  }

  #signal(signal: Deno.Signal): void {
    try {
      this.#child.kill(signal);
    } catch {
      // It is gone already.
    }
  }

  #writeLine(message: ToChild, ...rest: readonly Uint8Array[]): void {
    this.#write(encoder.encode(`${jsonOf(message)}\n`), ...rest);
  }

  /** Writes all that one turn of the event loop has to say at once. */
  #write(...parts: readonly Uint8Array[]): void {
    if (this.#unwritten.length === 0) soon(() => this.#flush());
    this.#unwritten.push(...parts);
  }

  #flush(): void {
    const parts = this.#unwritten;
    this.#unwritten = [];
    for (const bytes of together(parts, LARGE)) {
      // A child that is gone is told of by its status.
      this.#stdin.write(bytes).catch(() => {});
    }
    if (this.#sent && !this.#stopTimer) this.#haveListen();
  }

  /** Has the child listen to its worker once it was sent no call for a while. */
  #haveListen(): void {
    this.#sent = false;
    this.#stopTimer = startQuietTimer(HUSH, () => {
      this.#stopTimer = undefined;
      if (this.#sent) this.#haveListen();
      else this.#writeLine({ type: "listen" });
    });
  }

  /** The child is to hear nothing any more: no timer is set again. */
  #stopForGood(): void {
    this.#stopTimer?.();
    this.#stopTimer = () => {};
  }

  /** @throws {TypeError} for what is no message: it is told as the child's death. */
  #onMessage(message: FromChild, next: FromChild | undefined): void {
    const more = next !== undefined && isOutcome(next);
    if (isReturned(message)) {
      const slot = message[0];
      const item = message[1];
      const ms = typeof message[2] === "number" ? message[2] / 1000 : NaN;
      const value = message[3];
      this.#events.onOutcome(slot, ms, { is: "returned", value }, more, item);
    } else if (message?.type === "results") {
      this.#onResults(message.results, more);
    } else if (!isFromWorker(message)) {
      throw new TypeError(`${textOfThrown(message)} is no message`);
    } else if (message.type === "died") {
      this.#lastWords = message;
      this.#writeLine({ type: "listen" });
    } else if (message.type !== "look" && message.type !== "printed") {
      tell(this.#events, message, more);
    }
  }

  #onResults(results: readonly unknown[], more: boolean): void {
    if (!Array.isArray(results) || results.length % 4 !== 0) {
      throw new TypeError("results that are no list of them");
    }
    const now = ownClock.now();
    for (let i = 0; i < results.length; i += 4) {
      this.#events.onOutcome(
        results[i] as number,
        typeof results[i + 2] === "number" ? results[i + 2] as number : NaN,
        { is: "returned", value: valueOf(results[i + 3] as ResultText) },
        more || i + 4 < results.length,
        results[i + 1] as number,
        now,
      );
    }
  }

  #onExit(status: Deno.CommandStatus, stderr: string): void {
    if (this.#garbled) {
      this.#events.onDeath(GARBLED, this.#garbled);
      return;
    }
    const { how, error } = this.#lastWords ?? {};
    const ended = status.signal
      ? `was killed by ${status.signal}`
      : `ended with exit code ${status.code}`;
    this.#events.onDeath(
      how === undefined ? ended : `${ended} after ${how}`,
      error && { error: thrownBy({ is: "threw", what: error }) },
      stderr === "" ? undefined : `the last it wrote to stderr: ${stderr}`,
    );
  }
}

// What a link leaves out, it has not: whatever a program gave to all objects.
Object.setPrototypeOf(ProcessLink.prototype, null);
