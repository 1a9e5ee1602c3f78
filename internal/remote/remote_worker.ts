/**
 * A worker of executors on other machines: takes calls from a message server,
 * and runs them in children of its own.
 *
 * ## What becomes of a call that comes
 *
 * `#move()` is the only way to change what it is; an entry tells what it is next,
 * and what becomes of its message:
 *
 * ```text
 *            read       none      refused    "go"       "no"   "later"     ended      told
 *                                                       gone   away
 * arriving → asking   → over    → telling     –          –      –           –          –
 *                       done
 * asking      –          –         –        → running  → over → over        –          –
 *                                                        done   given back
 * running     –          –         –          –          –      –         → telling    –
 * telling     –          –         –          –          –      –           –        → over
 *                                                                                      done, or after
 *                                                                                      a death given back
 * ```
 *
 * - Until it is over the server is told, every so often, that the call is worked
 *   on, by the main thread, which no task blocks.
 * - What comes is data (`remote/check_messages.ts`). What is no call is answered for as done, or it
 *   would come again. A call that may not run here, or can't, is refused before its
 *   submitter is asked: that gets to hear why.
 * - Its submitter is asked by a claim. One that is not there may be about to
 *   reconnect: its calls are given back for a while, and dropped as they come once
 *   it was away for a lease, its own or the queue's, whichever is shorter. But where
 *   an answer was lost, which may have been "go", it is asked for again.
 * - It runs in a child, which reads the arguments. The outcome is stored, and only
 *   then is the call answered for: in between, at worst it is delivered and refused
 *   once more.
 * - A child that dies is told to the submitter at once, and the call is given back,
 *   for another attempt, if there is to be one.
 *
 * A call that a submitter hands over comes with its "go", if there is room for it:
 * it begins as one that runs.
 */

import { BrokenExecutor, TimeoutError } from "../../errors.ts";
import { startTimer } from "../base/timers.ts";
import type { FunctionRef, Outcome } from "../call/protocol.ts";
import { taskModules } from "../functions/describe.ts";
import { type Codec, makeCodec } from "../values/codec.ts";
import { AbsentSubmitters, keepFew } from "./absent_submitters.ts";
import { type Allowed, resolve } from "./allowed_functions.ts";
import {
  Malformed,
  readCall,
  type RefusedCall,
  type WireCall,
} from "./check_messages.ts";
import { Complaints } from "./complaints.ts";
import {
  type Answer,
  type Body,
  type CallHead,
  type Claim,
  HANDED,
  PROTOCOL,
  type ResultHead,
  toBytes,
} from "./envelope.ts";
import type { Job, Transport, WorkerLink } from "./transport.ts";
import { type ChildrenOptions, WorkerChildren } from "./worker_children.ts";
import { WorkerPlaces } from "./worker_places.ts";

/** What a worker is made of. */
export interface RemoteWorkerOptions extends ChildrenOptions, Allowed {
  readonly transport: Transport;
  /** Tells people what happens. */
  readonly log: (text: string) => void;
}

/** How often a call that is worked on is said to be, in milliseconds. */
const BEAT = 300;
/** How soon another look is taken for a submitter that is away. */
const ABSENT = 300;
/** How soon is asked again for a call that somebody else has. */
const LATER = 1000;
/** How soon a lost queue is looked for again, and how seldom at least. */
const AGAIN = 500;
const RARELY = 10_000;
/** How many calls are kept that a submitter was told are not here. */
const MOST_DENIED = 1000;
/** How soon is asked again where no answer came, in milliseconds. */
const RETRY = 50;
/** How many answers of a submitter to one question may be none. */
const MOST_MALFORMED = 3;
/** How long one that is to end waits for a server that is away. */
const PATIENCE = 5000;

/** What a call is, that is here; see the table above. */
type Stage = "arriving" | "asking" | "running" | "telling" | "over";

/** A call that is here: it starts once, or not at all. */
interface Run {
  readonly number: number;
  job: Job;
  stage: Stage;
  /** Whose call it is, once that is known. */
  key: string | undefined;
  /** What stops it, if its submitter may come to want that. */
  stopper: AbortController | undefined;
}

/** What the submitter of a call is told, and whether somebody else may try it then. */
interface Told {
  readonly bytes: Uint8Array;
  readonly again: boolean;
}

