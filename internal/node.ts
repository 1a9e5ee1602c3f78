/**
 * A worker of executors on other machines: takes calls from a message server,
 * and runs them in children of its own.
 *
 * ## What becomes of a call that comes
 *
 * 1. From now on the server is told, every so often, that the call is worked on,
 *    by the main thread, which no task blocks.
 * 2. What may not run here is refused, before anybody is asked.
 * 3. Its submitter is asked, by a claim. "no": dropped. "later": given back.
 *    No such submitter: given back for a while, since it may be about to
 *    reconnect; once it was away for a lease, its calls are dropped as they
 *    come. But where an answer was lost, which may have been "go", it is asked
 *    for again.
 * 4. It runs in a child. The outcome is stored, and only then is the call
 *    answered for: in between, at worst it is delivered and refused once more.
 * 5. A child that dies is told to the submitter at once, and the call is given
 *    back, for another attempt, if there is to be one.
 *
 * A call that a submitter hands over comes with its "go", if there is room for it.
 *
 * A child that dies takes along the call that it ran, and no other. Short calls
 * that came together go to one child together: to wake one costs more than they
 * do. Each could have a child of its own, and gets it when another turns out long.
 */

import { BrokenExecutor } from "../errors.ts";
import type { Future } from "../future.ts";
import { thrownBy } from "./call.ts";
import { type Codec, makeCodec, type Packed } from "./codec.ts";
import {
  type CallHead,
  type Claim,
  fromBytes,
  HANDED,
  PROTOCOL,
  type ResultHead,
  toBytes,
} from "./envelope.ts";
import type { LinkEvents, PoolKind } from "./link.ts";
import { Pool } from "./pool.ts";
import type { FunctionRef, Outcome } from "./protocol.ts";
import { startTimer } from "./timer.ts";
import type { Job, Transport, WorkerLink } from "./transport.ts";
import { label, standIn, taskModules } from "./travel.ts";

/** What a worker is made of. */
export interface NodeOptions {
  readonly transport: Transport;
  /** How its children, or threads, start. */
  readonly kind: PoolKind;
  /** Whether arguments reach them as they came: children read them themselves. */
  readonly packed: boolean;
  /** How many calls it runs at once. */
  readonly slots: number;
  /** The modules whose functions may be called, by their names. */
  readonly modules: ReadonlyMap<string, string>;
  /** Whether functions may come as their source. */
  readonly allowSource: boolean;
  /** What to call it in messages to people. */
  readonly label: string;
  /** Tells people what happens. */
  readonly log: (text: string) => void;
}

/** How often a call that is worked on is said to be, in milliseconds. */
const BEAT = 300;
/** How soon another look is taken for a submitter that is away. */
const ABSENT = 300;
/** How soon is asked again for a call that somebody else has. */
const LATER = 1000;
/** How often a lost queue is looked for. */
const AGAIN = 500;
/** How many functions are kept. */
const MOST_FUNCTIONS = 500;
/** How many calls are kept that a submitter was told are not here. */
const MOST_DENIED = 1000;
/** How many submitters are kept that were not there. */
const MOST_ABSENT = 1000;
/** How long one that is to end waits for a server that is away. */
const PATIENCE = 5000;

/** A call that is here: it starts once, or not at all. */
interface Run {
  readonly number: number;
  job: Job;
  /** Whether it may start, as its submitter has said. */
  granted: boolean;
}

