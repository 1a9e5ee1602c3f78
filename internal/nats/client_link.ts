/**
 * The client's end of one connection: what is said, and when it is written.
 *
 * There is something to write after each promise that leads to a message. What a
 * write costs, here and where it wakes somebody, is most of what a short call
 * costs. So all that one turn of the event loop has to say is written at once.
 */

import { nextTick } from "node:process";
import { together } from "../base/bytes.ts";
import { soon, startTimer } from "../base/timers.ts";
import type { Server } from "./servers.ts";
import type { ServerInfo, Wire } from "./wire.ts";

/** What is larger is not copied for the sake of a write less, in bytes. */
const LARGE = 65_536;
/** How long what is being written may take once the connection is closed, in milliseconds. */
const SETTLE = 500;

/** A wire, with a server that has let a client in at the other end. */
export class Link {
  readonly wire: Wire;
  readonly server: Server;
  info: ServerInfo;
  /** What is to be written at the end of this turn, or after what is being written. */
  unwritten: Uint8Array[] = [];
  #writing: Promise<void> | undefined;
  /** Who waits for an answer to a PING. */
  readonly pongs: PromiseWithResolvers<void>[] = [];
  /** How often the server was asked since it last said anything. */
  unanswered = 0;
  /** The last thing that the server complained about. */
  complaint: string | undefined;
  isOpen = true;

  constructor(wire: Wire, server: Server, info: ServerInfo) {
    this.wire = wire;
    this.server = server;
    this.info = info;
  }

  send(...frames: readonly Uint8Array[]): void {
    if (!this.isOpen) return;
    // The tick that is next in a microtask is after all that promises lead to.
    if (this.unwritten.length === 0) {
      soon(() => nextTick(() => this.#write()));
    }
    this.unwritten.push(...frames);
  }

  /** Writes all, if it can: whoever reads hears of it if not. */
  #write(): void {
    if (this.unwritten.length === 0) return;
    this.#writing ??= this.#writeAll().catch(() => this.wire.close()).then(
      () => {
        this.#writing = undefined;
        // What was said after the last look for more.
        this.#write();
      },
    );
  }

  async #writeAll(): Promise<void> {
    while (this.unwritten.length > 0) {
      for (const bytes of together(this.unwritten.splice(0), LARGE)) {
        for (let done = 0; done < bytes.length;) {
          done += await this.wire.write(bytes.subarray(done));
        }
      }
    }
  }

  /** Resolves when nothing is written any more, or that takes too long. */
  async settled(): Promise<void> {
    this.#write();
    const { promise, resolve } = Promise.withResolvers<void>();
    const stop = startTimer(SETTLE, resolve);
    const wait = async () => {
      while (this.#writing) await this.#writing;
    };
    await Promise.race([promise, wait()]);
    stop();
  }

  /** Ends it at once. */
  end(why: unknown): void {
    this.isOpen = false;
    this.unwritten = [];
    this.wire.close();
    for (const { reject } of this.pongs.splice(0)) reject(why);
  }
}