/** What stands for the job of a call that was handed over: nobody else has it. */
const HANDED_JOB: Job = {
  message: HANDED,
  delivery: HANDED,
  bytes: () => Promise.reject(new Error("it was read")),
  extend() {},
  done() {},
  giveBack() {},
};

function keyOf({ from, id }: { from: string; id: string }): string {
  return `${from} ${id}`;
}

function whyOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A worker. */
export class RemoteWorker {
  readonly #options: RemoteWorkerOptions;
  readonly #id = crypto.randomUUID().replaceAll("-", "");
  readonly #codec: Codec = makeCodec();
  readonly #children: WorkerChildren;
  /** Where calls take place, and what asks for them. */
  readonly #places: WorkerPlaces;
  /** The calls that are here, and those among them of which it is known whose. */
  readonly #here = new Set<Run>();
  readonly #runs = new Map<string, Run>();
  #count = HANDED;
  /** Calls that are not here, as was said: they must not come after all. */
  readonly #denied = new Set<string>();
  readonly #absent = new AbsentSubmitters();
  #link!: WorkerLink;
  #beat: ReturnType<typeof setInterval> | undefined;
  #stopping = false;
  #stopped: Promise<void> | undefined;
  #away = false;
  #stopAwayTimer: (() => void) | undefined;
  #relinking: Promise<void> | undefined;
  #idle: (() => void) | undefined;
  readonly #pauses = new Set<() => void>();
  readonly #complaints: Complaints;

