/**
 * Libraries of the npm registry, used right inside of functions that travel, in
 * projects of each kind.
 */

import { assertEquals } from "@std/assert";
import { deno } from "../_programs.ts";
import { assertSays, type Project, project, runIn } from "../_projects.ts";

const VERSIONS: Readonly<Record<string, string>> = {
  "big.js": "7.0.1",
  "chalk": "5.6.2",
  "csv-parse": "6.1.0",
  "date-fns": "4.1.0",
  "dayjs": "1.11.18",
  "decimal.js": "10.6.0",
  "escape-html": "1.0.3",
  "fast-deep-equal": "3.1.3",
  "handlebars": "4.7.8",
  "immer": "10.1.3",
  "lodash": "4.17.21",
  "marked": "15.0.12",
  "ms": "2.1.3",
  "nanoid": "5.1.5",
  "p-limit": "6.2.0",
  "ramda": "0.31.3",
  "semver": "7.7.2",
  "uuid": "11.1.0",
  "yaml": "2.8.1",
  "zod": "3.25.76",
};

/** Each library by its default, by names, as a whole: as its own pages have it. */
const USES = (compare: string) => `
import { compare } from ${JSON.stringify(compare)};
import Big from "big.js";
import chalk, { Chalk } from "chalk";
import { parse as parseCsv } from "csv-parse/sync";
import { addDays, format } from "date-fns";
import { addMonths } from "date-fns/addMonths";
import dayjs from "dayjs";
import utc from "dayjs/plugin/utc.js";
import { Decimal } from "decimal.js";
import escapeHtml from "escape-html";
import isEqual from "fast-deep-equal";
import Handlebars from "handlebars";
import { produce } from "immer";
import lodash from "lodash";
import groupBy from "lodash/groupBy.js";
import { marked } from "marked";
import ms from "ms";
import { customAlphabet, nanoid } from "nanoid";
import pLimit from "p-limit";
import * as R from "ramda";
import semver, { satisfies } from "semver";
import { v5, validate } from "uuid";
import * as YAML from "yaml";
import { z } from "zod";
await compare({
  "big.js": () => new Big("0.1").plus("0.2").toString(),
  "chalk": () => [chalk.red("x").length, new Chalk({ level: 1 }).blue("y")],
  "csv-parse": () => parseCsv("a,b\\n1,2", { columns: true }),
  "date-fns": () => format(addMonths(addDays(new Date(2020, 0, 31), 1), 1), "yyyy-MM-dd"),
  "dayjs": () => [dayjs("2020-02-29").year(), dayjs.extend(utc).utc("2020-01-01").format()],
  "decimal.js": () => new Decimal(2).sqrt().toString(),
  "escape-html": () => escapeHtml("<&>"),
  "fast-deep-equal": () => isEqual({ a: [1, { b: 2 }] }, { a: [1, { b: 2 }] }),
  "handlebars": () => Handlebars.compile("hi {{#each list}}{{this}}{{/each}}")({ list: [1, 2] }),
  "immer": () => produce({ list: [1] }, (draft) => { draft.list.push(2); }),
  "lodash": () => [lodash.camelCase("one two"), groupBy([1.2, 1.8, 2.1], Math.floor)],
  "marked": () => marked.parse("# a *b*"),
  "ms": () => [ms("2 days"), ms(60000)],
  "nanoid": () => [nanoid(9).length, customAlphabet("a", 5)()],
  "p-limit": async () => { const limit = pLimit(2); return await Promise.all([1, 2, 3].map((n) => limit(() => n * 2))); },
  "ramda": () => R.pipe(R.filter(R.gt(R.__, 1)), R.sum)([1, 2, 3]),
  "semver": () => [semver.gt("2.0.0", "1.9.9"), satisfies("1.2.3", "^1.0.0"), new semver.SemVer("1.2.3").minor],
  "uuid": () => [v5("name", v5.URL), validate("no")],
  "yaml": () => YAML.stringify(YAML.parse("a: [1, {b: 2}]")),
  "zod": () => z.object({ n: z.number().min(1), s: z.string().optional() }).safeParse({ n: 2 }).success,
}, { permissions: { env: true } });
`;

