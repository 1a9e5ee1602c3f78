/**
 * What a worker does with a call: find the function, run it, record what came
 * of it. The same in both kinds of worker.
 *
 * A worker that may read nothing loads no file. So all of it is one
 * self-contained function, which travels as this library lets a caller's
 * function travel: by its source.
 */

import type {
  AbortMessage,
  CallMessage,
  Captured,
  ClosureRef,
  CurrentTask,
  FromWorker,
  FunctionRef,
  Outcome,
  SharedArguments,
  StartMessage,
  Thrown,
  ToWorker,
  WorkerMarker,
} from "../call/protocol.ts";
import type { WorkerSharedCalls } from "../threads/shared_calls.ts";
import type { CloneChecker } from "../values/clone_checker.ts";
import type { Keeper, Kept } from "./keep_captured.ts";
import type { ForwardPrints, makePrintForwarder } from "./print_forwarder.ts";
import type { PromiseWatch } from "./promise_watch.ts";
import type { Rebuilder } from "./rebuild_closure.ts";
import type { Recorder } from "./record_error.ts";

/** The part of a worker's global scope that the runtime uses. */
interface WorkerScope {
  addEventListener(type: string, listener: (event: Event) => void): void;
  readonly name?: string;
  postMessage(message: unknown, transfer?: readonly Transferable[]): void;
  /**
   * Has a plain result go a short way, or says that it can't; the last for now may
   * not wait for others to come.
   */
  leave?(
    slot: number,
    item: number,
    ms: number,
    value: unknown,
    isLast: boolean,
  ): boolean;
  /** Whether `postMessage` threw this since it has something to read, and when it has. */
  whenRead?(thrown: unknown): Promise<void> | undefined;
  /** Hears that there is nothing to do. */
  onIdle?(): void;
  close(): void;
}

/** What the import of a module's stand-in gives. */
interface Imported {
  readonly module: Readonly<Record<string, unknown>>;
  /** The module's address. */
  readonly url: string;
}

/** A call that waits in the worker. */
interface Waiting {
  readonly call: CallMessage;
  next: Waiting | undefined;
}

/**
 * Serves calls until the worker ends.
 *
 * Self-contained: it knows nothing but its parameters and the global scope.
 *
 * @param imports What imports modules that the worker may not read by itself.
 * @param lanes The worker's end of the memory that it shares with its pool.
 */
