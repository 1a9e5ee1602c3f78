/**
 * Crawls a site, at most four requests at a time, each for a second at most, with
 * a bar for each level. Ctrl-C ends it: what runs is stopped, what waits is
 * cancelled, and what was found is told.
 *
 * Run it: deno run --allow-net=127.0.0.1 examples/crawl.ts
 */

import {
  asCompleted,
  currentTask,
  EventLoopExecutor,
} from "@concurrent/futures";
import { progress } from "@concurrent/futures/progress";

const tooLate = Promise.withResolvers<Response>();

// A site of 31 pages, each of which leads to two others; one never answers.
await using server = Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen() {},
}, (request) => {
  const page = Number(new URL(request.url).pathname.slice(1));
  if (page === 21) return tooLate.promise;
  const links = [page * 2, page * 2 + 1].filter((page) => page < 32);
  return new Response(links.map((page) => `<a href="/${page}">`).join(""));
});
const site = `http://127.0.0.1:${server.addr.port}`;

const controller = new AbortController();
const stop = () => controller.abort(new Error("stopped by Ctrl-C"));
Deno.addSignalListener("SIGINT", stop);

// For calls that wait, the event loop is enough: no worker, no copy, and a
// function may use what stands around it.
await using executor = new EventLoopExecutor({ maxWorkers: 4 });
const limited = executor.with({ signal: controller.signal, timeLimit: 1000 });
const seen = new Set<string>();

async function linksOf(path: string): Promise<string[]> {
  const response = await fetch(site + path, {
    // Aborts when the call is to stop: the request ends with it.
    signal: currentTask()?.signal,
  });
  const text = await response.text();
  return [...text.matchAll(/href="([^"]+)"/g)].map(([, link]) => link);
}

let level = ["/1"];
for (let depth = 1; level.length > 0; depth++) {
  for (const path of level) seen.add(path);
  const pages = new Map(
    level.map((path) => [limited.submit(linksOf, path), path]),
  );
  const next = new Set<string>();
  for await (
    const future of progress(asCompleted(pages.keys()), {
      total: pages.size,
      label: `Level ${depth}`,
    })
  ) {
    try {
      for (const link of await future.result()) next.add(link);
    } catch (error) {
      console.log(`${pages.get(future)}: ${error}`);
    }
  }
  level = controller.signal.aborted
    ? []
    : [...next].filter((path) => !seen.has(path));
}
Deno.removeSignalListener("SIGINT", stop);
tooLate.resolve(new Response());

const { finished, failed, cancelled } = executor.stats().calls;
console.log(
  `${seen.size} pages: ${finished} read, ${failed} failed, ${cancelled} cancelled`,
);
