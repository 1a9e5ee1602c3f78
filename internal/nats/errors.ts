/** What goes wrong between a server and a client, and what that means. */

import { BrokenExecutor } from "../../errors.ts";
import { redacted } from "./redacted.ts";
import type { Server } from "./servers.ts";

/** The connection broke while something was under way. */
export class Interrupted extends Error {
  override name = "Interrupted";
}

/** There was no answer in time. */
export class NoAnswer extends Error {
  override name = "NoAnswer";
}

/** Nobody listens to what was asked. */
export class NobodyThere extends Error {
  override name = "NobodyThere";
}

/** The server wants this client not at all, or the client not this server. */
export class Refused extends Error {
  override name = "Refused";
}

/** The account may not do this. */
export class Denied extends Error {
  override name = "Denied";
}

/** What JetStream says of a request that it does not fulfil. */
export class ApiError extends Error {
  override name = "ApiError";
  /** The number that the server has for it. */
  readonly code: number;

  constructor(message: string, code: number) {
    super(message);
    this.code = code;
  }
}

const STREAM_NOT_FOUND = 10059;
const CONSUMER_NOT_FOUND = 10014;

/** The number that the server has for an error. */
export function codeOf(error: unknown): number | undefined {
  return error instanceof ApiError ? error.code : undefined;
}

/** Whether something may succeed when it is tried again. */
export function isTransient(error: unknown): boolean {
  return error instanceof Interrupted || error instanceof NoAnswer ||
    error instanceof NobodyThere;
}

/** Whether the server says that something is not there. */
export function isNotFound(error: unknown): boolean {
  const code = codeOf(error);
  return code === STREAM_NOT_FOUND || code === CONSUMER_NOT_FOUND;
}

/** The error for somebody who wants something of servers, and why it is not to be had. */
export function cannot(
  what: string,
  servers: readonly Server[],
  cause: unknown,
): BrokenExecutor {
  const denied = servers.map(({ address }) => address).find((host) =>
    Deno.permissions.querySync({ name: "net", host }).state !== "granted"
  );
  // Where the runtime has another word for it, or none.
  const why = denied !== undefined
    ? `Requires net access to "${denied}", run again with --allow-net=${denied}`
    : cause instanceof Error
    ? cause.message
    : String(cause);
  return new BrokenExecutor(`Cannot ${what}: ${redacted(why)}`, { cause });
}

/** Whether an error says that nobody listens to what was asked. */
export function isNobodyThere(error: unknown): boolean {
  return error instanceof NobodyThere;
}
