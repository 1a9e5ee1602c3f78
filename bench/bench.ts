/**
 * Measures this library, the floors under it and its peers on the same work in
 * one run, and prints tables of Markdown:
 *
 *     deno task bench                              all of it
 *     deno task bench --row f --row g              some rows
 *     deno task bench --subject threads,piscina    some subjects
 *     deno task bench --rounds 1                   a quick look
 *     deno task bench --json figures.json          every figure of every round too
 *     deno task bench --plot figures.svg           a picture of the tables there
 *     deno task bench --list                       what there is
 *
 * A figure is the median of all rounds; the rounds are interleaved, so that a
 * busy moment of the machine meets all subjects. Packages from npm are installed
 * when they are needed, into a folder outside of this one (`BENCH_CACHE`, else
 * in the folder for temporary files). What is missing is left out, and said.
 *
 * A run of all rows and subjects draws `docs/speed.svg`, the picture of the tables
 * in `docs/speed.md`: put the new tables there.
 *
 * ## A subject
 *
 * is a file in `subjects/`: `.ts` for Deno, `.mjs` for Node, `.py` for CPython.
 * It is started anew for each row and round, with the name of the row as its
 * argument, and speaks in lines of JSON on its stdout:
 *
 * - `{"subject": {…}}` answers the argument `describe`: what it is.
 * - `{"figures": {"a": 1.5}}`: what it measured. It then ends by itself.
 * - `{"weigh": "idle"}` asks for the memory of its processes to be noted now; it
 *   goes on when a line comes on its stdin.
 *
 * `lib/harness.mjs` and `lib/harness.py` do all of that: to add a subject is to
 * write a file that says how to make its pool and hand it a call.
 */

import { parseArgs } from "node:util";
import { cacheFolder, copyPrograms, install, runtimes } from "./peers.ts";
import { panelsOf, PICTURE, plot } from "./plot.ts";
import { ROWS } from "./rows.ts";
import {
  describe,
  type Figures,
  runRow,
  type Subject,
  TooLong,
} from "./subject.ts";
import { tableOf } from "./table.ts";

const { values: options } = parseArgs({
  args: Deno.args,
  options: {
    row: { type: "string", multiple: true, default: [] },
    subject: { type: "string", multiple: true, default: [] },
    rounds: { type: "string", default: "5" },
    json: { type: "string" },
    plot: { type: "string" },
    list: { type: "boolean", default: false },
  },
});

/** What an option names, all if it is not there. */
function chosen<T extends { id: string }>(
  option: "row" | "subject",
  all: readonly T[],
): T[] {
  const ids = options[option].flatMap((text) => text.split(","));
  const unknown = ids.find((id) => !all.some((one) => one.id === id));
  if (unknown !== undefined) {
    const known = all.map(({ id }) => id).join(", ");
    console.error(`There is no ${option} ${unknown}: choose of ${known}`);
    Deno.exit(1);
  }
  return all.filter(({ id }) => ids.length === 0 || ids.includes(id));
}

const rounds = Number(options.rounds);
if (!Number.isInteger(rounds) || rounds < 1) {
  console.error(`--rounds must be a positive integer: ${options.rounds}`);
  Deno.exit(1);
}

/** What the reader of the table has to know. */
const notes: string[] = [];
const note = (text: string) => {
  if (!notes.includes(text)) notes.push(text);
};

// ---- What there is ----------------------------------------------------------

const cache = cacheFolder();
const env = {
  NO_COLOR: "1",
  PYTHONPATH: new URL("lib/", import.meta.url).pathname,
  PYTHONPYCACHEPREFIX: `${cache}/pycache`,
};
const found = await runtimes((name) => note(`${name} is missing.`));
await copyPrograms(cache);

const folder = new URL("subjects/", import.meta.url);
const files = [...Deno.readDirSync(folder)].map(({ name }) => {
  const [id, ending] = name.split(".");
  return { id, name, ending };
}).sort((a, b) => a.id < b.id ? -1 : 1);

