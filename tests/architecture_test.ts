/** Who may know whom: the table of the package's files, held against what they import. */

import { assert, assertEquals } from "@std/assert";

const ROOT = new URL("../", import.meta.url);

interface Wing {
  /** What it is, in one line. */
  readonly is: string;
  /** The wings, and files of the top level, that it may import besides itself. */
  readonly mayImport: readonly string[];
}

/**
 * The wings of `internal/`, each above those that it may import. Types of
 * `internal/call/protocol.ts` are free.
 */
const WINGS: Record<string, Wing> = {
  base: {
    is: "small parts that know no call: timers, checks, bytes",
    mayImport: ["errors.ts"],
  },
  reader: {
    is: "reads JavaScript, and knows nothing else",
    mayImport: [],
  },
  platform: {
    is: "the questions to the runtime",
    mayImport: ["base"],
  },
  call: {
    is:
      "one call: its record, limits, statistics, what map gives, the messages",
    mayImport: ["base", "errors.ts", "future.ts"],
  },
  functions: {
    is: "how a function is named for a worker",
    mayImport: ["base", "reader", "platform", "call", "errors.ts"],
  },
  values: {
    is: "what can travel, and as which bytes",
    mayImport: ["base", "call", "functions"],
  },
  closures: {
    is: "what a function takes along",
    mayImport: [
      "base",
      "reader",
      "platform",
      "call",
      "functions",
      "values",
      "errors.ts",
    ],
  },
  inside: {
    is:
      "what runs in a worker: self-contained, so that it can travel as its source",
    // Nothing at run time. Types are free, since they don't travel.
    mayImport: [],
  },
  pool: {
    is: "queue, who gets which call, hand-off, deaths, the end of a pool",
    mayImport: [
      "base",
      "call",
      "functions",
      "values",
      "closures",
      "errors.ts",
      "future.ts",
      "executor.ts",
    ],
  },
  event_loop: {
    is: "a link with no worker behind it",
    mayImport: [
      "base",
      "call",
      "functions",
      "values",
      "closures",
      "inside",
      "pool",
    ],
  },
  threads: {
    is: "a link to a Web Worker: its options, its program, its shared memory",
    mayImport: [
      "base",
      "call",
      "functions",
      "values",
      "closures",
      "inside",
      "pool",
    ],
  },
  processes: {
    is: "a link to a `deno run`: its options, its program, its pipes",
    mayImport: [
      "base",
      "call",
      "functions",
      "values",
      "closures",
      "inside",
      "pool",
    ],
  },
  remote: {
    is: "calls on other machines, over a Transport",
    mayImport: [
      "base",
      "call",
      "functions",
      "values",
      "closures",
      "pool",
      "errors.ts",
      "future.ts",
      "executor.ts",
    ],
  },
  nats: {
    is: "a Transport over JetStream",
    mayImport: ["base", "remote", "errors.ts"],
  },
  progress: {
    is: "bars, lines, meter",
    mayImport: ["base"],
  },
};

/** The files of the top level, each above those that it may import, and the wings. */
const TOP_LEVEL: Record<string, readonly string[]> = {
  "errors.ts": [],
  "future.ts": ["base", "errors.ts"],
  "wait.ts": ["base", "errors.ts", "future.ts"],
  "executor.ts": ["base", "call", "errors.ts", "future.ts"],
  "current_task.ts": ["call"],
  "transfer.ts": ["call", "values"],
  "event_loop_executor.ts": [
    "base",
    "call",
    "functions",
    "values",
    "inside",
    "pool",
    "event_loop",
    "errors.ts",
    "executor.ts",
    "future.ts",
    "current_task.ts",
    "transfer.ts",
  ],
  "thread_pool.ts": [
    "base",
    "call",
    "functions",
    "values",
    "closures",
    "inside",
    "pool",
    "threads",
    "errors.ts",
    "executor.ts",
    "future.ts",
  ],
  "process_pool.ts": [
    "base",
    "call",
    "functions",
    "values",
    "closures",
    "inside",
    "pool",
    "processes",
    "errors.ts",
    "executor.ts",
    "future.ts",
  ],
  // Entry points of their own.
  "progress.ts": ["base", "progress"],
  "nats.ts": [
    "base",
    "call",
    "functions",
    "values",
    "closures",
    "inside",
    "pool",
    "remote",
    "nats",
    "processes",
    "errors.ts",
    "executor.ts",
    "future.ts",
  ],
  "worker.ts": ["remote", "nats", "process_pool.ts", "thread_pool.ts"],
  "mod.ts": [
    "call",
    "functions",
    "current_task.ts",
    "errors.ts",
    "event_loop_executor.ts",
    "executor.ts",
    "future.ts",
    "process_pool.ts",
    "thread_pool.ts",
    "transfer.ts",
    "wait.ts",
  ],
};

