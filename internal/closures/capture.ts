/**
 * The caller's half of "closures travel": a function, and what it captured.
 *
 * A function whose source uses names that it does not declare is looked up by
 * the runtime's inspector (`platform/inspector.ts`). Of the variables around it, those that
 * it names go along (`reader/expressions.ts`):
 *
 * - values are copied, with the arguments of the call and as these are;
 * - functions and classes go as their source, with what they captured in turn;
 * - what was imported is imported by the worker, all but primitive values;
 * - built-ins are found there by their name.
 *
 * What goes is written down as a program that declares the same variables in
 * scopes that are nested in the same way: functions that share a variable here
 * share it there. The other half, `inside/rebuild_closure.ts`, runs that program anew for each
 * call.
 */

import { jsonOf } from "../base/own_json.ts";
import type {
  Captured,
  ClosureRef,
  Find,
  FunctionRef,
} from "../call/protocol.ts";
import { workerGlobals } from "../call/realm.ts";
import {
  describe,
  isSloppy,
  label,
  taskModules,
} from "../functions/describe.ts";
import {
  lookAround,
  looking,
  mayLook,
  type Place,
  type Surroundings,
  UNSET,
  urlOf,
  valueIn,
} from "../platform/inspector.ts";
import { changesNothing } from "../reader/effects.ts";
import type { SourceFacts } from "../reader/expressions.ts";
import { isCopied } from "../values/object_kinds.ts";
import {
  CapturedImports,
  findExport,
  findOfRuntime,
} from "./captured_imports.ts";
import { CapturedValues, isAllPlain } from "./captured_values.ts";
import { ClassParts } from "./class_parts.ts";
import {
  factsOf,
  hasOwnMembers,
  isNative,
  pathOf,
  privateNames,
} from "./function_facts.ts";
import {
  needsLanguage,
  needsNothing,
  OUTER_ADVICE,
  withHint,
} from "./needs.ts";
import { noteTexts } from "./script_stacks.ts";
import { namespaceOf, scriptFacts } from "./scripts.ts";
import { isSure, nodeOf } from "./shared_variables.ts";
import {
  type Cell,
  type Fn,
  type Made,
  programOf,
  type ScopeNode,
  type Value,
} from "./write_program.ts";

/** A function as it is sent. */
export interface Closure {
  readonly ref: FunctionRef;
  /** What goes with it; `undefined`: nothing. */
  readonly captured: Captured | undefined;
}

/** What is known to take nothing along. With a symbol, which does not travel. */
const NOTHING = Symbol("takes nothing along");
type Marked = FunctionRef & { [NOTHING]?: true };

/** Functions of whose names none is found around them. */
const alone = new WeakSet<Fn>();
/**
 * Sources whose names were seen to be the built-ins: of functions that are made
 * anew for each call, the first is looked at for all.
 */
const genuine = new WeakSet<FunctionRef>();
/** The scripts of functions. */
const scripts = new WeakMap<Fn, string>();
/** Functions with nothing but a module around them: its variables will do for all. */
const inModule = new WeakMap<Fn, { script: string; place: Place }>();

/** Whether a source is not understood. */
function isWrong(
  facts: ReturnType<typeof factsOf>,
): facts is Extract<typeof facts, { error: unknown }> {
  return Object.hasOwn(facts, "error");
}

/** Whether a function is known to take nothing along: most come many times. */
export function takesNothing(ref: FunctionRef): boolean {
  return (ref as Marked)[NOTHING] === true;
}

/**
 * Finds what a function takes along.
 *
 * @throws {DOMException} `DataCloneError` when something of it can't travel.
 */
export function closureOf(fn: unknown, ref: FunctionRef): Closure | undefined {
  if (ref.by !== "source") return mark(ref);
  if (isNative(ref.source)) {
    const find = mayLook() ? looking(() => findOfRuntime(fn as Fn)) : undefined;
    return find && new Capture(ref).imported(find);
  }
  const facts = factsOf(ref);
  // What is not understood goes as it is. A class can't be called: the worker
  // says so.
  if (isWrong(facts) || facts.isClass) return mark(ref);
  const isOfLanguage = needsLanguage(facts);
  if (
    isOfLanguage && (needsNothing(facts) || genuine.has(ref) || !mayLook())
  ) {
    if (!facts.usesOwnName) return mark(ref);
    // What it has as properties, it may find by its own name.
    if (!hasOwnMembers(fn as Fn)) return undefined;
  }
  if (alone.has(fn as Fn) && !hasOwnMembers(fn as Fn)) return undefined;
  if (!mayLook()) return { ref: withHint(ref), captured: undefined };
  const closure = looking(() => new Capture(ref).closure(fn as Fn, facts));
  if (!closure) {
    alone.add(fn as Fn);
    if (isOfLanguage) genuine.add(ref);
  }
  return closure;
}

