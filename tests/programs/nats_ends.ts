/** Prints what came of a call, and shuts nothing down. */

import { NatsExecutor } from "../../nats.ts";
import { adds } from "../modules/drill_tasks.ts";

const [servers, queue] = Deno.args;
const executor = new NatsExecutor({ servers, queue });
console.log(await executor.submit(adds, 1, 2).result());
