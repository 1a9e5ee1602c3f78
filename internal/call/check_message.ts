/**
 * What a worker says is data: tasks run in it, and may have replaced whatever it
 * says things with. So what arrives is checked before anybody acts on it. Whether
 * it is about a call that the worker has is `PoolWorker`'s business.
 */

import type { FromWorker } from "./protocol.ts";
import { isThrown } from "./revive_error.ts";

/** What is said of a worker that sent something else. */
export const GARBLED = "sent what could not be read";

type Fields = Readonly<Record<string, unknown>>;

/** Whether a message is one that a worker may send. */
export function isFromWorker(message: unknown): message is FromWorker {
  if (!isObject(message)) return false;
  // Most are outcomes, which have all their parts. Of what others leave out,
  // nothing is to be read that a program gave to all objects.
  if (message.type !== "outcome") Reflect.setPrototypeOf(message, null);
  switch (message.type) {
    case "look":
      return true;
    case "outcome":
      return isCount(message.slot) && typeof message.ms === "number" &&
        (message.item === undefined || isCount(message.item)) &&
        isOutcome(message.outcome);
    case "initializer failed":
      return isOutcome(message.outcome);
    case "ready":
      return message.failures === undefined ||
        isListOf(message.failures, isThrown);
    case "skipped":
      return isListOf(message.slots, isCount);
    case "returned":
      return isListOf(message.slots, isCount) &&
        (message.chunks === undefined || isListOf(message.chunks, isCut));
    case "started":
    case "listens":
      return isCount(message.slot) && Number.isInteger(message.call);
    case "aborting":
      return isCount(message.slot) && Number.isInteger(message.call) &&
        typeof message.listens === "boolean";
    case "printed":
      return message.bytes instanceof Uint8Array &&
        typeof message.toStderr === "boolean";
    case "died":
      return typeof message.how === "string" &&
        (message.error === undefined || isThrown(message.error));
    default:
      return false;
  }
}

function isOutcome(outcome: unknown): boolean {
  if (!isObject(outcome)) return false;
  switch (outcome.is) {
    case "returned":
      return true;
    case "threw":
      return isThrown(outcome.what);
    case "unguarded":
      return typeof outcome.message === "string";
    case "raised":
      // Made here, of what could not be read.
      return outcome.error instanceof DOMException;
    default:
      return false;
  }
}

/** How much of a chunk has started: its slot, and the number of items. */
function isCut(pair: unknown): boolean {
  return Array.isArray(pair) && pair.length === 2 && isListOf(pair, isCount);
}

function isListOf(
  list: unknown,
  is: (item: unknown) => boolean,
): boolean {
  if (!Array.isArray(list)) return false;
  // By its indices: it may have an `every` of its own.
  for (let i = 0; i < list.length; i++) if (!is(list[i])) return false;
  return true;
}

function isCount(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0;
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null;
}