/** A call as it came. */
interface CallMessage {
  readonly head: CallHead;
  readonly body: Packed;
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

function keyOf({ from, id }: CallHead): string {
  return `${from} ${id}`;
}

/** Lets go of the oldest, where there are more. */
function keepFew(
  all: Pick<Set<string>, "size" | "keys" | "delete">,
  most: number,
): void {
  if (all.size <= most) return;
  const [first] = all.keys();
  all.delete(first);
}

/** A worker. */
export class Node {
  readonly #options: NodeOptions;
  readonly #id = crypto.randomUUID().replaceAll("-", "");
  readonly #codec: Codec = makeCodec();
  #pool: Pool;
  readonly #brokenPools: Promise<void>[] = [];
  /** How many calls more it may run, and how many it has asked for. */
  #free: number;
  #asked = 0;
  /** The calls that are here, by submitter and id. */
  readonly #runs = new Map<string, Run>();
  #count = HANDED;
  /** Calls that are not here, as was said: they must not come after all. */
  readonly #denied = new Set<string>();
  /** Since when submitters are not there. */
  readonly #absent = new Map<string, number>();
  readonly #standIns = new Map<string, ReturnType<typeof standIn>>();
  #link!: WorkerLink;
  #beat: ReturnType<typeof setInterval> | undefined;
  #stopping = false;
  #stopped: Promise<void> | undefined;
  #away = false;
  #stopAwayTimer: (() => void) | undefined;
  #relinking: Promise<void> | undefined;
  #idle: (() => void) | undefined;
  readonly #pauses = new Set<() => void>();

  constructor(options: NodeOptions) {
    this.#options = options;
    for (const url of options.modules.values()) taskModules.add(url);
    this.#free = options.slots;
    this.#pool = new Pool(this.#rawKind());
  }

  /**
   * Imports the modules in a child, which is then warm.
   *
   * @throws what keeps one from being imported.
   */
  async tryModules(): Promise<void> {
    for (const module of this.#options.modules.values()) {
      // No module has this: the error tells what came of the import.
      const nothing = standIn({ by: "export", name: "", module });
      const probe = this.#pool.submit(nothing, "[]" as unknown as []);
      const error = thrownBy(await probe.result() as Outcome);
      if (error instanceof DOMException) continue;
      const why = error instanceof Error ? error.cause : error;
      throw new Error(
        `Cannot import ${module}: ${why instanceof Error ? why.message : why}`,
        { cause: why },
      );
    }
  }

  /**
   * Starts to take calls.
   *
   * @throws where the server can't be reached, or refuses.
   */
  async start(): Promise<void> {
    this.#link = await this.#connect();
    this.#beat = setInterval(() => {
      for (const { job } of this.#runs.values()) job.extend();
    }, BEAT);
    this.#want();
  }

  /** Takes no more calls, ends those that it has, and leaves nothing. May be called again. */
  stop(): Promise<void> {
    return this.#stopped ??= this.#stop();
  }