/** A library that needs another, found by module and by what was captured, in turn. */
const IN_TURN = (compare: string) => `
import { kinds } from ${JSON.stringify(compare)};
import pLimit from "p-limit";
import ms from "ms";
export async function task(text) { return await pLimit(1)(() => ms(text)); }
if (import.meta.main) {
  const module = import.meta.url;
  for (const [kind, make] of Object.entries(kinds)) {
    for (const options of [{ module }, { permissions: "none" }, { module }]) {
      const pool = make(options);
      console.log(kind, await pool.submit(task, "1s").result());
      await pool.shutdown();
    }
  }
}
`;

const IMPORTS = Object.fromEntries(
  Object.entries(VERSIONS).flatMap(([name, version]) => [
    [name, `npm:${name}@^${version}`],
    [`${name}/`, `npm:/${name}@^${version}/`],
  ]),
);

const PROJECTS: Record<
  string,
  { files: Parameters<typeof project>[0]; main: string }
> = {
  "a package.json": {
    files: {
      "package.json": {
        name: "app",
        private: true,
        type: "module",
        dependencies: VERSIONS,
      },
      "main.js": USES("./compare.js"),
      "in_turn.js": IN_TURN("./compare.js"),
    },
    main: "main.js",
  },
  "a deno.json and a lock file": {
    files: {
      "deno.json": { imports: IMPORTS },
      "main.js": USES("./compare.js"),
      "in_turn.js": IN_TURN("./compare.js"),
    },
    main: "main.js",
  },
  "a deno.json without a lock file": {
    files: {
      "deno.json": { imports: IMPORTS, lock: false },
      "main.js": USES("./compare.js"),
      "in_turn.js": IN_TURN("./compare.js"),
    },
    main: "main.js",
  },
  "a deno.json with a folder of packages": {
    files: {
      "deno.json": { imports: IMPORTS, nodeModulesDir: "auto" },
      "main.js": USES("./compare.js"),
      "in_turn.js": IN_TURN("./compare.js"),
    },
    main: "main.js",
  },
  "a workspace whose member has imports of its own": {
    files: {
      "deno.json": {
        workspace: ["./member"],
        // Others, of the same names.
        imports: { ms: "./wrong.js", lodash: "npm:lodash@4.17.20" },
      },
      "wrong.js": "export default () => 'wrong';",
      "member/deno.json": {
        name: "@example/member",
        version: "1.0.0",
        exports: "./main.js",
        imports: IMPORTS,
      },
      "member/main.js": USES("../compare.js"),
      "member/in_turn.js": IN_TURN("../compare.js"),
    },
    main: "member/main.js",
  },
};

/** Why the libraries can't be had, if they can't. */
async function install({ path }: Project): Promise<string | undefined> {
  const { code, stderr } = await deno(["install", "--quiet"], { cwd: path });
  return code === 0 ? undefined : stderr;
}

for (const [kind, { files, main }] of Object.entries(PROJECTS)) {
  Deno.test(`libraries of npm run in functions that captured them, in a project with ${kind}`, async () => {
    using made = project(files);
    const why = await install(made);
    if (why !== undefined) {
      console.log(`skipped, for the libraries can't be had: ${why}`);
      return;
    }
    const lock = lockOf(made);
    const ended = await runIn(made, main);
    assertSays(ended, `${Object.keys(VERSIONS).length * 2} compared`);
    const program = main.replace("main", "in_turn");
    const said = "thread 1000\n".repeat(3) + "process 1000\n".repeat(3);
    for (const cwd of [made.path, "/"]) {
      assertSays(await runIn(made, program, { cwd }), said);
    }
    // Children ask for nothing that the program did not ask for.
    assertEquals(lockOf(made), lock);
  });
}

Deno.test("a library of npm is the same in a child that keeps packages in another folder", async () => {
  using made = project({
    "deno.json": { imports: { ms: "npm:ms@2.1.3" }, lock: false },
    "main.js": `
import { kinds } from "./compare.js";
import ms from "ms";
const pool = kinds.process({ env: { DENO_DIR: import.meta.dirname + "/cache" } });
console.log(await pool.submit(() => ms("1s")).result());
await pool.shutdown();`,
  });
  const why = await install(made);
  if (why !== undefined) {
    console.log(`skipped, for the library can't be had: ${why}`);
    return;
  }
  assertSays(await runIn(made, "main.js"), "1000");
});

function lockOf({ path }: Project): string | undefined {
  try {
    return Deno.readTextFileSync(`${path}/deno.lock`);
  } catch {
    return undefined;
  }
}
