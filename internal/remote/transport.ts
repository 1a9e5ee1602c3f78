/**
 * The seam between executors that run calls on other machines and the message
 * server that carries them: types alone. The server carries, stores and
 * delivers again; who may run what is decided where the futures are.
 *
 * To serve another kind of server is to write these two links over it.
 */

import type { Answer, Claim, Presence, RunRef, Stop } from "./envelope.ts";

/** What a link tells its owner of the connection. */
export interface LinkState {
  /** The server can't be reached; the link goes on trying. */
  onAway(): void;
  /**
   * It can be reached again, and has kept what it was given; a submitter has been
   * handed the results that came meanwhile.
   */
  onBack(): void;
  /** It can't carry any more, for good: refused, or what it kept is gone. */
  onLost(why: string, cause?: unknown): void;
  /** A message that came was none of its kind, and was passed over. */
  onRefused(why: string): void;
}

/** What a submitter's link tells it. */
export interface SubmitterEvents extends LinkState {
  /** A worker asks whether it may start a call. */
  onClaim(claim: Claim): Answer | Promise<Answer>;
  /** A worker says that it is there. */
  onWorker(presence: Presence): void;
  /** A message of a worker about a call. */
  onResult(bytes: Uint8Array): void;
}

/** A submitter's connection. */
export interface SubmitterLink {
  /** What workers know the submitter by. */
  readonly id: string;
  /** How long a worker may be silent before its calls go to others, in milliseconds. */
  readonly lease: number;
  /** What the last attempt to reach a server that is away came to. */
  readonly trouble?: unknown;
  /**
   * Hands a call over; resolves when it is stored, to the number of its message.
   * `key` makes it the same message when it is published again.
   *
   * @throws what keeps this one from being stored, and no other.
   */
  publish(key: string, bytes: Uint8Array): Promise<number>;
  /**
   * Hands a call to a worker, past the queue, which may start it; `false` where it
   * does not take it, and never will. Rejects where that is not known.
   */
  hand(worker: string, bytes: Uint8Array): Promise<boolean>;
  /**
   * The calls among these whose runs a worker has. Rejects where it gives no
   * answer, or is not there.
   */
  ask(worker: string, runs: readonly RunRef[]): Promise<ReadonlySet<string>>;
  /** Has a worker end a call; resolves when it has heard, or is not there. */
  stop(worker: string, stop: Stop): Promise<void>;
  /** Asks all workers whether they are there: `onWorker` hears of each. */
  seek(): void;
  /** Whether there is any worker. */
  isAttended(): Promise<boolean>;
  /** Whether the server has no call of this submitter that it will still deliver. */
  isEmpty(): Promise<boolean>;
  /** Resolves when all results that are there now have been handed to `onResult`. */
  drained(): Promise<void>;
  /** Takes messages back that nobody has taken. */
  discard(messages: readonly number[]): Promise<void>;
  /** Ends the connection, whatever the server does; resolves when nothing is left. */
  close(): Promise<void>;
}

/** A call that a worker was handed. */
export interface Job {
  /** Who has sent it, where the server tells. */
  readonly from?: string;
  readonly message: number;
  readonly delivery: number;
  /** Resolves to all of it, wherever it is kept. */
  bytes(): Promise<Uint8Array>;
  /** Says that it is being worked on. */
  extend(): void;
  /** It is answered for, and needs to be delivered to nobody. */
  done(): void;
  /** Somebody else may have it, after so many milliseconds. */
  giveBack(ms?: number): void;
}

/** What a worker's link tells it. */
export interface WorkerEvents extends LinkState {
  /** How many calls it runs at once. */
  readonly slots: number;
  onJob(job: Job): void;
  /** A submitter hands over a call, which may start; `false` if it can't now. */
  onHanded(bytes: Uint8Array): boolean;
  /** A submitter asks for the calls among these whose runs are here. */
  onAsked(from: string, runs: readonly RunRef[]): readonly string[];
  /** A submitter wants a call no more. */
  onStop(from: string, stop: Stop): void;
}

/** A worker's connection. */
export interface WorkerLink {
  readonly isClosed: boolean;
  /** How long a submitter may be away before it is gone, in milliseconds. */
  readonly lease: number;
  /** Asks for so many jobs more. */
  want(count: number): void;
  /**
   * Asks a submitter whether a call may start. `undefined`: there is no such
   * submitter. Rejects where it gives no answer in time.
   */
  claim(from: string, claim: Claim): Promise<Answer | undefined>;
  /** Sends a submitter a message; resolves when it is stored, however long that takes. */
  send(from: string, bytes: Uint8Array): Promise<void>;
  /** Takes no more jobs; resolves when none can come any more. */
  rest(): Promise<void>;
  close(): Promise<void>;
}

/** A kind of message server. */
export interface Transport {
  /**
   * @throws where the server can't be reached, or refuses.
   */
  submitter(events: SubmitterEvents): Promise<SubmitterLink>;
  worker(id: string, events: WorkerEvents): Promise<WorkerLink>;
}