  async #stop(): Promise<void> {
    this.#stopping = true;
    for (const end of [...this.#pauses]) end();
    await this.#relinking;
    const link = this.#link;
    const resting = link?.rest();
    this.#limitAway();
    if (this.#runs.size > 0) {
      await new Promise<void>((resolve) => this.#idle = resolve);
    }
    this.#stopAwayTimer?.();
    await resting;
    clearInterval(this.#beat);
    await Promise.all([this.#pool.shutdown(), ...this.#brokenPools]);
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
    while (!this.#stopping) {
      try {
        this.#link = await this.#connect();
        this.#relinking = undefined;
        this.#asked = 0;
        this.#want();
        return this.#options.log("ready again");
      } catch (error) {
        this.#options.log(`${error}`);
        await this.#pause(AGAIN);
      }
    }
    this.#relinking = undefined;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        this.#pauses.delete(end);
        resolve();
      };
      const timer = setTimeout(end, ms);
      this.#pauses.add(end);
      if (this.#stopping) end();
    });
  }

  // ---- A call ------------------------------------------------------------------

  /** Asks for as many calls as it may run, and has not asked for. */
  #want(): void {
    const count = this.#free - this.#asked;
    // A link that is made anew asks for all that is free.
    if (count <= 0 || this.#relinking) return;
    this.#asked += count;
    this.#link.want(count);
  }

  #onJob(job: Job): void {
    this.#asked--;
    if (this.#stopping || this.#free === 0) return job.giveBack();
    this.#occupy((free) => this.#run(job, this.#link, free));
  }

  /** A call that came past the queue, and may start. */
  #onHanded(bytes: Uint8Array): boolean {
    if (this.#stopping || this.#free === 0) return false;
    let call: CallMessage;
    try {
      call = fromBytes<CallHead>(bytes);
    } catch (error) {
      this.#options.log(`what was handed over is no call: ${error}`);
      return false;
    }
    const key = keyOf(call.head);
    if (this.#denied.has(key) || this.#runs.has(key)) return false;
    const run: Run = { number: HANDED, job: HANDED_JOB, granted: true };
    this.#runs.set(key, run);
    this.#occupy((free) => this.#answer(call, run, this.#link, free));
    return true;
  }

  #deny(key: string): void {
    this.#denied.add(key);
    keepFew(this.#denied, MOST_DENIED);
  }

  /** Has something take the place of a call. */
  #occupy(fn: (free: () => void) => Promise<void>): void {
    this.#free--;
    let isHeld = true;
    const free = () => {
      if (!isHeld) return;
      isHeld = false;
      this.#free++;
      this.#want();
    };
    fn(free).catch((error) => {
      this.#options.log(`a call was left: ${error}`);
    }).finally(() => {
      free();
      if (this.#stopping && this.#runs.size === 0) this.#idle?.();
    });
  }

  async #run(job: Job, link: WorkerLink, free: () => void): Promise<void> {
    // Under a name of its own, until it is known which call it is.
    const nobody = Symbol() as unknown as string;
    const number = ++this.#count;
    this.#runs.set(nobody, { number, job, granted: false });
    let call: CallMessage;
    try {
      call = fromBytes<CallHead>(await job.bytes());
    } catch (error) {
      this.#options.log(`a message is no call: ${error}`);
      return job.done();
    } finally {
      this.#runs.delete(nobody);
    }
    const key = keyOf(call.head);
    const same = this.#runs.get(key);
    if (same) {
      // The server has sent what is here already once more: this is the message to answer.
      if (same.job.message === job.message) same.job = job;
      else job.done();
      return;
    }
    const run: Run = { number, job, granted: false };
    this.#runs.set(key, run);
    await this.#answer(call, run, link, free);
  }

  async #answer(
    { head, body }: CallMessage,
    run: Run,
    link: WorkerLink,
    free: () => void,
  ): Promise<void> {
    try {
      const fn = this.#resolve(head);
      const told = typeof fn === "string"
        ? this.#message(head, run, "refused", fn)
        : run.granted || await this.#mayStart(head, run, link)
        ? await this.#call(head, run, fn, body)
        : undefined;
      const sent = told && link.send(head.from, told.bytes);
      // The next call need not wait for this one's outcome to be stored.
      free();
      await sent;
      if (told?.again) run.job.giveBack();
      else if (told) run.job.done();
    } finally {
      this.#runs.delete(keyOf(head));
    }
  }

  #message(
    { id }: CallHead,
    run: Run,
    is: ResultHead["is"],
    message: string,
  ): { bytes: Uint8Array; again?: boolean } {
    const head: ResultHead = {
      v: PROTOCOL,
      id,
      worker: this.#id,
      run: run.number,
      is,
      message,
    };
    return { bytes: toBytes(head), again: is === "lost" };
  }

  /** The function of a call, as its child finds it; or why it may not run here. */
  #resolve({ v, fn }: CallHead): FunctionRef | string {
    const { modules, allowSource, label: name } = this.#options;
    if (v !== PROTOCOL) {
      return `${name} speaks version ${PROTOCOL} of the protocol, and was sent version ${v}: run the same version of @concurrent/futures on both sides`;
    }
    if (fn.by === "export") {
      const module = modules.get(fn.module);
      if (module !== undefined) return { ...fn, module };
      const names = [...modules.keys()].map((name) => `"${name}"`).join(", ");
      return `${name} has no module "${fn.module}", only ${
        names || "none"
      }: start it with --module ${fn.module}=<url>`;
    }
    if (allowSource) return fn;
    if (fn.by === "source") return { ...fn, exportedOnly: true };
    return `${name} runs functions of its modules only, and no built-ins: export a function that calls ${
      label(fn)
    }, or start the worker with --allow-source`;
  }

