/** The program of a worker thread: what is self-contained, put together. */

import { listErrorClasses } from "../call/error_classes.ts";
import { evaluating, nameHelpers, program } from "../functions/program_text.ts";
import { makeKeeper } from "../inside/keep_captured.ts";
import { makePrintForwarder } from "../inside/print_forwarder.ts";
import { makePromiseWatch } from "../inside/promise_watch.ts";
import { makeRebuilder } from "../inside/rebuild_closure.ts";
import { makeRecorder } from "../inside/record_error.ts";
import { serve } from "../inside/runtime.ts";
import { makeLookout } from "../inside/spin.ts";
import { makeCloneChecker } from "../values/clone_checker.ts";
import { makeNumbering } from "../values/numbering.ts";
import { makeCells } from "./cells.ts";
import { makeWorkerSharedCalls } from "./shared_calls.ts";

/** The program of a worker: a module that needs no permission. */
export function workerProgram(): string {
  return evaluating(
    nameHelpers() + program`const checker = (${makeCloneChecker})();
(${serve})(self, checker, (${makeRebuilder})(), (${makeRecorder})(checker, (${listErrorClasses})()), (${makeKeeper})((${makeNumbering})()), (${makePromiseWatch})(), {}, (${makeWorkerSharedCalls})(${makeCells}, ${makeLookout}), ${makePrintForwarder})`,
  );
}
