/** Whether an executor of `remote/submitter.ts` takes calls, and what it says if it does not. */

import { BrokenExecutor, RuntimeError } from "../../errors.ts";
import type { FunctionRef } from "../call/protocol.ts";
import { label } from "../functions/describe.ts";

/** The states, which only move forward. */
export type RemoteState =
  | { readonly is: "open" | "draining" | "closed" }
  | {
    readonly is: "broken";
    readonly message: string;
    readonly cause: ErrorOptions | undefined;
  };

/** The error of who submits a function to an executor that is not open. */
export function refusal(
  name: string,
  state: RemoteState,
  fn: FunctionRef,
): RuntimeError {
  return closedError(`Cannot submit ${label(fn)} to ${name}`, state)!;
}

/** The error of who wants something of an executor that is not open. */
export function closedError(
  cannot: string,
  state: RemoteState,
): RuntimeError | undefined {
  if (state.is === "open") return undefined;
  if (state.is === "broken") {
    return new BrokenExecutor(`${cannot}: ${state.message}`, state.cause);
  }
  return new RuntimeError(
    `${cannot}: cannot schedule new futures after shutdown`,
  );
}
