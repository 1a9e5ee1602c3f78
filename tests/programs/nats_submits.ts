/** Submits calls that wait at a gate, and waits for them. */

import { NatsExecutor } from "../../nats.ts";
import { wait } from "../../wait.ts";
import { held } from "../modules/drill_tasks.ts";

const [servers, queue, log, port, count] = Deno.args;
const executor = new NatsExecutor({ servers, queue, lease: 1000 });
await wait(
  Array.from(
    { length: Number(count) },
    (_, id) => executor.submit(held, log, Number(port), id),
  ),
);