  constructor(options: RemoteWorkerOptions) {
    this.#options = options;
    this.#complaints = new Complaints(options.log);
    for (const url of options.modules.values()) taskModules.add(url);
    this.#places = new WorkerPlaces(options.slots, (count) => {
      // A link that is made anew asks for all that is free.
      if (!this.#relinking) this.#link.want(count);
      return !this.#relinking;
    });
    this.#children = new WorkerChildren(options);
  }

  /**
   * Imports the modules in a child, which is then warm.
   *
   * @throws what keeps one from being imported.
   */
  tryModules(): Promise<void> {
    return this.#children.tryModules(this.#options.modules.values());
  }

  /**
   * Starts to take calls.
   *
   * @throws where the server can't be reached, or refuses.
   */
  async start(): Promise<void> {
    this.#link = await this.#connect();
    this.#beat = setInterval(() => {
      for (const { job } of this.#here) job.extend();
    }, BEAT);
    this.#places.want();
  }

  /** Takes no more calls, ends those that it has, and leaves nothing. May be called again. */
  stop(): Promise<void> {
    return this.#stopped ??= this.#stop();
  }

  async #stop(): Promise<void> {
    this.#stopping = true;
    this.#places.stop();
    for (const end of [...this.#pauses]) end();
    await this.#relinking;
    const link = this.#link;
    const resting = link?.rest();
    this.#limitAway();
    if (this.#here.size > 0) {
      await new Promise<void>((resolve) => this.#idle = resolve);
    }
    this.#stopAwayTimer?.();
    await resting;
    clearInterval(this.#beat);
    await this.#children.end();
    await link?.close();
  }

  #connect(): Promise<WorkerLink> {
    const { log } = this.#options;
    return this.#options.transport.worker(this.#id, {
      onJob: (job) => this.#onJob(job),
      onHanded: (bytes) => this.#onHanded(bytes),
      onAsked: (from, runs) =>
        runs.filter(({ id, run }) => {
          const key = `${from} ${id}`;
          // One that waits for its "go" has it, as far as others are concerned:
          // that may be on the way, and is asked for again if it is lost.
          if (this.#runs.get(key)?.number === run) return true;
          this.#deny(key);
          return false;
        }).map(({ id }) => id),
      onAway: () => {
        log("the server is away");
        this.#away = true;
        this.#limitAway();
      },
      onBack: () => {
        log("the server is there again");
        this.#away = false;
        this.#stopAwayTimer?.();
      },
      onLost: (why) => {
        log(`${why}; starting anew`);
        this.#relinking ??= this.#reconnect();
      },
      onRefused: (why) => this.#complaints.add(why),
      slots: this.#options.slots,
      onStop: (from, { id, run, message }) => {
        const found = this.#runs.get(keyOf({ from, id }));
        const reason = new DOMException(message, "AbortError");
        if (found?.number === run) found.stopper?.abort(reason);
      },
    });
  }

  /** Once it is to end, outcomes that can't be sent are not waited for without end. */
  #limitAway(): void {
    if (!this.#stopping || !this.#away) return;
    this.#stopAwayTimer = startTimer(PATIENCE, () => this.#link.close());
  }

  /** What the server has lost does not come back: the queue is found, or made, anew. */
  async #reconnect(): Promise<void> {
    await this.#link.close();
    // A server that refuses is not to be stormed, nor the log to be filled.
    for (let wait = AGAIN; !this.#stopping; wait = Math.min(2 * wait, RARELY)) {
      try {
        this.#link = await this.#connect();
        this.#relinking = undefined;
        this.#places.askAnew();
        return this.#options.log("ready again");
      } catch (error) {
        this.#options.log(`${error}`);
        await this.#pause(wait);
      }
    }
    this.#relinking = undefined;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        stopTimer();
        this.#pauses.delete(end);
        resolve();
      };
      const stopTimer = startTimer(ms, end);
      this.#pauses.add(end);
      if (this.#stopping) end();
    });
  }

  // ---- A call ------------------------------------------------------------------

  #onJob(job: Job): void {
    this.#places.hasCome();
    if (this.#stopping || this.#places.areTaken) return job.giveBack();
    this.#occupy((free) => this.#run(job, this.#link, free));
  }

  /** A call that came past the queue, and may start. */
  #onHanded(bytes: Uint8Array): boolean {
    if (this.#stopping || this.#places.areTaken) return false;
    const call = this.#read(bytes);
    // What is refused is refused when it comes by the queue.
    if (!call || !("head" in call)) return false;
    const key = keyOf(call.head);
    if (this.#denied.has(key) || this.#runs.has(key)) return false;
    const run = this.#enter(HANDED, HANDED_JOB, "running");
    this.#know(run, key);
    this.#occupy((free) => this.#answer(call, run, this.#link, free));
    return true;
  }

  #read(
    bytes: Uint8Array,
    sender?: string,
  ): WireCall | RefusedCall | undefined {
    try {
      return readCall(bytes, sender);
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      this.#complaints.add(`a message is no call: ${error.message}`);
      return undefined;
    }
  }

  #deny(key: string): void {
    this.#denied.add(key);
    keepFew(this.#denied, MOST_DENIED);
  }

  /** Has something take the place of a call. */
  #occupy(fn: (free: () => void) => Promise<void>): void {
    const free = this.#places.take();
    fn(free).catch((error) => {
      this.#complaints.add(`a call was left: ${error}`);
    }).finally(() => {
      free();
      if (this.#stopping && this.#here.size === 0) this.#idle?.();
    });
  }

  #enter(number: number, job: Job, stage: Stage): Run {
    const unknown = { key: undefined, stopper: undefined };
    const run: Run = { number, job, stage, ...unknown };
    this.#here.add(run);
    return run;
  }

  #know(run: Run, key: string): void {
    run.key = key;
    this.#runs.set(key, run);
  }

  /** See the table above. */
  #move(run: Run, stage: Stage): void {
    run.stage = stage;
    if (stage !== "over") return;
    this.#here.delete(run);
    if (run.key !== undefined) this.#runs.delete(run.key);
  }

  async #run(job: Job, link: WorkerLink, free: () => void): Promise<void> {
    const run = this.#enter(++this.#count, job, "arriving");
    let call: WireCall | RefusedCall | undefined;
    try {
      call = this.#read(await job.bytes(), job.from);
    } catch (error) {
      this.#complaints.add(`a message can't be read: ${error}`);
    }
    const key = call && keyOf("head" in call ? call.head : call);
    const same = key === undefined ? undefined : this.#runs.get(key);
    if (same?.job.message === job.message) {
      // The server has sent what is here already once more: this is the message to answer.
      same.job = job;
      return this.#move(run, "over");
    }
    if (!call || same) {
      job.done();
      return this.#move(run, "over");
    }
    this.#know(run, key!);
    await this.#answer(call, run, link, free);
  }

  /** Sees to a call until its message is answered for. */
  async #answer(
    call: WireCall | RefusedCall,
    run: Run,
    link: WorkerLink,
    free: () => void,
  ): Promise<void> {
    try {
      const told = await this.#tell(call, run, link);
      if (!told) return;
      this.#move(run, "telling");
      const { from } = "head" in call ? call.head : call;
      const sent = link.send(from, told.bytes);
      // The next call need not wait for this one's outcome to be stored.
      free();
      await sent;
      if (told.again) run.job.giveBack();
      else run.job.done();
    } finally {
      this.#move(run, "over");
    }
  }

  /** What the submitter of a call is to hear; nothing, where it did not start. */
  async #tell(
    call: WireCall | RefusedCall,
    run: Run,
    link: WorkerLink,
  ): Promise<Told | undefined> {
    const { label: name } = this.#options;
    if (!("head" in call)) {
      return this.#message(call.id, run, "refused", `${name} ${call.why}`);
    }
    const { head, body } = call;
    if (head.stoppable) run.stopper = new AbortController();
    const fn = resolve(head.fn, this.#options);
    if (typeof fn === "string") {
      return this.#message(head.id, run, "refused", fn);
    }
    if (run.stage !== "running") {
      this.#move(run, "asking");
      if (!await this.#mayStart(head, run, link)) return undefined;
      this.#move(run, "running");
    }
    return await this.#call(head, run, fn, body);
  }

  #message(
    id: string,
    run: Run,
    is: ResultHead["is"],
    message: string,
  ): Told {
    const head: ResultHead = {
      v: PROTOCOL,
      id,
      worker: this.#id,
      run: run.number,
      of: run.job.message,
      is,
      message,
    };
    return { bytes: toBytes(head), again: is === "lost" };
  }

  /** Asks the submitter. Whatever it answers, the job is answered for unless it may start. */
  async #mayStart(
    { from, id, lease }: CallHead,
    run: Run,
    link: WorkerLink,
  ): Promise<boolean> {
    let isUnsure = false;
    let malformed = 0;
    while (true) {
      const { message, delivery } = run.job;
      const claim: Claim = {
        v: PROTOCOL,
        id,
        message,
        delivery,
        worker: this.#id,
        label: this.#options.label,
        run: run.number,
        slots: this.#options.slots,
      };
      let answer: Answer | undefined;
      try {
        answer = await link.claim(from, claim);
      } catch (error) {
        isUnsure = true;
        if (link !== this.#link || this.#relinking || link.isClosed) {
          return false;
        }
        if (error instanceof Malformed && ++malformed >= MOST_MALFORMED) {
          this.#complaints.add(
            `a call was dropped, whose submitter gives no answer that is one: ${error.message}`,
          );
          run.job.done();
          return false;
        }
        if (this.#stopping) {
          run.job.giveBack();
          return false;
        }
        // It is busy, or this side was away: the same question again does no harm.
        await this.#pause(RETRY);
        continue;
      }
      if (answer !== undefined) this.#absent.isBack(from);
      if (answer === "go") return true;
      if (answer === "no") run.job.done();
      else if (answer === "later") run.job.giveBack(LATER);
      else if (this.#absent.isGone(from, Math.min(lease, link.lease))) {
        run.job.done();
      } else if (isUnsure && !this.#stopping) {
        // "go" may have been the answer that did not come.
        await this.#pause(ABSENT);
        continue;
      } else run.job.giveBack(ABSENT);
      return false;
    }
  }

  async #call(
    { id, timeLimit }: CallHead,
    run: Run,
    fn: FunctionRef,
    body: Body,
  ): Promise<Told | undefined> {
    const { stopper } = run;
    let outcome: Outcome;
    try {
      outcome = await this.#children.run(
        fn,
        body,
        stopper || timeLimit !== undefined
          ? {
            signals: stopper ? [stopper.signal] : [],
            timeLimit,
            transfer: [],
          }
          : undefined,
      );
    } catch (error) {
      if (stopper?.signal.aborted) {
        // Its submitter has said so, and wants to hear no more.
        run.job.done();
        return undefined;
      }
      if (error instanceof TimeoutError) {
        return this.#message(id, run, "stopped", error.message);
      }
      if (!(error instanceof BrokenExecutor)) {
        return this.#message(id, run, "refused", whyOf(error));
      }
      const how = error.message.replace(/ while it ran [^]*$/, "");
      const { label } = this.#options;
      return this.#message(id, run, "lost", `${label}: ${how}`);
    }
    const done: ResultHead = {
      v: PROTOCOL,
      id,
      worker: this.#id,
      run: run.number,
      of: run.job.message,
      is: "outcome",
    };
    try {
      const packed = this.#codec.encode(outcome, 1);
      return { bytes: toBytes(done, packed), again: false };
    } catch (error) {
      // Threads give what stays in this process, such as shared memory.
      return this.#message(id, run, "refused", `its result: ${whyOf(error)}`);
    }
  }
}
