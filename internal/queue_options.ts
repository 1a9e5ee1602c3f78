/** The options that executors and workers of a queue have in common, checked. */

import { show } from "./timer.ts";

/** Shorter, and a worker that is busy for a moment would be taken for lost. */
const SHORTEST_LEASE = 1000;

/**
 * Checks where the server is.
 *
 * @throws {TypeError} when that is no URL of a server.
 */
export function checkServers(servers: unknown): string[] {
  const list = (Array.isArray(servers) ? servers : [servers]) as unknown[];
  if (list.length === 0) {
    throw new TypeError("servers must name at least one server");
  }
  return list.map((server) => {
    const isUrl = typeof server === "string" &&
      /^(?:nats|tls):\/\//.test(server) && URL.canParse(server) &&
      new URL(server).hostname !== "";
    if (isUrl) return server;
    throw new TypeError(
      `servers must be URLs such as nats://127.0.0.1:4222: received ${
        show(server)
      }`,
    );
  });
}

/**
 * Checks the name of a queue.
 *
 * @throws {TypeError} when it is none.
 */
export function checkQueue(queue: unknown): string {
  if (typeof queue === "string" && /^[\w-]+$/.test(queue)) return queue;
  throw new TypeError(
    `queue must be a name of letters, digits, "-" and "_": received ${
      show(queue)
    }`,
  );
}

/**
 * Checks how long workers may not be heard of.
 *
 * @throws {TypeError} when it is no number.
 * @throws {RangeError} when it is too short, or endless.
 */
export function checkLease(lease: unknown): number | undefined {
  if (lease === undefined) return undefined;
  if (typeof lease !== "number") {
    throw new TypeError(
      `lease must be a number of milliseconds: received ${show(lease)}`,
    );
  }
  if (lease >= SHORTEST_LEASE && Number.isFinite(lease)) {
    return Math.ceil(lease);
  }
  throw new RangeError(
    `lease must be at least ${SHORTEST_LEASE} milliseconds: received ${lease}`,
  );
}

/** The address of a server's URL, without what only it is to know. */
export function addressOf(server: string): string {
  const url = new URL(server);
  return url.port === "" ? url.hostname : `${url.hostname}:${url.port}`;
}

/** Who to be there, as the URL says. */
export function credentialsOf(
  server: string,
): { user?: string; pass?: string; token?: string } {
  const { username, password } = new URL(server);
  const [user, pass] = [username, password].map(decodeURIComponent);
  if (user === "") return {};
  return pass === "" ? { token: user } : { user, pass };
}
