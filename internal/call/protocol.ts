/**
 * What pool and worker say to each other, as types alone. The same for both
 * kinds of worker; how it is carried is each link's business.
 */

/** How a worker finds the function of a call. */
export type FunctionRef =
  /** By its source, or as the export of one of the worker's modules that has it. */
  | {
    readonly by: "source";
    readonly name: string;
    readonly source: string;
    /** Whether it is known to be no strict code: `this` and `arguments` are others there. */
    readonly isSloppy?: true;
    /** What would have let it take along what is around it. */
    readonly hint?: string;
    /** Only the export will do: the source is not to be run. */
    readonly exportedOnly?: true;
  }
  /** Made anew, with what it captured. */
  | ClosureRef
  /** A built-in, by the way to it from `globalThis`; the source proves it is the same. */
  | {
    readonly by: "name";
    readonly name: string;
    readonly path: readonly string[];
    readonly source: string;
  }
  /** An export of a module that the caller never loaded. */
  | {
    readonly by: "export";
    readonly name: string;
    readonly module: string;
  };

/** A function that takes along what is around it. */
export interface ClosureRef {
  readonly by: "closure";
  readonly name: string;
  readonly source: string;
  /** The program that makes it, and the functions that it captured. */
  readonly code: string;
  /** What it captured and is not copied, but found by the worker. */
  readonly finds: readonly Find[];
  /** The modules among these, those of the runtime aside. */
  readonly modules: readonly string[];
  /** Whether the functions are known to change nothing of what they captured. */
  readonly readsOnly: boolean;
  /** Only the export of this name and source will do: nothing is made anew. */
  readonly exportedOnly?: true;
}

/** What a worker finds by itself. */
export type Find =
  /** A built-in, by the way to it from `globalThis`. */
  | { readonly path: readonly string[] }
  /** An export; by the name "*", all of them. */
  | {
    /** What is imported. */
    readonly module: string;
    /** The module that this has to lead to, if that is known. */
    readonly url?: string;
    readonly name: string;
  };

/** What a function captured, as it was when it was submitted. */
export interface Captured {
  /** The values of variables, as structured clone copies them. */
  readonly values: readonly unknown[];
  /** Which of them are objects of the list: numbers of a value and an object, by turns. */
  readonly at?: readonly number[];
  /** The objects that are more than structured clone copies. */
  readonly objects?: readonly ObjectRecord[];
  /** Whether the members of classes have names that the values say. */
  readonly early?: true;
}

/** An object that a function captured, and what makes it the one that it was. */
export interface ObjectRecord {
  readonly is:
    | "object"
    | "array"
    | "map"
    | "set"
    | "error"
    /** `of` is a copy of it, but for what the record adds. */
    | "copy"
    /** The function that the program has made, by its number. */
    | "function"
    /** What a function has as its `prototype`; that is the object of this number. */
    | "prototype"
    /** What the worker finds, by its number. */
    | "find"
    /** A symbol: `["for", key]`, or `["is", name]` of one that the language has. */
    | "symbol";
  readonly of?: unknown;
  /** Which object its prototype is; left out: as it is made. */
  readonly proto?: number | null;
  /** Of an array, a Map or a Set: for each, what kind of value comes, and the value. */
  readonly entries?: readonly unknown[];
  /** Own properties: the key (a number: that symbol), attributes, and the value. */
  readonly members?: readonly unknown[];
  /** Own properties that it is made with, and has no more. */
  readonly without?: readonly string[];
  /** The names of its own properties, where it is made with some, in their order. */
  readonly order?: readonly string[];
  /** The static private fields of a class, as `entries`, in the order of its program. */
  readonly privates?: readonly unknown[];
  /** Whether it takes no more properties (1), is sealed (2) or frozen (3). */
  readonly closed?: 1 | 2 | 3;
}

/** What a function captured, as its calls have it on their way; see `closures/carried.ts`. */
export interface Carried {
  /** As packed by the kind of pool; it can be sent any number of times. */
  readonly packed: unknown;
  /** What workers know it by; `undefined`: it is of one call alone. */
  readonly id: number | undefined;
  /** One more needs it. */
  hold(): void;
  /** One needs it no more. */
  drop(): void;
}

