/**
 * What is around a function: the variables that it captured, as the runtime's
 * inspector shows them. It is asked from within the program, and answers in the
 * middle of a call; no port is opened, and nothing of it stays enabled.
 */

/** A scope around a function. Its variables are a copy, of their values now. */
export interface Scope {
  /** What kind it is, and of which function: `Closure (outer)`, `Module`. */
  readonly kind: string;
  readonly variables: Readonly<Record<string, unknown>>;
}

/** Stands for the value of a variable that has none yet. */
export const UNSET: unique symbol = Symbol();

/** The value of a variable. */
export function valueIn({ variables }: Scope, name: string): unknown {
  try {
    return variables[name];
  } catch {
    // What has no value yet throws.
    return UNSET;
  }
}

/** Whether a scope is one of those that there may be many of. */
export function isCall({ kind }: Scope): boolean {
  return kind !== "Module" && kind !== "Script";
}

/** Where a function begins in its script. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** What is around a function. */
export interface Surroundings {
  /** The script that it stands in, as the inspector numbers it. */
  readonly script: string;
  /** Where it stands there. */
  readonly place: Place;
  /** The scopes around it, the innermost first, the global one aside. */
  readonly scopes: readonly Scope[];
}

/** A script that runs in the program. */
export interface Script {
  readonly url: string;
  readonly source: string;
}

/** The flag that makes this possible. */
export const FLAG = "--allow-sys";

interface Process {
  nextTick: (fn: (...args: unknown[]) => void, ...args: unknown[]) => void;
  getBuiltinModule?(name: string): Inspector;
}

interface Inspector {
  readonly Session: new () => Session;
  /** Where a debugger can connect, if one may. */
  url(): string | undefined;
}

interface Session {
  connect(): void;
  disconnect(): void;
  post(
    method: string,
    params: object,
    callback: (error: unknown, result: unknown) => void,
  ): void;
  on(event: string, listener: (message: { params: unknown }) => void): void;
  off(event: string, listener: (message: { params: unknown }) => void): void;
}

/** Something in the program, by the name that the inspector gives it. */
interface Remote {
  readonly objectId: string;
}

/** What functions and the inspector's answers pass through. */
interface Exchange {
  fn: unknown;
  value: unknown;
  scopes: Record<string, { description?: string; object: object }>;
}

let session: Session | undefined;
let depth = 0;
const exchange: Exchange = { fn: undefined, value: undefined, scopes: {} };
/** The one name that the inspector can find that by, while it is asked. */
let exchangeName = "";
/** What finds it by that name. */
let findExchange = "";
/** Whether this runtime turned out to answer; or not to. */
let hasAnswered = false;
let isMute = false;
/** Whether the program is a REPL. */
let isInteractive: boolean | undefined;

/** Whether the surroundings of functions may be looked at. Nobody is asked. */
export function mayLook(): boolean {
  try {
    const { state } = Deno.permissions.querySync(
      {
        name: "sys",
        kind: "inspector",
      } as unknown as Deno.SysPermissionDescriptor,
    );
    return state === "granted";
  } catch {
    return false;
  }
}

/**
 * Runs what looks around functions; `undefined` where there is no inspector.
 *
 * It is asked as long as this runs, and no longer: a worker that is started
 * while a session is open takes half a second more, for whatever reason.
 */
export function looking<R>(run: () => R): R | undefined {
  if (isMute || isAskedItself()) return undefined;
  const restore = cleanPrototypes();
  try {
    try {
      if (!session) open();
    } catch {
      close();
      isMute = true;
      return undefined;
    }
    depth++;
    try {
      return run();
    } finally {
      // What is looked at may come to look at functions, too.
      if (--depth === 0) close();
    }
  } finally {
    restore?.();
  }
}

/** What all objects inherit from the language. */
const OF_OBJECTS = new Set<string | symbol>(
  ("constructor __defineGetter__ __defineSetter__ hasOwnProperty " +
    "__lookupGetter__ __lookupSetter__ isPrototypeOf propertyIsEnumerable " +
    "toString valueOf __proto__ toLocaleString").split(" "),
);

