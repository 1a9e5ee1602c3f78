/**
 * Which module a script got by an import: answered by the runtime itself, in the
 * middle of a call.
 *
 * What a specifier means depends on who imports it: an import map, a workspace
 * member and a `node_modules` folder have their say. So a module is made that
 * stands beside the script and imports the same. It is no file, and all that it
 * imports has been loaded before: it is there at once, and nothing is read.
 */

import type { Imported } from "../reader/expressions.ts";
import { lockedNames } from "./lock_file.ts";

/** A module as a worker is to import it. */
export interface Origin {
  /** What the worker imports. */
  readonly module: string;
  /** The module that this has to lead to there. */
  readonly url: string;
}

type Namespace = Readonly<Record<string, unknown>>;

/** What a specifier led to; without a namespace where only that is known. */
interface Got {
  readonly url: string;
  readonly module?: Namespace;
}

interface NodeModule {
  exports: unknown;
  _compile(code: string, path: string, format: string, given: boolean): void;
}

interface Builtins {
  "node:module": {
    readonly Module: {
      new (path: string): NodeModule;
      readonly _cache: Readonly<Record<string, NodeModule | undefined>>;
    };
    createRequire(path: string): { resolve(specifier: string): string };
  };
  "node:url": {
    fileURLToPath(url: URL): string;
    pathToFileURL(path: string): URL;
  };
}

function builtin<N extends keyof Builtins>(name: N): Builtins[N] {
  const { process } = globalThis as unknown as {
    process: { getBuiltinModule(name: string): Builtins[N] };
  };
  return process.getBuiltinModule(name);
}

/**
 * Finds the module that a script got a value from.
 *
 * @param loaded The addresses of all modules that are loaded, if they are needed.
 * @param isGuess Whether the script may have got the value from elsewhere.
 * @returns `undefined` where it can't be made sure which one that is.
 */
export function originOf(
  script: string,
  imported: Imported,
  value: unknown,
  loaded: () => Iterable<string>,
  isGuess = false,
): Origin | undefined {
  const { specifier } = imported;
  const url = urlOf(script, imported, value, loaded, isGuess);
  return url === undefined
    ? undefined
    : { url, module: specifierOf(script, specifier, url) };
}

function urlOf(
  script: string,
  { name, specifier, isDeferred }: Imported,
  value: unknown,
  loaded: () => Iterable<string>,
  isGuess: boolean,
): string | undefined {
  // To look at what is deferred would run it.
  if (isDeferred) {
    return isGuess ? undefined : addressOf(script, specifier)?.url;
  }
  const known = got(script, specifier);
  if (known) {
    const isIt = known.module ? gives(known.module, name, value) : !isGuess;
    if (isIt) return known.url;
    if (isGuess) return undefined;
  }
  // An import map may have something for this script alone.
  for (const urls of [() => guesses(script, specifier), loaded]) {
    for (const url of urls()) {
      const module = moduleAt(url);
      if (module && gives(module, name, value)) return url;
    }
  }
  if (known) return undefined;
  // What is compiled into the program was resolved when that was made.
  return Deno.build?.standalone && !isGuess
    ? guesses(script, specifier)[0]
    : undefined;
}

function gives(module: Namespace, name: string, value: unknown): boolean {
  try {
    return name === "*" ? module === value : Object.is(module[name], value);
  } catch {
    // It has no value yet.
    return false;
  }
}

/** Finds the export that a function is of the module that it stands in. */
export function exportOf(
  url: string,
  fn: unknown,
): Origin & { readonly name: string } | undefined {
  const module = moduleAt(url);
  if (!module) return undefined;
  // Not by Object.keys(), which throws where one has no value yet.
  const name = Reflect.ownKeys(module).find((name) =>
    typeof name === "string" && name !== "*" && gives(module, name, fn)
  );
  return name === undefined
    ? undefined
    : { url, module: specifierOf(ROOT, url, url), name: name as string };
}

/** The modules of CommonJS that are loaded, by what they export, which is one object. */
export function commonModules(): Map<unknown, string> {
  const found = new Map<unknown, string>();
  const { _cache } = builtin("node:module").Module;
  for (const [path, module] of Object.entries(_cache)) {
    // Others are data, or can't be imported by a worker.
    if (/\.(?:c?js|cts)$/.test(path)) found.set(module?.exports, path);
  }
  return found;
}

/** Where a worker finds all that a module of CommonJS exports. */
export function originOfCommon(
  path: string,
): Origin & { readonly name: string } {
  const url = builtin("node:url").pathToFileURL(path).href;
  return { url, module: specifierOf(ROOT, url, url), name: "default" };
}

/** Finds the module that a namespace object is of. */
export function originOfNamespace(
  namespace: object,
  loaded: () => Iterable<string>,
): Origin | undefined {
  for (const url of loaded()) {
    if (moduleAt(url) === namespace) {
      return { url, module: specifierOf(ROOT, url, url) };
    }
  }
  return undefined;
}

// ---- A module beside the script ----------------------------------------------

/** What stands there is in no workspace member, and in no package. */
const ROOT = "file:///";
const cache = new Map<string, Got | undefined>();
let marker: string | undefined;
let made = 0;

