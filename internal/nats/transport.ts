/** NATS JetStream as a `Transport`. What a queue is there: `nats/connection.ts`. */

import type {
  SubmitterEvents,
  SubmitterLink,
  Transport,
  WorkerEvents,
  WorkerLink,
} from "../remote/transport.ts";
import { Connection, type QueueOptions } from "./connection.ts";
import { NatsSubmitter } from "./submitter_link.ts";
import { NatsWorker } from "./worker_link.ts";

/** A NATS server, or several that are one. */
export class NatsTransport implements Transport {
  readonly #options: QueueOptions;

  constructor(options: QueueOptions) {
    this.#options = options;
  }

  async submitter(events: SubmitterEvents): Promise<SubmitterLink> {
    const link = new NatsSubmitter(events);
    await link.open(this.#options);
    return link;
  }

  async worker(id: string, events: WorkerEvents): Promise<WorkerLink> {
    const link = new NatsWorker(id, events);
    await link.open(this.#options);
    return link;
  }
  /**
   * Makes the queue, or finds that it is there.
   *
   * @throws where it can't be made.
   */
  async makeQueue(): Promise<void> {
    const nothing = () => {};
    const connection = await Connection.open(this.#options, {
      ...{ role: "maker", name: "maker of a queue" },
      ...{ onAway: nothing, onBack: nothing, onLost: nothing },
      ...{ onRefused: nothing, onFound: nothing },
    });
    await connection.close();
  }
}
