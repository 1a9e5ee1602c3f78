/** How messages of a NATS stream are asked for, and what they say of themselves. */

import {
  createInbox,
  type Msg,
  type Subscription,
} from "@nats-io/nats-core/internal";
import { type Connection, RECONNECT_WAIT } from "./nats_connection.ts";

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

/** Reads the subject to answer a message on, of old servers and new ones. */
export function deliveryOf(reply: string): Delivery {
  const tokens = reply.split(".");
  const at = tokens.length === 9 ? 4 : 6;
  const [delivery, message, number] = tokens.slice(at, at + 3).map(Number);
  return { delivery, message, number };
}

/** Asks for the messages of a consumer, no more than are wanted. */
export class Puller {
  readonly #connection: Connection;
  readonly #inbox = createInbox();
  readonly #subject: string;
  readonly #subscription: Subscription;
  readonly #onMessage: (msg: Msg) => void;
  /** How many messages were asked for and are still to come. */
  #asked = 0;
  #heard = performance.now();
  readonly #watch: ReturnType<typeof setInterval>;

  constructor(
    connection: Connection,
    stream: string,
    consumer: string,
    onMessage: (msg: Msg) => void,
  ) {
    this.#connection = connection;
    this.#onMessage = onMessage;
    this.#subject = `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`;
    this.#subscription = connection.nc.subscribe(this.#inbox, {
      callback: (error, msg) => {
        if (!error) this.#onArrival(msg);
      },
    });
    // A request that the server forgot without a word is made again.
    this.#watch = setInterval(() => {
      if (performance.now() - this.#heard > STANDS * 1.5) this.renew();
    }, STANDS / 2);
  }

  ask(count: number): void {
    this.#asked += count;
    this.#request(count);
  }

  /** Asks again for all that did not come. */
  renew(): void {
    this.#heard = performance.now();
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
    this.#heard = performance.now();
    const { headers } = msg;
    if (!headers || headers.code === 0) {
      this.#asked = Math.max(0, this.#asked - 1);
      return this.#onMessage(msg);
    }
    if (headers.code < 400) return;
    if (headers.code === 408) {
      const left = headers.get("Nats-Pending-Messages");
      this.#request(left === "" ? this.#asked : Number(left));
      return;
    }
    // The consumer may be gone, or only the server's answer late.
    const { code } = headers;
    const again = async () => {
      if (code === 503 || code === 409) {
        await this.#connection.pause(RECONNECT_WAIT);
        await this.#connection.check().catch(() => {});
      }
      if (!this.#connection.isClosing && !this.#connection.isAway) this.renew();
    };
    again();
  }

  /** Asks no more; resolves when nothing can come any more. */
  async drain(): Promise<void> {
    clearInterval(this.#watch);
    if (!this.#connection.nc.isClosed()) await this.#subscription.drain();
  }

  stop(): void {
    clearInterval(this.#watch);
    if (!this.#subscription.isClosed()) this.#subscription.unsubscribe();
  }
}
