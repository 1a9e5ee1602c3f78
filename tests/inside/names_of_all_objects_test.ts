/** Programs that give all objects names which the library's own objects have, too. */

import { assertEquals } from "@std/assert";
import { deno } from "../_programs.ts";

const ROOT = new URL("../../", import.meta.url);

/** Names that the library reads, of which an object may have none. */
function namesIn(pattern: RegExp, ...files: string[]): string[] {
  const found = new Set<string>();
  for (const file of files) {
    const text = Deno.readTextFileSync(new URL(file, ROOT));
    for (const [, name] of text.matchAll(pattern)) found.add(name);
  }
  return [...found];
}

const internal = [...Deno.readDirSync(new URL("internal/", ROOT))]
  .flatMap(({ name: wing }) =>
    [...Deno.readDirSync(new URL(`internal/${wing}/`, ROOT))]
      .map(({ name }) => `internal/${wing}/${name}`)
  ).sort();
const names = new Set([
  // All that messages have, and all else that may be left out anywhere.
  ...namesIn(/readonly (\w+)\??:/g, "internal/call/protocol.ts"),
  ...namesIn(/(\w+)\?[:(]/g, ...internal),
  ..."error captured shared id value watched single chunk toJSON".split(" "),
]);
// Of these, what the runtime itself reads: it starts no worker, or ends, with them.
for (const name of ["source", "ports", "signal"]) names.delete(name);

for (const kind of ["thread", "process", "event loop"]) {
  Deno.test(`${kind}: whatever name a program gives all objects, calls give what they gave or an error says what is wrong`, async () => {
    // Some of many, other ones each time.
    const count = Number(Deno.env.get("HOSTILE_RUNS") ?? 12);
    const some = [...names].map((name) => [Math.random(), name] as const)
      .sort(([a], [b]) => a - b).slice(0, count).map(([, name]) => name);
    for (let at = 0; at < some.length; at += 30) {
      const part = some.slice(at, at + 30);
      const { stdout, stderr } = await deno([
        "run",
        "-A",
        "--no-check",
        `${new URL("../programs/names_of_all_objects.ts", import.meta.url)}`,
        kind,
        ...part,
      ]);
      const right = `all of ${part.length} names were tried`;
      assertEquals(stdout.trim(), right, stderr);
    }
  });
}
