/** This library: `NatsExecutor`, whose workers run calls in processes. */

import { runNats } from "../lib/nats.ts";

await runNats("NatsExecutor", "library");
