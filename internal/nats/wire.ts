/** Ways for bytes to a server, whatever is below them. */

/** A way for bytes. */
export interface Wire {
  /** Resolves to how many bytes there are; `null` at the end. */
  read(into: Uint8Array): Promise<number | null>;
  /** Resolves to how many bytes were written. */
  write(bytes: Uint8Array): Promise<number>;
  /** Ends it at once. May be called again. */
  close(): void;
}

/** Something to be ended, should it take too long. */
export class Attempt {
  #close: (() => void) | undefined;
  readonly #over = new AbortController();

  /** Aborts when it is given up. */
  get signal(): AbortSignal {
    return this.#over.signal;
  }

  /** Takes what is to be closed in the end, instead of what was before. */
  hold<C extends { close(): void }>(conn: C): C {
    this.#close = () => conn.close();
    if (!this.#over.signal.aborted) return conn;
    this.end();
    throw new Error("the attempt was given up");
  }

  end(): void {
    this.#over.abort();
    this.#close?.();
  }
}

/** A connection in the clear, which can begin TLS. */
export interface PlainWire extends Wire {
  secure(attempt: Attempt): Promise<Wire>;
}

/** What a server says of itself. */
export interface ServerInfo {
  readonly version?: string;
  readonly max_payload: number;
  readonly headers?: boolean;
  readonly tls_required?: boolean;
  readonly tls_available?: boolean;
  readonly nonce?: string;
}
