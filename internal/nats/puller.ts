/** How messages of a NATS stream are asked for, and what they say of themselves. */

import { ownClock, soon } from "../base/timers.ts";
import { Malformed } from "../remote/check_messages.ts";
import type { Subscription } from "./client.ts";
import { type Connection, RECONNECT_WAIT } from "./connection.ts";
import { headerOf, statusOf } from "./messages.ts";
import type { Msg } from "./protocol.ts";

/** How long a request for messages stands, in milliseconds. */
const STANDS = 20_000;

/** What a message of a stream says of itself. */
export interface Delivery {
  /** The message's number in its stream. */
  readonly message: number;
  /** How often it was delivered. */
  readonly delivery: number;
  /** The number among the consumer's deliveries. */
  readonly number: number;
}

/**
 * Reads the subject to answer a message on, of old servers and new ones.
 *
 * @returns `undefined` where it is none of the consumer's.
 */
export function deliveryOf(
  reply: string | undefined,
  stream: string,
  consumer: string,
): Delivery | undefined {
  const tokens = reply?.split(".") ?? [];
  if (tokens[0] !== "$JS" || tokens[1] !== "ACK") return undefined;
  // Old servers name neither domain nor account.
  const at = tokens.length === 9 ? 2 : 4;
  if (tokens[at] !== stream || tokens[at + 1] !== consumer) return undefined;
  const [delivery, message, number] = tokens.slice(at + 2, at + 5).map(
    (token) => /^\d{1,15}$/.test(token) ? Number(token) : NaN,
  );
  // The sum of numbers is one.
  if (!Number.isFinite(delivery + message + number)) return undefined;
  return { delivery, message, number };
}

/** Asks for the messages of a consumer, no more than are wanted. */
export class Puller {
  readonly #connection: Connection;
  readonly #inbox: string;
  readonly #subject: string;
  readonly #subscription: Subscription;
  readonly #deliveryOf: (msg: Msg) => Delivery | undefined;
  readonly #onMessage: (msg: Msg, delivery: Delivery) => void;
  /** How many messages are wanted and are still to come. */
  #asked = 0;
  /** How many of these are to be asked for again, since their request has ended. */
  #lapsed = 0;
  #isAsking = false;
  #isRecovering = false;
  #heard = ownClock.now();
  readonly #watch: ReturnType<typeof setInterval>;

  constructor(
    connection: Connection,
    stream: string,
    consumer: string,
    onMessage: (msg: Msg, delivery: Delivery) => void,
  ) {
    this.#connection = connection;
    this.#inbox = connection.nc.inbox();
    this.#onMessage = onMessage;
    this.#subject = `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`;
    this.#deliveryOf = ({ reply }) => deliveryOf(reply, stream, consumer);
    this.#subscription = connection.messages.listen(
      this.#inbox,
      (msg) => this.#onArrival(msg),
    );
    // A request that the server forgot without a word is made again.
    this.#watch = setInterval(() => {
      if (ownClock.now() - this.#heard > STANDS * 1.5) this.renew();
    }, STANDS / 2);
  }

  ask(count: number): void {
    this.#asked += count;
    this.#request(count);
  }

  /** Asks again for all that did not come. */
  renew(): void {
    this.#heard = ownClock.now();
    if (this.#asked > 0) this.#request(this.#asked);
  }

  #request(batch: number): void {
    this.#connection.messages.publish(
      this.#subject,
      `{"batch":${batch},"expires":${STANDS}000000}`,
      { reply: this.#inbox },
    );
  }

  #onArrival(msg: Msg): void {
    this.#heard = ownClock.now();
    // The server delivers under the subject that a message was stored by. What
    // comes under that of the inbox is a word of the server's; or, with no status
    // that means something here, of somebody who has seen the inbox.
    if (msg.subject !== this.#inbox) {
      const delivery = this.#deliveryOf(msg);
      if (!delivery) throw new Malformed("it was delivered by no such stream");
      this.#asked = Math.max(0, this.#asked - 1);
      return this.#onMessage(msg, delivery);
    }
    const status = statusOf(msg);
    if (status < 400) return;
    if (status === 408) {
      const left = headerOf(msg, "Nats-Pending-Messages");
      const isCount = left !== undefined && /^\d{1,9}$/.test(left);
      this.#again(isCount ? Number(left) : Infinity);
      return;
    }
    // The consumer may be gone, or only the server's answer late.
    this.#recover(status === 503 || status === 409);
  }

  /** Asks for so many again; one request for all that is told in this turn. */
  #again(count: number): void {
    this.#lapsed = Math.min(this.#lapsed + count, this.#asked);
    if (this.#isAsking) return;
    this.#isAsking = true;
    soon(() => {
      this.#isAsking = false;
      const lapsed = this.#lapsed;
      this.#lapsed = 0;
      if (lapsed > 0) this.#request(lapsed);
    });
  }

  /** Asks anew after a while, once for all that is told meanwhile. */
  async #recover(mayBeGone: boolean): Promise<void> {
    if (this.#isRecovering) return;
    this.#isRecovering = true;
    await this.#connection.pause(RECONNECT_WAIT);
    if (mayBeGone) await this.#connection.check().catch(() => {});
    this.#isRecovering = false;
    if (!this.#connection.isClosing && !this.#connection.isAway) this.renew();
  }

  /** Asks no more; resolves when nothing can come any more. */
  async drain(): Promise<void> {
    clearInterval(this.#watch);
    if (!this.#connection.nc.isClosed()) await this.#subscription.drain();
  }

  stop(): void {
    clearInterval(this.#watch);
    this.#subscription.unsubscribe();
  }
}
