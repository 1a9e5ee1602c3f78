/** A floor: a `deno run` child, and one line of JSON a task. */

import { run } from "../lib/harness.mjs";
import { openRaw, type RawWorker, type Reply } from "../lib/raw.ts";
import { lineOf, lineWriter, readLines } from "../lib/raw_lines.ts";

function start(onReply: (reply: Reply) => void): RawWorker {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--allow-read",
      new URL("../lib/raw_child.ts", import.meta.url).href,
    ],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const { write, close } = lineWriter(child.stdin);
  const ended = readLines(child.stdout, (replies) => {
    for (const reply of replies as Reply[]) onReply(reply);
  });
  return {
    send: (message) => write(lineOf(message)),
    async close() {
      await close();
      await ended;
      await child.status;
    },
  };
}

await run({
  name: "raw child",
  group: "processes",
  kind: "floor",
  open: (options) => Promise.resolve(openRaw(start, options)),
});