/**
 * Takes away for a moment what the program put on the prototypes of all objects:
 * the inspector speaks JSON, and reads attributes of plain objects.
 *
 * @returns What puts it back; `undefined` if there was nothing.
 */
function cleanPrototypes(): (() => void) | undefined {
  const found: [object, string | symbol, PropertyDescriptor][] = [];
  const take = (object: object, key: string | symbol) => {
    const own = Object.getOwnPropertyDescriptor(object, key);
    if (!own || !Reflect.deleteProperty(object, key)) return;
    found.push([object, key, Object.setPrototypeOf(own, null)]);
  };
  for (const key of Reflect.ownKeys(Object.prototype)) {
    if (!OF_OBJECTS.has(key)) take(Object.prototype, key);
  }
  for (const { prototype } of [Array, String, Number, Boolean]) {
    take(prototype, "toJSON");
  }
  if (found.length === 0) return undefined;
  return () => {
    for (const [object, key, own] of found) {
      Object.defineProperty(object, key, own);
    }
  };
}

function processOf(): Process {
  return (globalThis as unknown as { process: Process }).process;
}

let inspector: Inspector | undefined;

/** Loaded when it is first needed. */
function inspectorOf(): Inspector {
  return inspector ??= processOf().getBuiltinModule!("node:inspector");
}

/**
 * Whether this runs because an inspector was asked to run it, as the REPL and a
 * debugger's console do: Deno would panic if it were asked for more meanwhile.
 */
function isAskedItself(): boolean {
  try {
    isInteractive ??= /\$deno\$(repl|jupyter)/.test(Deno.mainModule);
    if (isInteractive) return true;
    if (!inspectorOf().url()) return false;
  } catch {
    // Where that can't be told, it may be.
  }
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = Infinity;
  const { stack } = new Error();
  Error.stackTraceLimit = stackTraceLimit;
  // What is typed has no file.
  return /<anonymous>:\d+:\d+\)?$/.test(String(stack));
}

function open(): void {
  session = new (inspectorOf().Session)();
  session.connect();
  // Not while modules load: a runtime may forbid random numbers at that time.
  exchangeName ||= `@concurrent/futures ${crypto.randomUUID()}`;
  findExchange ||= `globalThis[${JSON.stringify(exchangeName)}]`;
  Object.defineProperty(globalThis, exchangeName, {
    value: exchange,
    configurable: true,
  });
  // Whether it answers at once is asked once.
  if (!hasAnswered) ask("Runtime.evaluate", { expression: "1" });
  hasAnswered = true;
}

function close(): void {
  session?.disconnect();
  session = undefined;
  Reflect.deleteProperty(globalThis, exchangeName);
}

/** Asks the inspector, and has its answer at once. */
function ask<R>(method: string, params: object): R {
  const process = processOf();
  const { nextTick } = process;
  const late: (() => void)[] = [];
  let answer: { error: unknown; result: unknown } | undefined;
  // The answer is there before `post` returns; the session leaves it to the next
  // tick to be handed over, which would be after the caller has gone on.
  process.nextTick = (fn, ...args) => late.push(() => fn(...args));
  try {
    session!.post(method, params, (error, result) => {
      answer = { error, result };
    });
  } finally {
    process.nextTick = nextTick;
  }
  for (const fn of late) fn();
  if (!answer) throw new Error("the inspector gives no answer at once");
  if (answer.error) throw answer.error;
  return answer.result as R;
}

/** Looks what is around a function. */
export function lookAround(fn: unknown): Surroundings {
  exchange.fn = fn;
  try {
    const { result } = ask<{ result: Remote }>("Runtime.evaluate", {
      expression: `${findExchange}.fn`,
    });
    const { internalProperties } = ask<{
      internalProperties: {
        readonly name: string;
        readonly value: Remote & {
          readonly value: {
            readonly scriptId: string;
            readonly lineNumber: number;
            readonly columnNumber: number;
          };
        };
      }[];
    }>("Runtime.getProperties", {
      objectId: result.objectId,
      ownProperties: true,
    });
    const internal = (name: string) =>
      internalProperties.find((property) => property.name === name)?.value;
    const place = internal("[[FunctionLocation]]")?.value;
    const around = internal("[[Scopes]]");
    if (around) {
      ask("Runtime.callFunctionOn", {
        objectId: around.objectId,
        functionDeclaration: `function () { ${findExchange}.scopes = this; }`,
      });
    }
    const scopes: Scope[] = [];
    for (let i = 0; exchange.scopes[i] !== undefined; i++) {
      const { description = "", object } = exchange.scopes[i];
      if (description === "Global") continue;
      scopes.push({
        kind: description,
        variables: object as Record<string, unknown>,
      });
    }
    return {
      script: place?.scriptId ?? "",
      place: {
        line: place?.lineNumber ?? 0,
        column: place?.columnNumber ?? 0,
      },
      scopes,
    };
  } finally {
    exchange.fn = undefined;
    exchange.scopes = {};
  }
}

