/** NATS JetStream as a `Transport`. What a queue is there: `nats_connection.ts`. */

import type { QueueOptions } from "./nats_connection.ts";
import { NatsSubmitter } from "./nats_submitter.ts";
import { NatsWorker } from "./nats_worker.ts";
import type {
  SubmitterEvents,
  SubmitterLink,
  Transport,
  WorkerEvents,
  WorkerLink,
} from "./transport.ts";

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
}