/** What a specifier means to a script; `undefined` where the runtime doesn't say. */
function got(script: string, specifier: string): Got | undefined {
  const key = `${script} ${specifier}`;
  if (!cache.has(key)) cache.set(key, ask(script, specifier));
  return cache.get(key);
}

function ask(script: string, specifier: string): Got | undefined {
  try {
    return runFor(
      script,
      specifier,
      (text) => `export * as module from ${text};`,
    );
  } catch {
    // A module that waits while it is loaded can't be imported at once.
    return addressOf(script, specifier);
  }
}

/** What a specifier means to a script, without a look at the module. */
function addressOf(script: string, specifier: string): Got | undefined {
  try {
    return runFor(script, specifier, () => "");
  } catch {
    return undefined;
  }
}

function runFor(
  script: string,
  specifier: string,
  codeFor: (text: string) => string,
): Got {
  const isFile = script.startsWith("file:");
  const text = JSON.stringify(
    isFile ? specifier : absolute(script, specifier) ?? specifier,
  );
  const code = `${
    codeFor(text)
  } export const url = import.meta.resolve(${text});`;
  return run<Got>(code, isFile ? script : ROOT);
}

function run<R>(code: string, beside: string): R {
  // Not while this is loaded: not every runtime allows it then.
  marker ??= crypto.randomUUID();
  // Of a file with such a name nobody wants to know how much of it was tested.
  const name = `./imports-${marker}-${made++}.test.mjs`;
  const path = builtin("node:url").fileURLToPath(new URL(name, beside));
  const module = new (builtin("node:module").Module)(path);
  // The last argument says that the code is given, and not read.
  module._compile(code, path, "module", true);
  return module.exports as R;
}

function absolute(script: string, specifier: string): string | undefined {
  if (URL.canParse(specifier)) return specifier;
  const isRelative = /^\.{0,2}\//.test(specifier);
  return isRelative && URL.canParse(specifier, script)
    ? new URL(specifier, script).href
    : undefined;
}

// ---- Where that can't be done: Deno before 2.7.3 -----------------------------

/** What a specifier may mean to a script, the likeliest first. */
function guesses(script: string, specifier: string): string[] {
  const url = absolute(script, specifier);
  const found: string[] = [];
  const add = (guess: () => string) => {
    try {
      found.push(guess());
    } catch {
      // It means nothing in this way.
    }
  };
  add(() => import.meta.resolve(url ?? specifier));
  if (url === undefined && script.startsWith("file:")) {
    add(() => {
      const { fileURLToPath, pathToFileURL } = builtin("node:url");
      const path = fileURLToPath(new URL(script));
      const { createRequire } = builtin("node:module");
      return pathToFileURL(createRequire(path).resolve(specifier)).href;
    });
  }
  return found;
}

/** A module that is loaded, by its address. */
function moduleAt(url: string): Namespace | undefined {
  return URL.canParse(url) ? got(ROOT, url)?.module ?? lazily(url) : undefined;
}

function lazily(url: string): Namespace | undefined {
  try {
    const deno = Deno as unknown as Record<
      symbol,
      { core: { createLazyLoader(url: string): () => Namespace } }
    >;
    const internal = (Deno as unknown as { internal: symbol }).internal;
    return deno[internal].core.createLazyLoader(url)();
  } catch {
    return undefined;
  }
}

// ---- What a worker imports ---------------------------------------------------

const specifiers = new Map<string, string>();

/**
 * What leads a worker to a module: its address, but for a package that the runtime
 * keeps in a place of its own. A child finds that only by its name.
 */
function specifierOf(script: string, specifier: string, url: string): string {
  const key = `${specifier} ${url}`;
  let known = specifiers.get(key);
  if (known === undefined) {
    specifiers.set(key, known = findSpecifier(script, specifier, url));
  }
  return known;
}

function findSpecifier(script: string, specifier: string, url: string): string {
  const isBare = !/^(?:\.{0,2}\/|#)/.test(specifier);
  const cached = inCache(url);
  const texts = isBare && (cached || /\/node_modules\/\.deno\//.test(url))
    // As the program has it.
    ? [specifier]
    : [];
  if (cached) {
    const [name, folder, file] = cached;
    const version = folder.replace(/_.*$/, "");
    const tail = specifier.replace(/^(?:npm:\/?)?(?:@[^/]+\/)?[^/]+/, "");
    // A lock file would be written anew for another name than those that it has.
    const names = [
      ...lockedNames(script, name, version),
      `npm:${name}@${version}`,
    ];
    for (const name of names) {
      texts.push(`${name}${tail}`, name, `${name}/${file}`);
    }
  }
  return texts.find((text) => resolved(text) === url) ?? url;
}

/** Name, version and file of a package in the cache that all programs share. */
function inCache(url: string): string[] | undefined {
  return /\/npm\/[^/]+\/(?:.*\/)?((?:@[^/]+\/)?[^/@]+)\/(\d+\.\d+\.\d[^/]*)\/(.*)$/
    .exec(url)?.slice(1);
}

/** What a specifier means to a module that stands nowhere, as in a worker. */
function resolved(specifier: string): string | undefined {
  try {
    return run<Got>(
      `export const url = import.meta.resolve(${JSON.stringify(specifier)});`,
      ROOT,
    ).url;
  } catch {
    // Without such a module: to this one.
  }
  try {
    return import.meta.resolve(specifier);
  } catch {
    return undefined;
  }
}
