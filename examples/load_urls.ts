/**
 * Loads five pages at once, and reports each as soon as it is there: Python's
 * `ThreadPoolExecutor` example. One page fails, one server can't be reached.
 *
 * Run it: deno run --allow-net=127.0.0.1 examples/load_urls.ts
 */

import { asCompleted, ThreadPoolExecutor } from "@concurrent/futures";

// Loads a page and gives its bytes. What it throws here, `result()` throws there.
async function loadUrl(url: string, timeout: number): Promise<Uint8Array> {
  const response = await fetch(url, { signal: AbortSignal.timeout(timeout) });
  const page = await response.bytes();
  if (!response.ok) {
    throw new Error(`HTTP ${response.status}: ${response.statusText}`);
  }
  return page;
}

// The web, as far as this example goes.
await using server = Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen() {},
}, (request) => {
  const pages: Record<string, string> = {
    "/news": "All is well. ".repeat(1000),
    "/business": "Nothing was sold. ".repeat(500),
    "/weather": "Rain.",
  };
  const page = pages[new URL(request.url).pathname];
  return page === undefined
    ? new Response("Try again later.", {
      status: 500,
      statusText: "Internal Server Error",
    })
    : new Response(page);
});
const host = `http://127.0.0.1:${server.addr.port}`;

const urls = [
  `${host}/news`,
  `${host}/business`,
  `${host}/weather`,
  `${host}/broken`,
  `http://127.0.0.1:${closedPort()}/`,
];

await using executor = new ThreadPoolExecutor({ maxWorkers: 5 });

// Start the load operations, and mark each future with its URL.
const futureToUrl = new Map(
  urls.map((url) => [executor.submit(loadUrl, url, 60_000), url]),
);
for await (const future of asCompleted(futureToUrl.keys())) {
  const url = futureToUrl.get(future);
  try {
    const page = await future.result();
    console.log(`${url} page is ${page.length} bytes`);
  } catch (error) {
    // The cause, where there is one, says more, as it does without a pool.
    const { cause } = error as Error;
    console.log(`${url} generated an exception: ${cause ?? error}`);
  }
}

/** A port where nobody listens. */
function closedPort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