  /** Asks the submitter. Whatever it answers, the job is answered for unless it may start. */
  async #mayStart(
    { from, id, lease }: CallHead,
    run: Run,
    link: WorkerLink,
  ): Promise<boolean> {
    let isUnsure = false;
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
      };
      let answer;
      try {
        answer = await link.claim(from, claim);
      } catch {
        // It is busy, or this side was away: the same question again does no harm.
        isUnsure = true;
        if (link === this.#link && !this.#relinking && !link.isClosed) continue;
        return false;
      }
      if (answer !== undefined) this.#absent.delete(from);
      if (answer === "go") return run.granted = true;
      if (answer === "no") run.job.done();
      else if (answer === "later") run.job.giveBack(LATER);
      else if (this.#isGone(from, lease)) run.job.done();
      else if (isUnsure && !this.#stopping) {
        // "go" may have been the answer that did not come.
        await this.#pause(ABSENT);
        continue;
      } else run.job.giveBack(ABSENT);
      return false;
    }
  }

  /** Whether a submitter that is not there is gone, and not about to be back. */
  #isGone(from: string, lease: number): boolean {
    const now = performance.now();
    const since = this.#absent.get(from) ?? now;
    this.#absent.set(from, since);
    keepFew(this.#absent, MOST_ABSENT);
    return now - since >= lease;
  }

  async #call(
    head: CallHead,
    run: Run,
    fn: FunctionRef,
    args: unknown,
  ): Promise<{ bytes: Uint8Array; again?: boolean }> {
    let outcome: Outcome;
    try {
      const future = this.#submit(fn, args as readonly unknown[]);
      outcome = await future.result() as Outcome;
    } catch (error) {
      if (!(error instanceof BrokenExecutor)) throw error;
      return this.#message(
        head,
        run,
        "lost",
        `${this.#options.label}: ${
          error.message.replace(/ while it ran [^]*$/, "")
        }`,
      );
    }
    const done: ResultHead = {
      v: PROTOCOL,
      id: head.id,
      worker: this.#id,
      run: run.number,
      is: "outcome",
    };
    try {
      return { bytes: toBytes(done, this.#codec.encode(outcome, 1)) };
    } catch (error) {
      // Threads give what stays in this process, such as shared memory.
      return this.#message(head, run, "refused", `its result: ${error}`);
    }
  }

  #submit(fn: FunctionRef, args: readonly unknown[]): Future<unknown> {
    const standIn = this.#standInOf(fn);
    try {
      return this.#pool.submit(standIn, args);
    } catch (error) {
      if (!(error instanceof BrokenExecutor)) throw error;
      // Child after child has died before it ran a call: those to come may live.
      this.#brokenPools.push(this.#pool.shutdown());
      this.#pool = new Pool(this.#rawKind());
      return this.#pool.submit(standIn, args);
    }
  }

  /** The same for all calls of a function: what is learned of one is of use to the next. */
  #standInOf(fn: FunctionRef): ReturnType<typeof standIn> {
    const key = fn.by === "export"
      ? `export ${fn.module} ${fn.name}`
      : `${fn.by} ${fn.name} ${fn.source}`;
    let found = this.#standIns.get(key);
    if (!found) {
      if (this.#standIns.size >= MOST_FUNCTIONS) this.#standIns.clear();
      this.#standIns.set(key, found = standIn(fn));
    }
    return found;
  }

  /** The kind of the children, with arguments as they came, and outcomes as they are sent. */
  #rawKind(): PoolKind {
    const { kind, packed, slots } = this.#options;
    return {
      ...kind,
      maxWorkers: slots,
      idleTimeout: Infinity,
      onWorkerLost: "replace",
      together: true,
      pack: (_fn, args) =>
        packed ? args : this.#codec.decode(args as unknown as Packed),
      open: (index, depth, events) => {
        const raw: LinkEvents = {
          ...events,
          onOutcome: (slot, ms, outcome, more) =>
            events.onOutcome(
              slot,
              ms,
              { is: "returned", value: outcome },
              more,
            ),
        };
        return kind.open(index, depth, raw);
      },
    };
  }
}