export function serve(
  scope: WorkerScope,
  checker: CloneChecker,
  rebuilder: Rebuilder,
  recorder: Recorder,
  keeper: Keeper,
  promises: PromiseWatch,
  imports: Readonly<Record<string, () => Promise<Imported>>> = {},
  lanes?: WorkerSharedCalls,
  printForwarder?: typeof makePrintForwarder,
): void {
  // deno-lint-ignore no-explicit-any -- a caller's function, of any type
  type Fn = (...args: any[]) => unknown;
  type Failure = { readonly error: unknown };
  /** What is needed to run a call. */
  interface Runnable {
    readonly fn: FunctionRef;
    readonly args: unknown;
    /** What its function captured; it may also come behind the arguments. */
    kept?: Kept;
    readonly shared?: SharedArguments;
  }

  /** A module whose import started a pool: each worker would start its own. */
  class Unguarded {
    readonly message: string;
    constructor(message: string) {
      this.message = message;
    }
  }

  // What comes of a call. An object of no prototype that a task could have changed:
  // a promise that is to give it asks it for a method named "then".
  class Returned {
    readonly is: "returned";
    readonly value: unknown;
    constructor(value: unknown) {
      this.is = "returned";
      this.value = value;
    }
  }
  class Threw {
    readonly is: "threw";
    readonly what: Thrown;
    constructor(what: Thrown) {
      this.is = "threw";
      this.what = what;
    }
  }
  Object.setPrototypeOf(Returned.prototype, null);
  Object.setPrototypeOf(Threw.prototype, null);

  const STARTED = 1;
  /** Of a call in a child whose start is told: it has asked for its signal. */
  const LISTENS = 3;
  /** How long calls may go on before the event loop turns, in milliseconds. */
  const TURN = 1;
  /** A call's result may wait for that of the next if the call took no longer, in milliseconds. */
  const SHORT = 0.1;
  const globals = globalThis as unknown as Record<string | symbol, unknown>;
  const deno = globals.Deno as typeof Deno | undefined;
  // Taken before any task runs: one may put its own in their place.
  const { builtinModule } = rebuilder;
  const { queueMicrotask, RegExp, Set, WeakMap } = globalThis;
  const { eval: evaluateText } = globalThis;
  const { apply } = Reflect;
  const { bind, call: callOf, toString: sourceOfFunction } = Function.prototype;
  /** A method as a function of what it is a method of. */
  // deno-lint-ignore no-explicit-any -- of whatever method
  const uncurried = (method: any): any => bind.call(callOf, method);
  const sourceOf: (fn: unknown) => string = uncurried(sourceOfFunction);
  const hasOwn = uncurried(Object.prototype.hasOwnProperty);
  const exec: (pattern: RegExp, text: string) => RegExpExecArray | null =
    uncurried(RegExp.prototype.exec);
  const slice = uncurried(String.prototype.slice);
  const indexOf = uncurried(String.prototype.indexOf);
  const isIn = uncurried(Object.prototype.isPrototypeOf);
  const syntaxError = SyntaxError.prototype;
  const thenOf = uncurried(Promise.prototype.then);
  const { ownKeys } = Reflect;
  const { getOwnPropertyDescriptor } = Object;
  const includes = uncurried(String.prototype.includes);
  const startsWith = uncurried(String.prototype.startsWith);
  const forEachOfSet = uncurried(Set.prototype.forEach);
  const addMember = uncurried(Set.prototype.add);
  const getMark = uncurried(WeakMap.prototype.get);
  const stopPropagation = uncurried(Event.prototype.stopImmediatePropagation);
  const preventDefault = uncurried(Event.prototype.preventDefault);
  const dataThere = Object.getOwnPropertyDescriptor(
    MessageEvent.prototype,
    "data",
  );
  const dataOf = dataThere?.get ? uncurried(dataThere.get) : undefined;
  // By these the runtime itself finds who listens to an event: with others in their
  // place nothing would arrive any more, and nobody would hear of it.
  for (const name of ["type", "cancelBubble"]) {
    const there = Object.getOwnPropertyDescriptor(Event.prototype, name);
    if (there?.configurable) {
      Object.defineProperty(Event.prototype, name, { configurable: false });
    }
  }
  const { add, compareExchange } = Atomics;
  const { record: recordThrown, isCloneError, messageOf, textOf } = recorder;
  const { defineProperty, setPrototypeOf } = Object;
  /** A list that inherits nothing: a setter for its items would be met, too. */
  const list = <T>(): T[] => setPrototypeOf([], null) as T[];
  const now = performance.now.bind(performance);
  const printError = console.error.bind(console);
  const post = scope.postMessage.bind(scope);
  const close = scope.close.bind(scope);
  const leaveInScope = scope.leave?.bind(scope);
  const whenRead = scope.whenRead?.bind(scope);
  const onIdle = scope.onIdle?.bind(scope);
  // The calls that wait, first to last.
  let first: Waiting | undefined;
  let last: Waiting | undefined;
  const revived = ownMap<Fn>();
  const failedImports: (Failure & { readonly url: string })[] = list();
  const marker: WorkerMarker = {
    depth: 0,
    mainModule: undefined,
    importing: [],
    modules: [],
    inTask: () => true,
    currentTask,
    unguarded: undefined,
    found: rebuilder.found,
  };
  /** The call that runs. */
  let running: CallMessage | undefined;
  /** How many calls have started, each item by itself. */
  let begun = 0;
  /** Made when the call that runs asks for it. */
  let aborter: AbortController | undefined;
  const { AbortController, DOMException } = globalThis;
  // What `transfer()` marked, by whatever copy of the library.
  const marks = Object.assign(new WeakMap<object, readonly Transferable[]>(), {
    get: WeakMap.prototype.get,
    set: WeakMap.prototype.set,
  });
  /** Runs a task so that what it starts is known as its own. */
  let asTask: (<R>(run: () => R) => R) | undefined;
  const exported = ownMap<{ fn: Fn; where: string }[]>();
  let token: string | undefined;
  let flags: Int32Array = new Int32Array(0);
  let busy = true;
  /** Whether the result of the call that ended was left in memory. */
  let tookNoTime = false;
  /** Whether the call that runs is waited for. */
  let isLate = false;
  /** When it began; and when the one before ended, of which nothing is left to be done. */
  let began = 0;
  let ended: number | undefined;
  /** When the event loop turned last. */
  let turned = 0;
  /** The slots of calls that were taken back. */
  let skipped: number[] | undefined;
  /** Whether results of short calls may wait for each other. */
  let resultsTogether = false;
  /** Whether no call may start any more. */
  let isOver = false;
  /** Whether the worker can't say any more that it dies. */
  let speechless = false;

  /** A map whose methods no task can replace. */
  function ownMap<V>(): Map<string, V> {
    const { get, set, clear, [Symbol.iterator]: iterate } = Map.prototype;
    return Object.assign(new Map<string, V>(), {
      get,
      set,
      clear,
      [Symbol.iterator]: iterate,
    });
  }

  function say(
    message: FromWorker,
    transfer?: readonly Transferable[],
  ): void {
    const marked = token === undefined ? message : { ...message, token };
    if (transfer) post(marked, transfer);
    else post(marked);
  }

  // ---- The end of a worker -------------------------------------------------
  // No event tells the pool that a worker ended itself: the worker says so first.

  function die(how: string, error: Failure | undefined): void {
    let what: Thrown | undefined;
    try {
      what = error && recordThrown(error.error);
    } catch {
      // What a task did to the built-ins keeps the error from being told; that
      // the worker ends is told all the same.
    }
    // Nothing starts any more: the pool counts on it.
    first = undefined;
    isOver = true;
    try {
      say({ type: "died", how, error: what });
    } catch (failure) {
      // It can't even say so. But that an error ends it, the runtime tells.
      speechless = true;
      throw failure;
    }
    close();
  }

  /** The runtime itself failed: a task has taken away what it stands on. */
  function dieOf(error: unknown): void {
    die("a failure of its runtime, whose built-ins a task may have replaced", {
      error,
    });
  }

  function isServing(): boolean {
    return busy && !isOver;
  }

  function dieOfPromises(by: string): void {
    if (!isOver) die(by, undefined);
  }

  /** Ends the worker if promises are spoilt: what comes later would not be told. */
  function endIfSpoilt(by = promises.spoiler()): boolean {
    if (by !== undefined) dieOfPromises(by);
    return by !== undefined;
  }

  if (deno) {
    const exit = deno.exit;
    deno.exit = (code?: number) => {
      say({ type: "died", how: `Deno.exit(${code ?? ""})`, error: undefined });
      return exit(code);
    };
  }
  scope.close = () => {
    say({ type: "died", how: "self.close()", error: undefined });
    close();
  };

  /** An error that nobody caught ends the worker, unless a listener of a task's forgives it. */
  function onUncaught(event: Event, how: string, error: unknown): void {
    if (speechless) return;
    // Without this the runtime would print the error, and end the worker unsaid.
    preventDefault(event);
    let forgiven = false;
    defineProperty(event, "preventDefault", {
      __proto__: null,
      value: () => {
        forgiven = true;
      },
    } as PropertyDescriptor);
    // Listeners that were added after this one run before the microtask does.
    queueMicrotask(() => {
      const guarded = marker.unguarded !== undefined &&
        error === marker.unguarded;
      if (guarded) printError(textOf(error));
      else if (!forgiven) die(how, { error });
    });
  }
  scope.addEventListener("error", (event) => {
    const { error, message } = event as ErrorEvent;
    onUncaught(event, "an uncaught error", error ?? new Error(message));
  });
  scope.addEventListener("unhandledrejection", (event) => {
    const { reason } = event as PromiseRejectionEvent;
    onUncaught(event, "an unhandled rejection", reason);
  });

  // What is nested too deep can be written and not read; whose call it was is lost.
  scope.addEventListener("messageerror", () => {
    die(
      "a message that could not be read, such as of very deep nesting",
      undefined,
    );
  });

  // ---- Finding the function ------------------------------------------------

  function dataCloneError(message: string): DOMException {
    return new DOMException(message, "DataCloneError");
  }

  /** A function's name as a message shows it. */
  function label(ref: FunctionRef): string {
    const name = ref.name.trim();
    return name ? `"${name}"` : "an anonymous function";
  }

  /** Imports a module while pools inside of it are kept from starting. */
  async function importModule(url: string): Promise<Imported> {
    const before = marker.unguarded;
    marker.importing.push(url);
    try {
      // By a module that stands in for it: a promise takes a module that exports
      // a function named "then" for another promise, and waits for ever.
      const name = JSON.stringify(url);
      const standIn = `data:text/javascript,${
        encodeURIComponent(
          `export * as module from ${name};export const url=import.meta.resolve(${name})`,
        )
      }`;
      const imported = await (imports[url]?.() ?? import(standIn));
      // What the module made of its failure to start a pool does not matter.
      if (marker.unguarded === before) return imported;
    } catch (error) {
      if (marker.unguarded === before) throw withoutStandIn(error);
    } finally {
      marker.importing.splice(marker.importing.indexOf(url), 1);
    }
    throw new Unguarded(marker.unguarded!.message);
  }

  /** An error of an import without the place where the stand-in asked for it. */
  function withoutStandIn(error: unknown): unknown {
    if (!(error instanceof Error)) return error;
    const place = /\n\s+at [^\n]*data:text\/javascript,export[^\n]*/g;
    for (const key of ["message", "stack"] as const) {
      const text = error[key]?.replace(place, "");
      if (text !== error[key]) {
        Object.defineProperty(error, key, {
          value: text,
          writable: true,
          configurable: true,
          enumerable: false,
        });
      }
    }
    return error;
  }

  async function importModules(urls: readonly string[]): Promise<void> {
    for (const url of urls) {
      try {
        const { module } = await importModule(url);
        for (const name of Object.keys(module)) {
          const fn = module[name];
          if (typeof fn !== "function") continue;
          const key = `${fn.name} ${sourceOf(fn)}`;
          const same = exported.get(key);
          const entry = { fn: fn as Fn, where: `"${name}" of ${url}` };
          if (!same) exported.set(key, [entry]);
          else if (same.every((other) => other.fn !== fn)) same.push(entry);
        }
      } catch (error) {
        failedImports[failedImports.length] = { url, error };
      }
    }
  }

  function importError(ref: FunctionRef, url: string, cause: unknown): unknown {
    if (cause instanceof Unguarded) return cause;
    const why = messageOf(cause);
    return new Error(
      `Cannot import ${url}, which ${label(ref)} needs: ${why}`,
      { cause },
    );
  }

  /** The function that a source is of, whatever its shape; throws `SyntaxError`. */
  function evaluate(source: string, name: string, isSloppy = false): unknown {
    let shown = "";
    for (let i = 0; i < name.length; i++) {
      const isWord = exec(/[\w$.]/, name[i]) !== null;
      if (isWord || shown[shown.length - 1] !== "_") {
        shown += isWord ? name[i] : "_";
      }
    }
    shown ||= "anonymous";
    const mode = isSloppy ? "" : '"use strict";';
    const run = (code: string) =>
      evaluateText(`${mode}${code}\n//# sourceURL=${shown}`);
    let first: unknown;
    // As an expression: functions and arrows. An arrow that calls itself does
    // so by the name of its variable, which is outside of its source.
    try {
      const fn = run(`(${source}\n)`);
      return callsItself(source, name)
        ? run(`(() => { const ${name} = (${source}\n); return ${name}; })()`)
        : fn;
    } catch (error) {
      if (!isIn(syntaxError, error)) throw error;
      first = error;
    }
    // As a member of an object: methods, accessors. A computed name can't be
    // worked out here, so a plain one takes its place: the first "]" that
    // leaves a method behind ends it.
    const members = list<string>();
    const computed = exec(/^(?:async\s*|get\s+|set\s+)?\*?\s*\[/, source);
    if (computed) {
      const head = slice(computed[0], 0, -1);
      for (
        let i = indexOf(source, "]");
        i >= 0;
        i = indexOf(source, "]", i + 1)
      ) {
        members[members.length] = `${head} computed${slice(source, i + 1)}`;
      }
    } else {
      members[0] = source;
      const at = indexOf(source, "#");
      members[1] = at < 0
        ? source
        : `${slice(source, 0, at)}${slice(source, at + 1)}`;
    }
    for (let i = 0; i < members.length; i++) {
      let object: object;
      try {
        object = run(`({${members[i]}\n})`) as object;
      } catch (error) {
        if (isIn(syntaxError, error)) continue;
        throw error;
      }
      const keys = ownKeys(object);
      if (keys.length === 0) continue;
      const found = getOwnPropertyDescriptor(object, keys[0])!;
      setPrototypeOf(found, null);
      return found.value ?? found.get ?? found.set;
    }
    // As sloppy code: what `new Function` or CommonJS made.
    try {
      return evaluateText(`(${source}\n)\n//# sourceURL=${shown}`);
    } catch {
      throw first;
    }
  }

  /**
   * Whether a source uses its function's own name, as what it calls or hands on
   * to be called, and as nothing else: then it can only mean itself.
   */
  function callsItself(source: string, name: string): boolean {
    if (!exec(/^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u, name)) return false;
    if (name in globals) return false;
    if (exec(/^(?:async\s+)?function\b\s*\*?\s*[^\s(*]/, source)) return false;
    let word = "";
    for (let i = 0; i < name.length; i++) {
      word += name[i] === "$" ? "\\$" : name[i];
    }
    // What is all that an arrow does is no recursion: it would not end.
    const handsOn = new RegExp(
      `^(?:async\\s*)?(?:\\([^()]*\\)|[^\\s()]+)\\s*=>\\s*(?:await\\s+)?${word}\\s*\\(`,
      "u",
    );
    if (exec(handsOn, source)) return false;
    const use = new RegExp(
      `(?<![\\p{ID_Continue}$.])${word}(?![\\p{ID_Continue}$])`,
      "gu",
    );
    const call = new RegExp(
      `(?<![\\p{ID_Continue}$.])${word}\\s*\\(|` +
        `\\.(?:map|flatMap|forEach|filter|some|every|find|reduce|then)\\(\\s*${word}\\s*[,)]`,
      "gu",
    );
    let uses = 0;
    while (exec(use, source)) uses++;
    let calls = 0;
    while (exec(call, source)) calls++;
    return uses > 0 && uses === calls;
  }

  function reviveSource(ref: FunctionRef & { source: string }): Fn {
    const isSloppy = ref.by === "source" && ref.isSloppy;
    const cannot = (why: string, cause?: unknown) => {
      const error = dataCloneError(
        `Cannot send ${
          label(ref)
        } to a worker: ${why}; export it from a module, and name that with the module option or taskModule()`,
      );
      if (cause !== undefined) error.cause = cause;
      return error;
    };
    if (/\{\s*\[native code\]\s*\}\s*$/.test(ref.source)) {
      throw cannot(
        "a bound or native function has no source; pass a function that calls it on its object, such as (...args) => object.method(...args)",
      );
    }
    if (/^class(?![\w$])\s*[^(\s]/.test(ref.source)) {
      throw cannot("a class does not travel by its source");
    }
    let fn: unknown;
    try {
      fn = evaluate(ref.source, ref.name, isSloppy);
    } catch (error) {
      throw cannot(
        `its source does not stand alone (${(error as Error).message})`,
        error,
      );
    }
    if (typeof fn !== "function") throw cannot("its source is of no function");
    return fn as Fn;
  }

  /** A built-in by its way from `globalThis`, called on what it was found on. */
  function findBuiltin(ref: FunctionRef & { by: "name" }): Fn | undefined {
    const isOfNode = ref.path[0].startsWith("node:");
    let owner: unknown;
    let found: unknown = isOfNode ? builtinModule(ref.path[0]) : globalThis;
    for (const step of isOfNode ? ref.path.slice(1) : ref.path) {
      owner = found;
      found = (owner as Record<string, unknown> | undefined)?.[step];
    }
    const native = "[native code]";
    // It reads otherwise elsewhere; and what a task has put there is no built-in.
    const isIt = typeof found === "function" &&
      (sourceOf(found) === ref.source ||
        includes(ref.source, native) && includes(sourceOf(found), native));
    if (!isIt && isOfNode) {
      throw dataCloneError(
        `Cannot find ${
          label(ref)
        } in the worker: a task may have replaced the process object, or its runtime is of another version`,
      );
    }
    if (!isIt) return undefined;
    const fn = found as Fn;
    // Of a module, functions are imported, and called on nothing.
    const detached = isOfNode || ref.path.includes("prototype");
    return function concurrentFuturesRun(...args) {
      return apply(fn, detached ? undefined : owner, args);
    };
  }

  function reviveExported(
    ref: { readonly name: string; readonly source: string } & FunctionRef,
  ): Fn | undefined {
    const same = exported.get(`${ref.name} ${ref.source}`);
    if (same && same.length > 1) {
      throw dataCloneError(
        `Cannot tell which function ${label(ref)} is: ${
          same.map(({ where }) => where).join(" and ")
        } have the same name and source; name the one meant with taskModule()`,
      );
    }
    return same?.[0].fn;
  }

  /** A function with what it captured: made anew for each call. */
  function reviveClosure(
    ref: ClosureRef,
    captured: Captured,
    args: readonly unknown[],
    shared: SharedArguments | undefined,
  ): Fn | Promise<Fn> {
    try {
      const fn = reviveExported(ref);
      if (!fn && ref.exportedOnly) throw notExported(ref);
      return fn ??
        rebuilder.rebuild(
          ref,
          captured,
          async (url) => {
            try {
              return await importModule(url);
            } catch (error) {
              throw importError(ref, url, error);
            }
          },
          shared && args as unknown[],
          shared,
        );
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      const why = dataCloneError(
        `Cannot send ${
          label(ref)
        } to a worker: its source, or one that it captured, does not stand alone (${error.message}); export it from a module, and name that with the module option or taskModule()`,
      );
      why.cause = error;
      throw why;
    }
  }

  function notExported(ref: FunctionRef): DOMException {
    return dataCloneError(
      `Cannot send ${
        label(ref)
      } to this worker: none of its modules exports a function of this name and source; name the function's module with --module, see that both sides have the same version of it, or start the worker with --allow-source`,
    );
  }

  /** What was found last: calls that come together are mostly of one function. */
  let lastRef: FunctionRef | undefined;
  let lastFn: Fn | undefined;

  /** The function of a call; a promise where a module is still to be imported. */
  function revive(
    ref: Exclude<FunctionRef, ClosureRef>,
  ): Fn | Promise<Fn> {
    if (ref === lastRef) return lastFn!;
    if (ref.by === "export") return reviveExport(ref);
    const fn = reviveSync(ref);
    lastRef = ref;
    return lastFn = fn;
  }

  function reviveSync(ref: FunctionRef & { readonly source: string }): Fn {
    const isExportedOnly = ref.by === "source" && ref.exportedOnly;
    const isSloppy = ref.by === "source" && ref.isSloppy;
    const by = isExportedOnly ? "export" : isSloppy ? "sloppy" : ref.by;
    const key = `${by} ${ref.name} ${ref.source}`;
    const known = revived.get(key);
    if (known) return known;
    let fn = ref.by === "name" ? findBuiltin(ref) : reviveExported(ref);
    if (!fn) {
      // A script without a guard is told so, whatever its functions need. And a
      // function with a name may be an export of a module that failed: without
      // what stands around it there, it could do something else than it says.
      const mayBeExport = ref.name !== "" && ref.name !== "anonymous";
      for (let i = 0; i < failedImports.length; i++) {
        const { url, error } = failedImports[i];
        if (ref.by !== "source") break;
        if (error instanceof Unguarded) throw error;
        if (mayBeExport) throw importError(ref, url, error);
      }
      if (isExportedOnly) throw notExported(ref);
      fn = reviveSource(ref);
    }
    if (revived.size >= 1000) revived.clear();
    revived.set(key, fn);
    return fn;
  }

  async function reviveExport(
    ref: FunctionRef & { by: "export" },
  ): Promise<Fn> {
    let module: Imported["module"];
    try {
      ({ module } = await importModule(ref.module));
    } catch (error) {
      throw importError(ref, ref.module, error);
    }
    const fn = module[ref.name];
    if (typeof fn === "function") return fn as Fn;
    throw dataCloneError(
      `Cannot call "${ref.name}" of ${ref.module}: ${
        fn === undefined ? "the module does not export it" : "it is no function"
      }`,
    );
  }

  // ---- Recording what came of it -------------------------------------------

  /** Says of a method that was submitted by itself how to pass its object, too. */
  function explainThis(error: unknown, ref: FunctionRef): unknown {
    if (!(error instanceof TypeError) || ref.by === "export") return error;
    const { message } = error;
    const source = ref.source;
    const read =
      /^Cannot (?:read|set) properties of undefined \((?:reading|setting) '(.+)'\)$/
        .exec(message)?.[1];
    const isMissed = ref.by === "name"
      ? / called on |incompatible receiver|Illegal invocation|undefined or null/
        .test(message) && ref.path.includes("prototype")
      : read !== undefined &&
          (source.includes(`this.${read}`) || source.includes("this[")) ||
        /^Cannot (?:read|write) private member /.test(message);
    if (!isMissed) return error;
    const name = (ref.name || "method").replace(/^.*\./, "");
    const hint = `${message}: ${
      label(ref)
    } was submitted without the object that it is a method of; pass a function that calls it, such as () => object.${name}()`;
    const stack = String(error.stack).replace(message, () => hint);
    for (const [key, value] of [["message", hint], ["stack", stack]]) {
      defineProperty(error, key, {
        value,
        writable: true,
        configurable: true,
      });
    }
    return error;
  }

  /** Says which name did not travel, and how to bring it. */
  function explainReference(error: unknown, ref: FunctionRef): unknown {
    if (ref.by !== "source" || !(error instanceof ReferenceError)) return error;
    const missing = /^(\S+) is not defined$/.exec(error.message)?.[1];
    if (missing === undefined || missing in globalThis) return error;
    // It may be an export of a module that could not be imported.
    if (failedImports.length > 0) {
      return importError(ref, failedImports[0].url, failedImports[0].error);
    }
    const explained = new ReferenceError(
      `${missing} is not defined in the worker, where ${
        label(ref)
      } went as source alone: ` +
        `pass ${missing} as an argument, or export ${
          ref.name ? label(ref) : "the function, with a name,"
        } ` +
        `from a module and name that with the module option (module: import.meta.url) or taskModule()${
          ref.hint
            ? `; or ${ref.hint}, for it to take along what is around it`
            : ""
        }`,
      { cause: error },
    );
    const frames = String(error.stack).split("\n").filter((line) =>
      /^\s+at /.test(line)
    );
    explained.stack = [`${explained}`, ...frames].join("\n");
    return explained;
  }

  function describeUntravelable(value: unknown, path: string): string {
    const found = checker.find(value, path) ?? checker.locate(value, path);
    return `${found.path} is ${found.what}, which can't be copied`;
  }

  // ---- Running calls -------------------------------------------------------

  // The name marks the frames from which on a stack is of no interest.
  function concurrentFuturesRun(
    fn: Fn,
    args: readonly unknown[],
  ): unknown {
    return apply(fn, undefined, args as unknown[]);
  }

  /** Runs a call; a promise where the call, or an import, takes its time. */
  function run(call: Runnable): Outcome | Promise<Outcome> {
    const ref = call.fn;
    try {
      // Where they are unpacked only now, that may fail.
      let args = call.args as readonly unknown[];
      let fn: Fn | Promise<Fn>;
      if (ref.by !== "closure") {
        fn = revive(ref);
      } else if (call.kept) {
        const captured = call.kept.fresh(ref.readsOnly && !call.shared);
        if (call.shared) args = keeper.shared(captured, args, call.shared);
        fn = reviveClosure(ref, captured, args, call.shared);
      } else {
        const own = list<unknown>();
        const last = args.length - 1;
        for (let i = 0; i < last; i++) own[i] = args[i];
        const captured = args[last] as Captured;
        args = call.shared ? keeper.shared(captured, own, call.shared) : own;
        fn = reviveClosure(ref, captured, args, call.shared);
      }
      const value = typeof fn === "function"
        ? concurrentFuturesRun(fn, args)
        : thenOf(fn, (fn: Fn) => concurrentFuturesRun(fn, args));
      if (
        value !== null &&
        (typeof value === "object" || typeof value === "function") &&
        typeof (value as PromiseLike<unknown>).then === "function"
      ) return concurrentFuturesFinish(ref, value as PromiseLike<unknown>);
      return new Returned(value);
    } catch (error) {
      return failure(ref, error);
    }
  }

  async function concurrentFuturesFinish(
    ref: FunctionRef,
    value: PromiseLike<unknown>,
  ): Promise<Outcome> {
    isLate = true;
    promises.whilePending(isServing, dieOfPromises);
    try {
      return new Returned(await value);
    } catch (error) {
      return failure(ref, error);
    }
  }

  function failure(ref: FunctionRef, error: unknown): Outcome {
    let explained = error;
    try {
      if (error instanceof Unguarded) {
        return { is: "unguarded", message: error.message };
      }
      explained = explainReference(explainThis(error, ref), ref);
    } catch {
      // Something that can't be looked at: recording it will say so.
    }
    return new Threw(recordThrown(explained));
  }

  /** Sends what came of a call; a promise where that takes time. */
  function answer(
    call: CallMessage,
    item: number,
    ms: number,
    outcome: Outcome,
  ): Promise<void> | undefined {
    const { slot, fn } = call;
    if (outcome.is === "returned") {
      try {
        const { value } = outcome;
        // What goes that way holds nothing that can't travel.
        const isLast = item + 1 >= (call.count ?? 1) &&
          !(resultsTogether && ms < SHORT && first?.call.fn === fn);
        if (leave(slot, item, ms, value, isLast)) {
          tookNoTime = lanes !== undefined || !isLast;
          return;
        }
        let moved: readonly Transferable[] | undefined;
        if (
          value !== null && typeof value === "object" ||
          typeof value === "function"
        ) {
          const marked = getMark(marks, value);
          const once = marked && new Set<Transferable>();
          for (let i = 0; marked && i < marked.length; i++) {
            addMember(once, marked[i]);
          }
          const found = checker.find(value, "result", once);
          if (once) {
            const all = list<Transferable>();
            forEachOfSet(once, (one: Transferable) => {
              all[all.length] = one;
            });
            moved = asOthers(all);
          }
          if (found) {
            throw dataCloneError(
              `${found.path} is ${found.what}, which can't be ${
                found.path[0] === "t" ? "moved" : "copied"
              }`,
            );
          }
        }
        say({ type: "outcome", slot, ms, outcome, item }, moved);
        return;
      } catch (error) {
        const later = whenRead?.(error);
        if (later) {
          return concurrentFuturesAnswer(later, call, item, ms, outcome);
        }
        outcome = new Threw(
          recordThrown(resultError(fn, outcome.value, error)),
        );
      }
    }
    try {
      say({ type: "outcome", slot, ms, outcome, item });
    } catch (error) {
      // A record can be copied, but for what is still to be read.
      const later = whenRead?.(error);
      if (!later) throw error;
      return concurrentFuturesAnswer(later, call, item, ms, outcome);
    }
  }

  async function concurrentFuturesAnswer(
    ready: Promise<void>,
    call: CallMessage,
    item: number,
    ms: number,
    outcome: Outcome,
  ): Promise<void> {
    await ready;
    await answer(call, item, ms, outcome);
  }

  const arrayPrototype = Array.prototype;
  /** A list as the runtime takes it. */
  function asOthers<T>(items: T[]): T[] {
    return setPrototypeOf(items, arrayPrototype) as T[];
  }

  /** Has a plain result go a short way, if there is one. */
  function leave(
    slot: number,
    item: number,
    ms: number,
    value: unknown,
    isLast: boolean,
  ): boolean {
    if (hasPrinted) return hasPrinted = false;
    return lanes
      ? lanes.leave(slot, item, ms, value, tellToLook)
      : leaveInScope?.(slot, item, ms, value, isLast) === true;
  }

  function tellToLook(): void {
    say({ type: "look" });
  }

  /** A result that can't travel; a getter that throws while it is read gives its own error. */
  function resultError(
    fn: FunctionRef,
    value: unknown,
    error: unknown,
  ): unknown {
    if (!isCloneError(error)) return error;
    let why: string;
    try {
      why = startsWith(error.message, "result") ||
          startsWith(error.message, "transfer[")
        ? error.message
        : describeUntravelable(value, "result");
    } catch {
      // It is what a getter threw, of the same name by chance.
      return error;
    }
    return dataCloneError(
      `Cannot send back what ${label(fn)} returned: ${why}`,
    );
  }

  async function concurrentFuturesServe(): Promise<void> {
    busy = true;
    try {
      turned = now();
      do {
        ended = undefined;
        for (let call; (call = nextCall());) {
          const { count = 1 } = call;
          for (let item = 0; item < count && !isOver; item++) {
            if (!claims(call, item)) break;
            const pending = begin(call, item);
            // It would be waited for in vain.
            if (isLate && endIfSpoilt()) return;
            // In either case, what the call has left to microtasks runs before the next.
            const rest = conclude(call, item, await pending);
            if (rest && await rest) return;
          }
        }
        if (skipped) {
          say({ type: "skipped", slots: skipped });
          skipped = undefined;
        }
        const trial = promises.trial();
        if (trial && endIfSpoilt(await trial)) return;
      } while (lanes && !lanes.sleep());
      // Only now: who looks out for the next call is to see it at once.
      if (endIfSpoilt()) return;
      busy = false;
      onIdle?.();
    } catch (error) {
      dieOf(error);
    }
  }

  /** Whether a call, or an item of a chunk, is still to be run; it has started then. */
  function claims({ slot, count }: CallMessage, item: number): boolean {
    const isMine = count === undefined
      ? compareExchange(flags, slot, 0, STARTED) === 0
      // However many items have started: this one is next, unless it was cut off.
      : add(flags, slot, 1) === item;
    if (isMine) return true;
    skipped ??= list();
    skipped[skipped.length] = slot;
    return false;
  }

  /** Runs a call, or an item of a chunk. */
  function begin(
    call: CallMessage & Runnable,
    item: number,
  ): Outcome | Promise<Outcome> {
    const started = call.count === undefined ? call : itemOf(call, item);
    running = call;
    begun++;
    aborter = undefined;
    isLate = false;
    if (call.watched !== undefined) {
      say({ type: "started", slot: call.slot, call: call.watched });
    }
    // What is left in memory took no time: one look at the clock does for both.
    began = ended ?? now();
    return asTask ? runAsTask(asTask, started) : run(started);
  }

  function runAsTask(
    asTask: <R>(run: () => R) => R,
    call: Runnable,
  ): Outcome | Promise<Outcome> {
    return asTask(() => run(call));
  }

  /** A call has ended. Where more is to be waited for, gives whether the worker ends. */
  function conclude(
    call: CallMessage,
    item: number,
    outcome: Outcome,
  ): Promise<boolean> | undefined {
    const end = now();
    running = undefined;
    tookNoTime = false;
    const later = answer(call, item, end - began, outcome);
    ended = tookNoTime ? end : undefined;
    // What a call does to promises, it does while they run, or long after.
    if (later || isLate || lanes && end - turned > TURN) {
      return concurrentFuturesConclude(later, end);
    }
  }

  async function concurrentFuturesConclude(
    later: Promise<void> | undefined,
    end: number,
  ): Promise<boolean> {
    ended = undefined;
    if (later) await later;
    const trial = promises.trial();
    if (endIfSpoilt() || trial && endIfSpoilt(await trial)) return true;
    if (lanes && end - turned > TURN) {
      await lanes.turn();
      turned = now();
    }
    return false;
  }

  /** An item of a chunk, as a call. */
  function itemOf(
    { fn, args, single, kept }: CallMessage & Runnable,
    item: number,
  ): Runnable {
    const all = args as unknown[];
    const own = all[item];
    // Nothing of an item that is done is kept for the sake of those after it.
    all[item] = undefined;
    return { fn, args: single ? [own] : own, kept, shared: undefined };
  }

  function currentTask(): CurrentTask | undefined {
    if (running === undefined) return undefined;
    const number = begun;
    let signal: AbortSignal | undefined;
    return {
      get signal() {
        // What is asked for after the call's end is nobody's to abort.
        const own = running && number === begun ? listen : newAborter;
        return signal ??= own().signal;
      },
      workerName: scope.name ?? "",
    };
  }

  function newAborter(): AbortController {
    return new AbortController();
  }

  /** The call that runs asks for its signal; in a child, the pool is to know. */
  function listen(): AbortController {
    if (aborter) return aborter;
    aborter = new AbortController();
    const { slot, watched } = running!;
    if (watched !== undefined && !lanes) {
      compareExchange(flags, slot, STARTED, LISTENS);
      say({ type: "listens", slot, call: watched });
    }
    return aborter;
  }

  /** Asks the call that runs to stop, if it is still the one that is meant. */
  function abort({ call, name, message }: AbortMessage): void {
    if (running?.watched !== call) return;
    (aborter ??= new AbortController()).abort(new DOMException(message, name));
  }

  function nextCall(): CallMessage | undefined {
    return lanes ? lanes.next(nextPosted) : nextPosted();
  }

  function nextPosted(): CallMessage | undefined {
    const waiting = first;
    first = waiting?.next;
    return waiting?.call;
  }

  function takeIn(message: ToWorker & { type: "calls" }): void {
    const { calls } = message;
    const areWhole = hasOwn(message, "areWhole");
    for (let i = 0; i < calls.length; i++) {
      const call: CallMessage & Runnable = calls[i];
      // What a task gives to all objects is no part of it.
      if (!areWhole) setPrototypeOf(call, null);
      if (call.captured) call.kept = keeper.take(call.captured);
      const waiting: Waiting = { call, next: undefined };
      if (first) last!.next = waiting;
      else first = waiting;
      last = waiting;
    }
    serveIfIdle();
  }

  function serveIfIdle(): void {
    if (!busy) concurrentFuturesServe();
  }

  /** Where modules may do things of their own, tells them from what tasks do. */
  function trackTasks(): void {
    const hooks = globals.process as {
      getBuiltinModule?(name: string): { AsyncLocalStorage: new () => Storage };
    } | undefined;
    interface Storage {
      run<R>(store: boolean, run: () => R): R;
      getStore(): boolean | undefined;
    }
    const found = hooks?.getBuiltinModule?.("node:async_hooks");
    if (!found) return;
    const storage = new found.AsyncLocalStorage();
    asTask = (run) => storage.run(true, run);
    marker.inTask = () => storage.getStore() === true;
  }

  async function start(message: StartMessage): Promise<void> {
    token = message.token;
    resultsTogether = message.resultsTogether === true;
    flags = new Int32Array(message.flags);
    if (message.lanes) {
      lanes!.open(message.lanes, serveIfIdle, () => {
        dieOf(new Error("a message that was sent did not arrive"));
      });
    }
    marker.depth = message.depth;
    marker.mainModule = message.mainModule;
    const own: Record<string | symbol, unknown> = {
      [Symbol.for("@concurrent/futures worker")]: marker,
      [Symbol.for("@concurrent/futures transfers")]: marks,
      // For functions that travel as their source, which can import nothing.
      currentTask,
      transfer: (value: object, transferables: readonly Transferable[]) => {
        marks.set(value, transferables);
        return value;
      },
    };
    for (const key of Reflect.ownKeys(own)) {
      defineProperty(globalThis, key, {
        value: own[key],
        writable: true,
        configurable: true,
      });
    }
    if (message.modules.length > 0) {
      marker.modules = message.modules;
      if (message.ownModule) trackTasks();
      await importModules(message.modules);
      if (endIfSpoilt()) return;
    }
    const { initializer } = message;
    if (initializer) {
      const { captured } = initializer;
      const first = captured
        ? { ...initializer, kept: keeper.take(captured) }
        : initializer;
      const pending = asTask ? asTask(() => run(first)) : run(first);
      if (endIfSpoilt()) return;
      const outcome = await pending;
      const trial = promises.trial();
      if (endIfSpoilt(trial && await trial)) return;
      if (outcome.is !== "returned") {
        say({ type: "initializer failed", outcome });
        return;
      }
    }
    let failures: Thrown[] | undefined;
    for (let i = 0; i < failedImports.length; i++) {
      const { url, error } = failedImports[i];
      failures ??= list();
      failures[i] = recordThrown(
        error instanceof Unguarded
          ? new Error(error.message)
          : new Error(`Cannot import ${url}: ${textOf(error)}`, {
            cause: error,
          }),
      );
    }
    say({ type: "ready", failures });
    concurrentFuturesServe();
  }

  let forwards: ForwardPrints | undefined;
  /** Whether a result may overtake what was printed before it. */
  let hasPrinted = false;

  /** Has what is printed come by the pool's thread, or no more. */
  function forwardPrints(isOn: boolean): void {
    forwards ??= printForwarder?.((bytes, toStderr) => {
      try {
        say({ type: "printed", bytes, toStderr });
        return hasPrinted = true;
      } catch {
        return false;
      }
    });
    forwards?.(isOn);
  }

  scope.addEventListener("message", (event) => {
    try {
      // A child passes on what came to it.
      const isOwn = hasOwn(event, "data") || !dataOf;
      const message: ToWorker = isOwn
        ? (event as MessageEvent<ToWorker>).data
        : dataOf(event);
      if (isOwn) event.stopImmediatePropagation();
      else stopPropagation(event);
      if (message.type === "start") start(message).catch(dieOf);
      else if (message.type === "calls") takeIn(message);
      else if (message.type === "forget") keeper.forget(message.ids);
      else if (message.type === "printing") forwardPrints(message.isWatched);
      else abort(message);
    } catch (error) {
      dieOf(error);
    }
  });
}
