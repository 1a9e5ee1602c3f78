/**
 * The stacks of functions that went to a worker by their source: there they stand
 * in a program of their own, and an editor can't open that. Here the runtime's
 * inspector knows where the same text stands in the scripts of the program.
 *
 * A place is told only where the text stands once in all scripts. And it is looked
 * for only once something was thrown: most calls throw nothing.
 */

import type { ClosureRef, FunctionRef } from "../call/protocol.ts";
import {
  looking,
  mayLook,
  type Script,
  scriptsOf,
} from "../platform/inspector.ts";

/** Texts of functions in the programs of closures. */
const textsOf = new WeakMap<FunctionRef, readonly string[]>();

/** Takes note of the functions that are in the program of a closure. */
export function noteTexts(ref: ClosureRef, texts: readonly string[]): void {
  textsOf.set(ref, texts);
}

/**
 * Has the stacks of exceptions tell where the functions stand in the caller's
 * scripts. What was sent is data: it may have any shape, and nothing here throws.
 */
export function placeStacks(
  outcome: { readonly what: unknown },
  ref: FunctionRef,
): void {
  try {
    const { errors } = outcome.what as { errors: { stack?: unknown }[] };
    for (let i = 0; i < errors.length; i++) {
      const { stack } = errors[i];
      if (typeof stack === "string") errors[i].stack = placed(stack, ref);
    }
  } catch {
    // It stays as it came.
  }
}

/** A text, and where it stands in a script. */
interface Found {
  /** Where it begins in the program that the worker runs. */
  readonly from: number;
  readonly text: string;
  readonly url: string;
  /** Where it begins in the script. */
  readonly start: number;
  readonly script: Lines;
}

/** What is known of one function that was sent. */
interface Program {
  readonly lines: Lines;
  readonly found: readonly Found[];
  /** Places that were asked for. */
  readonly places: Map<string, string | undefined>;
}

const programs = new WeakMap<FunctionRef, Program>();
/** How many places of one program are kept. */
const MOST = 1000;

function placed(stack: string, ref: FunctionRef): string {
  if (ref.by !== "source" && ref.by !== "closure") return stack;
  const shown = ref.name.replace(/[^\w$.]+/g, "_") || "anonymous";
  if (!stack.includes(`${shown}, <anonymous>:`)) return stack;
  let program = programs.get(ref);
  if (!program) programs.set(ref, program = programOf(ref));
  if (program.found.length === 0) return stack;
  return stack.split("\n").map((line) => {
    const frame = /^(\s+at )(.*?)\(?(\S+), <anonymous>:(\d+):(\d+)\)?$/
      .exec(line);
    if (!frame || frame[3] !== shown) return line;
    const place = placeOf(program, Number(frame[4]), Number(frame[5]));
    if (place === undefined) return line;
    // What has no name the runtime calls by what has evaluated it.
    const name = frame[2].trim().replace(/^eval$/, "");
    return `${frame[1]}${name ? `${name} (${place})` : place}`;
  }).join("\n");
}

function programOf(ref: FunctionRef & { by: "source" | "closure" }): Program {
  // As `inside/runtime.ts` and `inside/rebuild_closure.ts` evaluate them.
  const isStrict = ref.by === "source" && !ref.isSloppy;
  const begin = isStrict ? `"use strict";(` : "(";
  const isMember = ref.by === "source" &&
    !/^(?:async\b\s*)?(?:function\b|class\b|\(|[\w$]+\s*=>)/.test(ref.source);
  const text = ref.by === "closure"
    ? begin + ref.code
    : `${begin}${isMember ? "{" : ""}${ref.source}`;
  const texts = ref.by === "closure" ? textsOf.get(ref) ?? [] : [ref.source];
  const found: Found[] = [];
  if (mayLook()) {
    const scripts = looking(() =>
      scriptsOf((url) => /^(?:file|https?|data):/.test(url))
    );
    for (const each of new Set(texts)) {
      const from = text.indexOf(each);
      const place = from < 0 ? undefined : find(each, scripts?.values() ?? []);
      if (place) found.push({ ...place, from, text: each });
    }
  }
  return { lines: new Lines(text), found, places: new Map() };
}

/** Finds a text in scripts, if it stands there once. */
function find(
  text: string,
  scripts: Iterable<Script>,
): Pick<Found, "url" | "start" | "script"> | undefined {
  let found: Pick<Found, "url" | "start" | "script"> | undefined;
  for (const { url, source } of scripts) {
    const start = source.indexOf(text);
    if (start < 0) continue;
    if (found || source.indexOf(text, start + 1) >= 0) return undefined;
    found = { url, start, script: new Lines(source) };
  }
  return found;
}

function placeOf(
  program: Program,
  line: number,
  column: number,
): string | undefined {
  const key = `${line}:${column}`;
  const { places, lines, found } = program;
  if (places.has(key)) return places.get(key);
  const at = lines.offsetOf(line - 1, column - 1);
  const part = found.find(({ from, text }) =>
    at >= from && at < from + text.length
  );
  let place: string | undefined;
  if (part) {
    const [line, column] = part.script.placeOf(part.start + at - part.from);
    place = original(part.url, line, column);
  }
  if (places.size >= MOST) places.clear();
  places.set(key, place);
  return place;
}

/**
 * Where a place of a script stands in the file that it was made from. The runtime
 * tells that of what is thrown there, so something is made that stands there.
 */
function original(url: string, line: number, column: number): string {
  const { process } = globalThis as unknown as {
    process: {
      getBuiltinModule(name: string): {
        runInThisContext(code: string, options: object): unknown;
      };
    };
  };
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 1;
  try {
    const stack = process.getBuiltinModule("node:vm").runInThisContext(
      "new Error().stack",
      { filename: url, lineOffset: line, columnOffset: column },
    );
    const frame = /at (?:.*\()?(\S+:\d+:\d+)\)?$/m.exec(String(stack));
    if (frame?.[1].startsWith(url)) return frame[1];
  } catch {
    // As it is, then.
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
  return `${url}:${line + 1}:${column + 1}`;
}

/** The lines of a text, counted from 0. */
class Lines {
  readonly #starts = [0];

  constructor(text: string) {
    for (const { index, 0: end } of text.matchAll(/\r\n|[\n\r\u2028\u2029]/g)) {
      this.#starts.push(index + end.length);
    }
  }

  offsetOf(line: number, column: number): number {
    return (this.#starts[line] ?? Infinity) + column;
  }

  placeOf(offset: number): [line: number, column: number] {
    let line = this.#starts.length - 1;
    while (this.#starts[line] > offset) line--;
    return [line, offset - this.#starts[line]];
  }
}