/** What a function captured, as a message to a worker has it. */
export interface CarriedMessage {
  readonly id: number | undefined;
  /** `undefined`: the worker keeps it. */
  readonly captured: unknown;
}

/**
 * Arguments that are objects of what was captured: by their numbers (`values/numbering.ts`);
 * below zero, by those of their records.
 */
export type SharedArguments = readonly (readonly [
  argument: number,
  object: number,
])[];

/** A call on its way to a worker. `slot` names it there until it is answered. */
export interface CallMessage {
  readonly slot: number;
  readonly fn: FunctionRef;
  /** As packed by the kind of pool; plain arguments once it is in the worker. */
  readonly args: unknown;
  /**
   * What the function captured, as the pool has it. A function that captured
   * something and comes without has it behind the arguments.
   */
  readonly carried?: Carried;
  /** The same, as the worker gets it. */
  readonly captured?: CarriedMessage;
  /** Arguments that are objects of what was captured: which, by their numbers there. */
  readonly shared?: SharedArguments;
  /**
   * If the worker is to say when it starts the call: which call it is, among all
   * that have had the slot. What is said of it later may come when that has another.
   */
  readonly watched?: number;
  /** How many items of a `map` it is: `args` lists the arguments of each. */
  readonly count?: number;
  /** Whether each of these lists has one entry, which stands there by itself. */
  readonly single?: boolean;
}

/** Room for plain values. */
export interface SharedCells {
  /** `Float64`: numbers, and how long texts are. */
  readonly numbers: SharedArrayBuffer;
  /** `Uint16`: texts, as many units for each. */
  readonly texts: SharedArrayBuffer;
}

/** The memory that a pool shares with a thread; see `threads/shared_calls.ts`. */
export interface SharedLanes {
  /**
   * `Int32`: how many calls were left, whether the worker sleeps, a ring of them;
   * `undefined` where all come by message.
   */
  readonly calls: SharedArrayBuffer | undefined;
  /** Of the arguments, two for each slot. */
  readonly arguments: SharedCells;
  /**
   * `Int32`: how many results were left, whether the pool was told, how many it has
   * taken, and a ring of them.
   */
  readonly results: SharedArrayBuffer;
  /** For each place of that ring: the value, and how long the call took. */
  readonly values: SharedCells;
}

/** What a worker runs before its first call. */
export interface Initializer {
  readonly fn: FunctionRef;
  readonly args: readonly unknown[];
  readonly captured: CarriedMessage | undefined;
}

/** The first message to a worker. */
export interface StartMessage {
  readonly type: "start";
  /** Marks what the worker says as its own, and not a task's `postMessage`. */
  readonly token?: string;
  /** One `Int32` for each slot. */
  readonly flags: SharedArrayBuffer;
  /** Where plain calls and results are left, if pool and worker share memory. */
  readonly lanes?: SharedLanes;
  /** Modules whose exports are found by their source. */
  readonly modules: readonly string[];
  /** Whether one of these is the program itself, whose main part may run again. */
  readonly ownModule: boolean;
  readonly initializer: Initializer | undefined;
  /**
   * Whether the results of short calls may be told together. Where a worker's death
   * does not end all calls, it must be known which had ended.
   */
  readonly resultsTogether?: boolean;
  /** How many pools this worker is inside of. */
  readonly depth: number;
  /** The main module of the program, which the runtime doesn't tell a worker. */
  readonly mainModule?: string;
}

/** Asks a call that runs to stop: aborts the signal of its `currentTask()`. */
export interface AbortMessage {
  readonly type: "abort";
  readonly slot: number;
  /** Which one, as `CallMessage.watched` has it. */
  readonly call: number;
  /** Of the `DOMException` that the signal's reason is. */
  readonly name: string;
  readonly message: string;
}

/** What a link says to its worker. */
export type ToWorker =
  | StartMessage
  | AbortMessage
  /** Nobody needs what was captured under these numbers any more. */
  | { readonly type: "forget"; readonly ids: readonly number[] }
  /** Bars stand on the terminal: what is printed is to come by the pool's thread. */
  | { readonly type: "printing"; readonly isWatched: boolean }
  | {
    readonly type: "calls";
    readonly calls: readonly CallMessage[];
    /** Whether each has all that a call may have, if only `undefined`. */
    readonly areWhole?: true;
  };