/** Modules from outside of the package that a file imports on purpose. */
const FROM_OUTSIDE: Record<string, string[]> = {
  "internal/progress/bars.ts": ["npm:cli-progress@^3.12.0"],
  "internal/nats/node_sockets.ts": ["node:net", "node:tls"],
  "internal/nats/client_link.ts": ["node:process"],
  "internal/nats/command.ts": ["node:url", "node:util"],
};

/** The package of an `npm:` specifier: `@nats-io/obj` of `npm:/@nats-io/obj@3.4.0`. */
function npmPackage(specifier: string): string | undefined {
  return /^npm:\/?(@?[^@]+)/.exec(specifier)?.[1];
}

const NPM_PACKAGES = Object.values(FROM_OUTSIDE).flat().map(npmPackage);

/** How many lines a file may have, comments and empty lines aside. */
const MOST_LINES = 450;

/** Files that may be longer, and why. */
const LONGER: Record<string, string> = {
  "internal/values/clone_checker.ts":
    "one self-contained program, which travels as its source",
  "internal/inside/runtime.ts":
    "one self-contained program, which travels as its source",
  "internal/values/codec.ts":
    "one self-contained factory, which travels as its source",
  "internal/reader/expressions.ts": "one grammar, whose rules call each other",
};

interface Import {
  /** The file that is imported, or the specifier of what is no file of ours. */
  readonly what: string;
  readonly typeOnly: boolean;
}

/** As `deno info --json` has it. */
interface Info {
  readonly modules: readonly {
    readonly specifier: string;
    readonly error?: string;
    readonly dependencies?: readonly {
      readonly specifier: string;
      readonly code?: { readonly specifier?: string };
      readonly type?: { readonly specifier?: string };
    }[];
  }[];
}

/** The package's files. */
function sourceFiles(): string[] {
  const files: string[] = [];
  const look = (folder: string) => {
    for (const { name, isFile } of Deno.readDirSync(new URL(folder, ROOT))) {
      if (!isFile) {
        if (folder !== "" || name === "internal") look(`${folder}${name}/`);
      } else if (name.endsWith(".ts")) {
        files.push(folder + name);
      }
    }
  };
  look("");
  return files.sort();
}

/** The wing that a file is in, or the file itself if it is of the top level. */
function roomOf(file: string): string {
  return /^internal\/(\w+)\/\w+\.ts$/.exec(file)?.[1] ?? file;
}

/** Whether a file is of the package, and in a place that it knows. */
function isOurs(file: string): boolean {
  const room = roomOf(file);
  return room === file ? room in TOP_LEVEL : room in WINGS;
}

function fileOf(specifier: string): string {
  return specifier.startsWith(ROOT.href)
    ? specifier.slice(ROOT.href.length)
    : specifier;
}

/** What `deno info` knows of a module, and of all that it imports. */
async function infoOf(file: string): Promise<Info> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", file],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

let graph: Promise<Map<string, readonly Import[]>> | undefined;

/** What each file imports, as `deno info` sees it. */
function imports(): Promise<Map<string, readonly Import[]>> {
  return graph ??= (async () => {
    const found = new Map<string, readonly Import[]>();
    // A worker's entry is imported by nothing.
    for (const root of ["mod.ts", ...sourceFiles()]) {
      if (found.has(root)) continue;
      for (const module of (await infoOf(root)).modules) {
        const { specifier, error, dependencies = [] } = module;
        assertEquals(error, undefined);
        found.set(
          fileOf(specifier),
          dependencies.map(({ specifier, code, type }) => ({
            what: fileOf(code?.specifier ?? type?.specifier ?? specifier),
            typeOnly: code === undefined,
          })),
        );
      }
    }
    return found;
  })();
}

Deno.test("the architecture knows every file of the package", () => {
  assertEquals(sourceFiles().filter((file) => !isOurs(file)), []);
});

Deno.test("the architecture lets a file import only what its row names", async () => {
  const problems: string[] = [];
  for (const [file, imported] of await imports()) {
    const room = roomOf(file);
    const allowed = [
      ...room === file
        ? TOP_LEVEL[file] ?? []
        : [room, ...WINGS[room].mayImport],
      ...FROM_OUTSIDE[file] ?? [],
    ];
    for (const { what, typeOnly } of imported) {
      if (typeOnly && what === "internal/call/protocol.ts") continue;
      if (typeOnly && room === "inside") continue;
      if (!allowed.includes(roomOf(what))) {
        problems.push(`${file} imports ${what}`);
      }
    }
  }
  assertEquals(problems, []);
});