function mark(ref: Marked): undefined {
  ref[NOTHING] = true;
}

/** A reference for each program, as there is one for each source. */
const refs = new Map<string, ClosureRef>();
const MOST_REFS = 500;

/** References of which the values were seen to be such as can be copied. */
const copied = new WeakSet<ClosureRef>();

function canBeCopied({ ref, captured }: Closure): boolean {
  if (ref.by !== "closure" || copied.has(ref)) return true;
  if (captured && isAllPlain(captured)) return true;
  if (!isCopied(captured)) return false;
  copied.add(ref);
  return true;
}

/** Gathers what goes with one function. */
class Capture {
  readonly #ref: FunctionRef & { by: "source" };
  /** Whether scopes are told apart by where they stand, which takes its time. */
  readonly #isExact: boolean;
  /** Functions that are imported, as what they use can't go along. */
  readonly #exports: ReadonlyMap<unknown, Find>;
  readonly #top: ScopeNode[] = [];
  /** Functions that stand in no scope but the global one. */
  readonly #loose: Made[] = [];
  readonly #made: Made[] = [];
  readonly #madeOf = new Map<Fn, Made>();
  /** Functions whose names are still to be looked up. */
  readonly #todo: Made[] = [];
  readonly #finds: Find[] = [];
  readonly #findOf = new Map<unknown, number>();
  readonly #values: CapturedValues;
  readonly #around = new Map<Fn, Surroundings>();
  readonly #classes = new ClassParts((path, why, advice) =>
    this.#cannot(path, why, advice)
  );
  readonly #imports = new CapturedImports((path, why, advice) =>
    this.#cannot(path, why, advice)
  );

  constructor(
    ref: FunctionRef & { by: "source" },
    isExact = false,
    exports: ReadonlyMap<unknown, Find> = new Map(),
  ) {
    this.#ref = ref;
    this.#isExact = isExact;
    this.#exports = exports;
    this.#values = new CapturedValues({
      reference: (fn, path) => this.#reference(fn, path),
      find: (object, path) => this.#findObject(object, path),
      mayFind: (object) =>
        this.#findOf.has(object) || namespaceOf(object) !== undefined ||
        this.#imports.mayHave(object),
      privates: (fn) => this.#classes.privates(fn),
      cannot: (path, why, advice) => this.#cannot(path, why, advice),
    });
  }

  closure(fn: Fn, facts: SourceFacts): Closure | undefined {
    let closure: Closure | undefined;
    try {
      closure = this.#gather(fn, facts);
    } catch (error) {
      const other = this.#withExport(fn, facts);
      if (other) return other;
      throw error;
    }
    if (!closure?.captured || canBeCopied(closure)) return closure;
    return this.#withExport(fn, facts) ?? closure;
  }

  /** The same, where something can't go along, with one more function imported. */
  #withExport(fn: Fn, facts: SourceFacts): Closure | undefined {
    for (const { fn: other, index } of this.#made) {
      const find = findExport(other, this.#scriptOf(other));
      if (!find) continue;
      if (index === 0) return new Capture(this.#ref).imported(find);
      const exports = new Map([...this.#exports, [other, find]]);
      return new Capture(this.#ref, this.#isExact, exports).closure(fn, facts);
    }
    return undefined;
  }

  /** The function itself as what a worker imports. */
  imported(find: Find): Closure {
    this.#finds.push(find);
    const code = "($)=>{$.f[0]=$.r[0]}";
    return { ref: this.#refOf(code), captured: this.#values.captured(false) };
  }

  #gather(fn: Fn, facts: SourceFacts): Closure | undefined {
    this.#make(fn, facts, "");
    for (let made; (made = this.#todo.pop());) this.#lookUp(made);
    if (this.#made[0].cells.length === 0 && !this.#hasParts(this.#made[0])) {
      return undefined;
    }
    if (
      !isSure(
        this.#made,
        this.#isExact,
        (path, why, advice) => this.#cannot(path, why, advice),
      )
    ) {
      return new Capture(this.#ref, true, this.#exports).closure(fn, facts);
    }
    const code = programOf({
      top: this.#top,
      loose: this.#loose,
      made: this.#made,
      madeOf: this.#madeOf,
      findOf: this.#findOf,
    });
    const early = this.#made.some(({ facts }) => facts.computed.length > 0);
    return { ref: this.#refOf(code), captured: this.#values.captured(early) };
  }

  /** Whether a function finds by its own name what its source does not give it. */
  #hasParts({ fn, facts }: Made): boolean {
    return facts.usesOwnName && hasOwnMembers(fn);
  }

  #refOf(code: string): ClosureRef {
    const [{ name, source }, finds] = [this.#ref, this.#finds];
    const key = jsonOf([name, source, code, finds]);
    let ref = refs.get(key);
    if (!ref) {
      const modules = new Set<string>();
      for (const find of finds) {
        if (
          !Object.hasOwn(find, "path") && "module" in find &&
          !find.module.startsWith("node:")
        ) {
          modules.add(find.module);
          taskModules.add(find.module);
        }
      }
      if (refs.size >= MOST_REFS) refs.clear();
      ref = {
        by: "closure",
        name,
        source,
        code,
        finds,
        readsOnly: finds.length === 0 && this.#made.every(changesNothing),
        modules: [...modules],
      };
      refs.set(key, ref);
      noteTexts(ref, this.#made.map(({ facts }) => facts.text));
    }
    return ref;
  }

  #cannot(path: string, why: string, advice: string): DOMException {
    const what = path === "" ? why : `captured "${path}" ${why}`;
    return new DOMException(
      `Cannot send ${label(this.#ref)} to a worker: ${
        path === "" ? `it ${what}` : what
      }; ${advice}`,
      "DataCloneError",
    );
  }

  // ---- Functions -------------------------------------------------------------

  #make(fn: Fn, facts: SourceFacts, path: string): Made {
    for (const use of facts.outer) {
      if (use === "a #private name" && this.#classes.hasPrivates(fn, facts)) {
        continue;
      }
      throw this.#cannot(
        path,
        `uses ${
          use.startsWith("a ") ? use : `"${use}"`
        } from around it, which can't be read`,
        OUTER_ADVICE[use],
      );
    }
    const made: Made = {
      index: this.#made.length,
      fn,
      facts,
      isSloppy: isSloppy(fn, facts.text),
      path,
      cells: [],
      members: this.#classes.members(fn, facts, path),
      privates: privateNames(facts, () => this.#classes.privates(fn)),
    };
    this.#made.push(made);
    this.#madeOf.set(fn, made);
    this.#todo.push(made);
    return made;
  }

  /** What is around a function, asked for once, or less where that will do. */
  #look(fn: Fn): Surroundings {
    const known = this.#around.get(fn);
    if (known) return known;
    const module = inModule.get(fn);
    const node = module &&
      this.#nodes().find(({ script }) => script === module.script);
    const around = node ? { ...module, scopes: [node.scope] } : lookAround(fn);
    this.#around.set(fn, around);
    const { script, place, scopes } = around;
    scripts.set(fn, script);
    if (scopes.length === 1 && scopes[0].kind === "Module") {
      inModule.set(fn, { script, place });
    }
    return around;
  }

  #scriptOf(fn: Fn): string {
    return scripts.get(fn) ?? this.#look(fn).script;
  }

  /** Finds the variables that a function names. */
  #lookUp(made: Made): void {
    const { fn, facts } = made;
    const around = this.#look(fn);
    const node = nodeOf(around, this.#top, this.#isExact);
    made.around = around;
    (node?.functions ?? this.#loose).push(made);
    for (const name of facts.names) {
      if (facts.atFirst.has(name)) continue;
      let at = node;
      while (at && !Object.hasOwn(at.scope.variables, name)) at = at.parent;
      if (!at) {
        // They were worked out where the class was made, which shows nothing.
        if (facts.computed.includes(name) && !(name in globalThis)) {
          throw this.#cannot(
            made.path,
            `has a member whose name is computed from ${name}, which can't be read`,
            "give it a plain name",
          );
        }
        continue;
      }
      let cell = at.cells.get(name);
      if (!cell) {
        cell = this.#cell(at, name);
        at.cells.set(name, cell);
      }
      if (facts.assigned.has(name)) this.#assign(cell, around);
      made.cells.push(cell);
    }
    const { path } = made;
    if (facts.isClass) {
      const parent = Object.getPrototypeOf(fn);
      if (parent !== Function.prototype && typeof parent === "function") {
        this.#reference(parent, path);
      }
    }
    this.#values.addFunction(made, path || this.#ref.name);
  }

  /** A function assigns to a variable: that of a constant would succeed there. */
  #assign(cell: Cell, { script, place }: Surroundings): void {
    cell.isAssigned = true;
    const { name } = cell;
    if (!scriptFacts(script).isConstant(place, name)) return;
    throw this.#cannot(
      name,
      "is a constant, to which the function assigns",
      "declare it with let",
    );
  }

  // ---- Variables -------------------------------------------------------------

  #cell(node: ScopeNode, name: string): Cell {
    const value = valueIn(node.scope, name);
    if (value === UNSET) {
      throw this.#cannot(
        name,
        "has no value yet",
        "submit the function after it was given one",
      );
    }
    const holds = new Set<Made>();
    return {
      name,
      node,
      value: this.#value(node, name, value, holds),
      holds,
      isAssigned: false,
    };
  }

  #value(
    node: ScopeNode,
    name: string,
    value: unknown,
    holds: Set<Made>,
  ): Value {
    if (typeof value === "function") {
      const reference = this.#reference(value as Fn, pathOf(name, value as Fn));
      if (typeof reference === "number") {
        return { is: "find", index: reference };
      }
      holds.add(reference);
      return { is: "function", made: reference };
    }
    if (typeof value === "object" && value !== null) {
      let module = node;
      while (module.parent) module = module.parent;
      this.#imports.read(module.script, module.scope);
      const index = this.#findObject(value, name);
      if (index !== undefined) return { is: "find", index };
    }
    return { is: "data", index: this.#values.add(name, value, holds) };
  }

  #findObject(object: object, path: string): number | undefined {
    const known = this.#findOf.get(object);
    if (known !== undefined) return known;
    const find = namespaceOf(object) ?? this.#imports.find(object, path);
    return find && this.#find(object, find);
  }

  #find(value: unknown, find: Find): number {
    let index = this.#findOf.get(value);
    if (index === undefined) {
      index = this.#finds.push(find) - 1;
      this.#findOf.set(value, index);
    }
    return index;
  }

  /** A function as what is made anew, or as the number of a find. */
  #reference(fn: Fn, path: string): Made | number {
    const known = this.#madeOf.get(fn) ?? this.#findOf.get(fn);
    if (known !== undefined) return known;
    const own = workerGlobals.get(fn);
    if (own !== undefined) return this.#find(fn, { path: [own] });
    const exported = this.#exports.get(fn);
    if (exported) return this.#find(fn, exported);
    const ref = describe(fn, "a captured function", true);
    if (ref.by === "name" && this.#isOfRuntime(fn, ref.source)) {
      return this.#find(fn, { path: ref.path });
    }
    if (ref.by === "export") {
      return this.#find(fn, { module: ref.module, name: ref.name });
    }
    const source: FunctionRef & { by: "source" } = ref.by === "source"
      ? ref
      : { by: "source", name: fn.name, source: ref.source };
    const hasSource = !isNative(source.source);
    const script = hasSource ? this.#scriptOf(fn) : undefined;
    // What stands in the same script was not imported.
    if (!this.#nodes().some((node) => node.script === script)) {
      for (const { script, scope } of this.#nodes()) {
        this.#imports.read(script, scope);
      }
      const find = this.#imports.find(fn, path);
      if (find) return this.#find(fn, find);
    }
    const find = findOfRuntime(fn, script);
    if (find) return this.#find(fn, find);
    if (!hasSource) {
      throw this.#cannot(
        path,
        "is a bound or native function, which has no source",
        "export it from a module and import it, or call what it calls",
      );
    }
    const facts = factsOf(source);
    if (isWrong(facts)) {
      throw this.#cannot(
        path,
        `has a source that is not understood (${facts.error.message})`,
        "pass what it needs as arguments",
      );
    }
    return this.#make(fn, facts, path);
  }

  /** Whether a global function is not one that the program has put there. */
  #isOfRuntime(fn: Fn, source: string): boolean {
    return isNative(source) ||
      /^(?:ext|node):/.test(urlOf(this.#scriptOf(fn)));
  }

  /** All nodes of modules. */
  #nodes(): ScopeNode[] {
    return this.#top.filter(({ scope }) => scope.kind === "Module");
  }
}