if (options.list) {
  console.log(`Subjects: ${files.map(({ id }) => id).join(", ")}`);
  for (const { id, figures } of ROWS) {
    for (const { title, unit } of figures) {
      console.log(`Row ${id}: ${title}, ${unit}`);
    }
  }
  Deno.exit();
}

const rows = chosen("row", ROWS);
const versions = new Map<string, string>();
const subjects: Subject[] = [];
for (const { id, name, ending } of chosen("subject", files)) {
  const runtime = found.get(ending);
  if (!runtime) continue;
  const path = ending === "mjs"
    ? `${cache}/subjects/${name}`
    : new URL(name, folder).pathname;
  try {
    const subject = await describe(id, path, runtime, env);
    versions.set(runtime.name, runtime.version);
    if (subject.npm) {
      versions.set(subject.npm, await install(cache, subject.npm));
    }
    for (const name of subject.npmToo ?? []) {
      versions.set(name, await install(cache, name));
    }
    subjects.push(subject);
  } catch (error) {
    note(`${id} is left out: ${(error as Error).message}`);
  }
}

// ---- Measuring --------------------------------------------------------------

const measured: { round: number; subject: string; figures: Figures }[] = [];
const failed = new Set<string>();
const began = new Date();
const [loadBefore] = Deno.loadavg();

for (let round = 1; round <= rounds; round++) {
  for (const row of rows) {
    for (const subject of subjects) {
      const { id, name } = subject;
      if ((row.queues ?? false) !== (subject.group === "queues")) continue;
      const where = `${name} (${subject.group}), row ${row.id}`;
      const reason = subject.skips[row.id];
      if (reason !== undefined) note(`${where}: ${reason}.`);
      if (reason !== undefined || failed.has(where)) continue;
      console.error(`round ${round} of ${rounds}, row ${row.id}: ${id}`);
      try {
        const figures = await runRow(subject, row.id, env);
        measured.push({ round, subject: id, figures });
        for (const { id, title } of row.figures) {
          if (!(id in figures)) {
            note(`${where}: ${title}: would take too long.`);
          }
        }
      } catch (error) {
        // What takes too long once is not waited for again.
        if (error instanceof TooLong) failed.add(where);
        note(`${where}: failed: ${(error as Error).message}`);
      }
    }
  }
}

// ---- The tables -------------------------------------------------------------

const minutes = (Date.now() - began.getTime()) / 60_000;
const loads = [loadBefore, Deno.loadavg()[0]].map((load) => load.toFixed(1));
console.log(`## ${began.toISOString().slice(0, 10)}

${[...versions].map(([name, version]) => `${name} ${version}`).join(", ")};
${Deno.build.target}, ${navigator.hardwareConcurrency} processors, load ${
  loads.join(" to ")
}, 2 workers (of a queue: 2 processes with 8 calls each), median of ${rounds} ${
  rounds === 1 ? "round" : "rounds"
}, ${minutes.toFixed(0)} minutes.
In brackets: how many times better the first column is.
`);
const tables: string[] = [];
for (const group of ["threads", "processes", "queues"]) {
  const figures = rows.filter(({ queues = false }) =>
    queues === (group === "queues")
  ).flatMap(({ figures }) => figures);
  if (figures.length === 0) continue;
  const table = tableOf(
    group,
    figures,
    subjects,
    ({ id }, figure) =>
      measured.flatMap(({ subject, figures }) =>
        subject === id && figure.id in figures ? [figures[figure.id]] : []
      ),
  );
  if (table === "") continue;
  tables.push(table);
  console.log(`${table}\n`);
}
for (const text of notes) console.log(`- ${text}`);

const isAll = options.row.length === 0 && options.subject.length === 0;
const picture = options.plot ?? (isAll ? PICTURE : undefined);
if (picture !== undefined) {
  await Deno.writeTextFile(picture, plot(panelsOf(tables.join("\n\n"))));
}

if (options.json !== undefined) {
  await Deno.writeTextFile(
    options.json,
    JSON.stringify(
      { date: began, versions: Object.fromEntries(versions), notes, measured },
      null,
      2,
    ),
  );
}