/** The private members that an object has, with their values. */
export function privatesOf(object: object): ReadonlyMap<string, unknown> {
  const found = new Map<string, unknown>();
  exchange.fn = object;
  try {
    const { result } = ask<{ result: Remote }>("Runtime.evaluate", {
      expression: `${findExchange}.fn`,
    });
    const { privateProperties = [] } = ask<{
      privateProperties?: { readonly name: string; readonly value?: Remote }[];
    }>("Runtime.getProperties", {
      objectId: result.objectId,
      ownProperties: true,
    });
    for (const { name, value } of privateProperties) {
      // An accessor has none.
      if (!value) continue;
      ask("Runtime.callFunctionOn", {
        objectId: result.objectId,
        functionDeclaration:
          `function (value) { ${findExchange}.value = value; }`,
        arguments: [value],
      });
      found.set(name, exchange.value);
    }
    return found;
  } finally {
    exchange.fn = undefined;
    exchange.value = undefined;
  }
}

/** A script whose address was asked for, of which more will be: to ask takes its time. */
let read: { readonly id: string; readonly script: Script } | undefined;

/** Finds a script, by its number. */
export function scriptOf(id: string): Script {
  if (read?.id === id) {
    const { script } = read;
    // Whoever has it keeps what there is to know of it.
    read = undefined;
    return script;
  }
  return withScripts((urls) => readScript(id, urls.get(id) ?? ""));
}

/** The address of the script that a function stands in. */
export function scriptUrlOf(fn: unknown): string {
  return urlOf(lookAround(fn).script);
}

/** The address of a script, by its number. */
export function urlOf(id: string): string {
  if (!known.has(id)) {
    withScripts((urls) => {
      known = urls;
      const url = urls.get(id) ?? "";
      if (/^(?:file|https?|data|blob):/.test(url)) {
        read = { id, script: readScript(id, url) };
      }
    });
  }
  return known.get(id) ?? "";
}

let known: ReadonlyMap<string, string> = new Map();

/** The addresses of all scripts. */
export function scriptUrls(): string[] {
  return withScripts((urls) => [...new Set(urls.values())]);
}

/** All scripts that are wanted by their address, by their numbers. */
export function scriptsOf(
  isWanted: (url: string) => boolean,
): Map<string, Script> {
  return withScripts((urls) => {
    const found = new Map<string, Script>();
    for (const [id, url] of urls) {
      if (isWanted(url)) found.set(id, readScript(id, url));
    }
    return found;
  });
}

function readScript(id: string, url: string): Script {
  const { scriptSource } = ask<{ scriptSource: string }>(
    "Debugger.getScriptSource",
    { scriptId: id },
  );
  return { url, source: scriptSource };
}

/**
 * Runs what needs the addresses of all scripts, by their numbers. It may make no
 * script: the runtime would tell of that later, and of all that is asked then.
 */
function withScripts<R>(run: (urls: Map<string, string>) => R): R {
  const urls = new Map<string, string>();
  const note = ({ params }: { params: unknown }) => {
    const { scriptId, url } = params as { scriptId: string; url: string };
    urls.set(scriptId, url);
  };
  session!.on("Debugger.scriptParsed", note);
  try {
    ask("Debugger.enable", {});
    return run(urls);
  } finally {
    // Enabled, it would keep the runtime from some of its ways to be fast.
    ask("Debugger.disable", {});
    session!.off("Debugger.scriptParsed", note);
  }
}