/** A value, or an exception of the record's list. */
export type Slot = { readonly value: unknown } | { readonly error: number };

/** One exception, plain. */
export interface ErrorRecord {
  /** The way to its class from `globalThis`, if it is a built-in one. */
  readonly class: readonly string[];
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  /** Links that are no enumerable properties: `cause`, `errors`, `error`, `suppressed`. */
  readonly links: Readonly<Record<string, Slot | readonly Slot[]>>;
  /** Own enumerable properties. */
  readonly props: Readonly<Record<string, Slot | readonly Slot[]>>;
}

/** What a call threw. */
export interface Thrown {
  readonly thrown: Slot;
  /** All exceptions that hang together, each once. */
  readonly errors: readonly ErrorRecord[];
}

/** What came of a call. */
export type Outcome =
  | { readonly is: "returned"; readonly value: unknown }
  /** What it threw, as it is: where nothing travels. */
  | { readonly is: "raised"; readonly error: unknown }
  | { readonly is: "threw"; readonly what: Thrown }
  /** The module that it needs starts pools while it is imported. */
  | { readonly is: "unguarded"; readonly message: string };

/** What a worker says. */
export type FromWorker =
  /** Modules and initializer are done: calls run from here on. */
  | {
    readonly type: "ready";
    /** Modules that could not be imported, each with what the import threw. */
    readonly failures?: readonly Thrown[];
  }
  | { readonly type: "initializer failed"; readonly outcome: Outcome }
  | {
    readonly type: "outcome";
    readonly slot: number;
    /** How long the call took, in milliseconds. */
    readonly ms: number;
    readonly outcome: Outcome;
    /** Which item of a chunk it is of. */
    readonly item?: number;
  }
  /** The answer to a recall: the calls that will not start. */
  | {
    readonly type: "returned";
    readonly slots: readonly number[];
    /** Of chunks that were asked for: the slot, and how many items have started. */
    readonly chunks?: readonly (readonly [slot: number, started: number])[];
  }
  /** A call that is watched has started. */
  | { readonly type: "started"; readonly slot: number; readonly call: number }
  /** A call that is watched has asked for its signal; a child says so. */
  | { readonly type: "listens"; readonly slot: number; readonly call: number }
  /** A child's answer to an abort: whether the call that runs was told of it. */
  | {
    readonly type: "aborting";
    readonly slot: number;
    readonly call: number;
    readonly listens: boolean;
  }
  /** Results were left in shared memory. */
  | { readonly type: "look" }
  /** What was printed while bars stand on the terminal. */
  | {
    readonly type: "printed";
    readonly bytes: Uint8Array;
    readonly toStderr: boolean;
  }
  /** Calls that were taken back: their slots are free again. */
  | { readonly type: "skipped"; readonly slots: readonly number[] }
  /** The worker's last words. */
  | {
    readonly type: "died";
    readonly how: string;
    readonly error: Thrown | undefined;
  };

/** A task, as it sees itself. */
export interface CurrentTask {
  /** Aborts when the task is to stop: its signal aborted, or its time is over. */
  readonly signal: AbortSignal;
  /** The name of the worker that runs it: `self.name`. */
  readonly workerName: string;
}

/** What a worker's global scope holds for pools that are made inside of it. */
export interface WorkerMarker {
  /** How many pools this worker is inside of. */
  depth: number;
  /** The main module of the program. */
  mainModule: string | undefined;
  /** The modules that are being imported; pools must not start meanwhile. */
  readonly importing: string[];
  /** The modules that the worker was started with. */
  modules: readonly string[];
  /** Whether what runs now was started by a task. */
  inTask: () => boolean;
  /** The task that runs, as it sees itself. */
  readonly currentTask: () => CurrentTask | undefined;
  /** What a pool threw that was stopped from starting meanwhile. */
  unguarded: Error | undefined;
  /** What functions that were made anew have found here: another worker can, too. */
  readonly found: { get(value: object): Find | undefined };
}
