/** Programs in projects of their own, which are written to a folder for a test. */

import { assertEquals } from "@std/assert";
import { deno, type Ended } from "./_programs.ts";

/** A folder that is gone in the end. */
export interface Project extends Disposable {
  readonly path: string;
}

/**
 * What a program may import from `compare.ts`: it runs each function here and in
 * a worker of each kind, and prints where they differ.
 */
const COMPARE = (library: string) =>
  `import { ProcessPoolExecutor, ThreadPoolExecutor } from ${
    JSON.stringify(new URL("../mod.ts", library).href)
  };
export const kinds = {
  thread: ({ permissions: _, ...options } = {}) => new ThreadPoolExecutor({ maxWorkers: 1, ...options }),
  process: (options) => new ProcessPoolExecutor({ maxWorkers: 1, ...options }),
};
const show = (value) => value instanceof Error ? \`\${value.name}: \${value.message}\` : Deno.inspect(value);
export async function compare(tasks, options = {}) {
  let count = 0;
  for (const [kind, make] of Object.entries(kinds)) {
    const pool = make(options);
    for (const [name, task] of Object.entries(tasks)) {
      const [fn, ...args] = Array.isArray(task) ? task : [task];
      const here = await (async () => await fn(...args))().then(show, show);
      const there = await (async () => await pool.submit(fn, ...args).result())().then(show, show);
      if (here !== there) console.log(\`\${kind}, \${name}: here \${here}, there \${there}\`);
      count++;
    }
    await pool.shutdown();
  }
  console.log(\`\${count} compared\`);
}
`;

/** Writes a project: its files by their paths, and `compare.js`. */
export function project(
  files: Readonly<Record<string, string | Uint8Array | object>>,
): Project {
  const path = Deno.realPathSync(Deno.makeTempDirSync());
  const all: typeof files = {
    "compare.js": COMPARE(import.meta.url),
    ...files,
  };
  for (const [name, content] of Object.entries(all)) {
    const file = `${path}/${name}`;
    Deno.mkdirSync(file.replace(/\/[^/]*$/, ""), { recursive: true });
    if (content instanceof Uint8Array) Deno.writeFileSync(file, content);
    else {
      Deno.writeTextFileSync(
        file,
        typeof content === "string" ? content : JSON.stringify(content),
      );
    }
  }
  return {
    path,
    [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }),
  };
}

/** Runs a program of a project, in its folder if no other is named. */
export function runIn(
  { path }: Project,
  program: string,
  { flags = ["-A"], cwd = path }: {
    readonly flags?: readonly string[];
    readonly cwd?: string;
  } = {},
): Promise<Ended> {
  const args = ["run", "--no-prompt", "--no-check", ...flags];
  return deno([...args, `${path}/${program}`], { cwd });
}

/** Fails if a program ends otherwise than in the words given. */
export function assertSays(
  { code, stdout, stderr }: Ended,
  words: string,
): void {
  assertEquals({ code, stdout: stdout.trim(), stderr }, {
    code: 0,
    stdout: words.trim(),
    stderr: "",
  });
}
