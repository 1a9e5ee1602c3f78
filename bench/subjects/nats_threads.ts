/** This library: `NatsExecutor`, whose workers run calls in threads. */

import { runNats } from "../lib/nats.ts";

await runNats("NatsExecutor, --threads", "peer", "--threads");
