/** A way to a server that writes down all that comes through, and who comes. */

/** What stands between clients and a server; in its place, should it be wanted, is an impostor. */
export class Tap implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #conns = new Set<Deno.Conn>();
  readonly #jobs = new Set<Promise<void>>();
  readonly #port: number;
  readonly #accepting: Promise<void>;
  #seen = "";
  /** How many connections were made. */
  count = 0;
  /** What is said to those who come, and nothing more, instead of what the server says. */
  impostor: string | undefined;
  /** Is told all that was said so far, each time that there is more. */
  onSeen: (text: string) => void = () => {};

  /** @param server The URL of the server. */
  constructor(server: string) {
    this.#port = Number(new URL(server).port);
    this.#accepting = (async () => {
      for await (const conn of this.#listener) {
        this.count++;
        const job = this.#serve(conn).catch(() => {}).finally(() => {
          this.#jobs.delete(job);
        });
        this.#jobs.add(job);
      }
    })();
  }

  urlOf(scheme: string, host = "127.0.0.1"): string {
    const { port } = this.#listener.addr as Deno.NetAddr;
    return `${scheme}://${host}:${port}`;
  }

  /** All bytes in both directions, one character each. */
  get seen(): string {
    return this.#seen;
  }

  forget(): void {
    this.#seen = "";
  }

  async #serve(near: Deno.Conn): Promise<void> {
    if (this.impostor !== undefined) return await this.#fool(near);
    const far = await Deno.connect({ hostname: "127.0.0.1", port: this.#port });
    for (const conn of [near, far]) this.#conns.add(conn);
    await Promise.all([this.#copy(near, far), this.#copy(far, near)]);
  }

  async #copy(from: Deno.Conn, to: Deno.Conn): Promise<void> {
    const chunk = new Uint8Array(65_536);
    try {
      for (let n; (n = await from.read(chunk)) !== null;) {
        this.#note(chunk.subarray(0, n));
        for (let done = 0; done < n;) {
          done += await to.write(chunk.subarray(done, n));
        }
      }
    } catch {
      // One of them is gone.
    } finally {
      this.#close(from);
      this.#close(to);
    }
  }

  async #fool(conn: Deno.Conn): Promise<void> {
    this.#conns.add(conn);
    const chunk = new Uint8Array(65_536);
    try {
      await conn.write(new TextEncoder().encode(this.impostor));
      for (let n; (n = await conn.read(chunk)) !== null;) {
        this.#note(chunk.subarray(0, n));
      }
    } finally {
      this.#close(conn);
    }
  }

  #note(bytes: Uint8Array): void {
    this.#seen += new TextDecoder("latin1").decode(bytes);
    this.onSeen(this.#seen);
  }

  #close(conn: Deno.Conn): void {
    if (this.#conns.delete(conn)) conn.close();
  }

  /** Ends all connections that there are. */
  cut(): void {
    for (const conn of this.#conns) this.#close(conn);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    this.cut();
    await this.#accepting;
    await Promise.all(this.#jobs);
  }
}

/** What a server says first that has nothing to hide. */
export function infoOf(more: object = {}): string {
  return `INFO ${
    JSON.stringify({
      ...{ server_id: "x", version: "2.10.0", proto: 1, headers: true },
      ...{ max_payload: 1048576, auth_required: true },
      ...more,
    })
  }\r\n`;
}