Deno.test("the architecture has no module from outside of the package", async () => {
  const problems: string[] = [];
  for (const [file, imported] of await imports()) {
    const allowed = FROM_OUTSIDE[file] ?? [];
    for (const { what } of imported) {
      if (isOurs(what) || allowed.includes(what)) continue;
      problems.push(`${file} imports ${what}`);
    }
    const isNamed = file.startsWith("npm:") &&
      NPM_PACKAGES.includes(npmPackage(file));
    if (!(isOurs(file) || file.startsWith("node:") || isNamed)) {
      problems.push(`${file} is loaded`);
    }
  }
  assertEquals(problems, []);
});

Deno.test("the architecture has mod.ts load no package, and nothing that is about NATS", async () => {
  const files = (await infoOf("mod.ts")).modules
    .map(({ specifier }) => fileOf(specifier));
  assert(files.includes("mod.ts"), `${files}`);
  assertEquals(files.filter((file) => !isOurs(file)), []);
  assertEquals(files.filter((file) => /nats|remote|transport/.test(file)), []);
});

Deno.test("the architecture has no import that goes in a circle", async () => {
  const graph = await imports();
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (file: string, way: readonly string[]) => {
    if (way.includes(file)) {
      circles.push([...way.slice(way.indexOf(file)), file].join(" → "));
    } else if (!done.has(file)) {
      for (const { what } of graph.get(file) ?? []) visit(what, [...way, file]);
      done.add(file);
    }
  };
  for (const file of graph.keys()) visit(file, []);
  assertEquals(circles, []);
});

Deno.test("the architecture has mod.ts load nothing of the other entry points, nor from outside", async () => {
  const loaded = (await infoOf("mod.ts")).modules.map(({ specifier }) =>
    fileOf(specifier)
  );
  assert(loaded.includes("thread_pool.ts"), loaded.join());
  const apart = ["progress.ts", "bars.ts", "lines.ts", "meter.ts"];
  const wrong = loaded.filter((file) =>
    file.startsWith("npm:") || file.startsWith("node:") ||
    apart.some((name) => file.endsWith(name))
  );
  assertEquals(wrong, []);
});

Deno.test("the architecture has progress.ts load nothing of the executors", async () => {
  const loaded = (await infoOf("progress.ts")).modules
    .map(({ specifier }) => fileOf(specifier))
    .filter((file) => npmPackage(file) === undefined);
  assertEquals(loaded.sort(), [
    "internal/base/checks.ts",
    "internal/base/printing.ts",
    "internal/base/stays.ts",
    "internal/base/timers.ts",
    "internal/progress/bars.ts",
    "internal/progress/lines.ts",
    "internal/progress/meter.ts",
    "progress.ts",
  ]);
});

Deno.test("the architecture lets nothing import mod.ts", async () => {
  const importers = [...await imports()]
    .filter(([, imported]) => imported.some(({ what }) => what === "mod.ts"))
    .map(([file]) => file);
  assertEquals(importers, []);
});

Deno.test("the architecture's rows name wings and files, and none that is below in its own", () => {
  const rows = [...Object.keys(WINGS), ...Object.keys(TOP_LEVEL)];
  // Above the wings that stand on them.
  const early = ["errors.ts", "future.ts", "executor.ts"];
  const all = [
    ...Object.entries(WINGS).map(([wing, { mayImport }]) =>
      [wing, mayImport] as const
    ),
    ...Object.entries(TOP_LEVEL),
  ];
  for (const [row, allowed] of all) {
    for (const other of allowed) {
      assert(rows.includes(other), `${other} in the row of ${row}`);
      assert(
        rows.indexOf(other) < rows.indexOf(row) ||
          row in WINGS && early.includes(other),
        `${row} stands above ${other}, which it may import`,
      );
    }
  }
});

Deno.test("the protocol between pool and worker is types alone", async () => {
  assertEquals(Object.keys(await import("../internal/call/protocol.ts")), []);
});

Deno.test("the architecture has no file that is too long to be one", () => {
  const tooLong: string[] = [];
  for (const file of sourceFiles()) {
    if (file in LONGER) continue;
    const code = Deno.readTextFileSync(new URL(file, ROOT))
      .replace(/^\s*\/\*\*[^]*?\*\//gm, "")
      .replace(/^\s*\/\/.*$/gm, "");
    const lines = code.split("\n").filter((line) => line.trim() !== "").length;
    if (lines > MOST_LINES) tooLong.push(`${file} has ${lines} lines of code`);
  }
  assertEquals(tooLong, []);
});
