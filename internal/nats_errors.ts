/** What goes wrong between a server and a client, and what that means. */

import { JetStreamApiCodes, JetStreamApiError } from "@nats-io/jetstream";
import { errors, NoRespondersError } from "@nats-io/nats-core/internal";
import { BrokenExecutor } from "../errors.ts";
import { addressOf } from "./queue_options.ts";

/** The number that the server has for an error. */
export function codeOf(error: unknown): number | undefined {
  return error instanceof JetStreamApiError ? error.code : undefined;
}

/** The connection broke while something was under way. */
export class Interrupted extends Error {}

/** Whether something may succeed when it is tried again. */
export function isTransient(error: unknown): boolean {
  return error instanceof Interrupted ||
    error instanceof errors.TimeoutError ||
    error instanceof errors.RequestError ||
    error instanceof errors.NoRespondersError ||
    error instanceof errors.ConnectionError ||
    (error as Error)?.name === "JetStreamNotEnabled";
}

/** Whether the server says that something is not there. */
export function isNotFound(error: unknown): boolean {
  const code = codeOf(error);
  return code === JetStreamApiCodes.StreamNotFound ||
    code === JetStreamApiCodes.ConsumerNotFound;
}

/** The error for somebody who wants something of servers, and why it is not to be had. */
export function cannot(
  what: string,
  servers: readonly string[],
  cause: unknown,
): BrokenExecutor {
  const denied = servers.map(addressOf).find((host) =>
    Deno.permissions.querySync({ name: "net", host }).state !== "granted"
  );
  // Where the runtime has another word for it, or none.
  const why = denied !== undefined
    ? `Requires net access to "${denied}", run again with --allow-net=${denied}`
    : cause instanceof Error
    ? cause.message
    : String(cause);
  const hint = /jetstream is not enabled/i.test(why)
    ? ": start nats-server with -js"
    : "";
  return new BrokenExecutor(`Cannot ${what}: ${why}${hint}`, { cause });
}

/** Whether an error says that nobody listens to what was asked. */
export function isNobodyThere(error: unknown): boolean {
  return error instanceof NoRespondersError;
}
