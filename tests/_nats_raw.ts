/** A client of a NATS server that says whatever it is told to, by the bare protocol. */

const encoder = new TextEncoder();
/** Each byte is one letter, and each letter one byte. */
const latin = new TextDecoder("latin1");

/** A message, as it stands on the wire. */
export interface RawMessage {
  readonly subject: string;
  readonly reply?: string;
  /** All of them, with the line that begins them. */
  readonly headers?: Uint8Array;
  readonly data: Uint8Array;
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

/** A connection that checks nothing of what it sends. */
export class RawClient implements AsyncDisposable {
  readonly #conn: Deno.TcpConn;
  readonly #reading: Promise<void>;
  readonly #listeners = new Map<string, (message: RawMessage) => void>();
  readonly #flushed: (() => void)[] = [];
  #unwritten: Uint8Array[] = [];
  #hasEnded = false;

  private constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
    this.#reading = this.#read();
  }

  static async connect(url: string): Promise<RawClient> {
    const port = Number(new URL(url).port);
    const conn = await Deno.connect({ hostname: "127.0.0.1", port });
    const client = new RawClient(conn);
    client.#say(
      'CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true}\r\n',
    );
    await client.flush();
    return client;
  }

  #say(...parts: (string | Uint8Array)[]): void {
    for (const part of parts) {
      this.#unwritten.push(
        typeof part === "string" ? encoder.encode(part) : part,
      );
    }
  }

  listen(subject: string, onMessage: (message: RawMessage) => void): void {
    const id = `${this.#listeners.size + 1}`;
    this.#listeners.set(id, onMessage);
    this.#say(`SUB ${subject} ${id}\r\n`);
  }

  publish({ subject, reply = "", headers, data }: RawMessage): void {
    const to = reply === "" ? subject : `${subject} ${reply}`;
    if (headers) {
      const size = headers.length + data.length;
      this.#say(`HPUB ${to} ${headers.length} ${size}\r\n`, headers);
    } else {
      this.#say(`PUB ${to} ${data.length}\r\n`);
    }
    this.#say(data, "\r\n");
  }

  /** Resolves once the server has had all that was said. */
  async flush(): Promise<void> {
    this.#say("PING\r\n");
    const flushed = new Promise<void>((resolve, reject) => {
      if (this.#hasEnded) reject(new Error("the server has hung up"));
      this.#flushed.push(resolve);
    });
    const parts = this.#unwritten;
    this.#unwritten = [];
    const all = new Uint8Array(
      parts.reduce((sum, { length }) => sum + length, 0),
    );
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    for (let done = 0; done < all.length;) {
      done += await this.#conn.write(all.subarray(done));
    }
    await Promise.race([
      flushed,
      this.#reading.then(() => {
        throw new Error("the server has hung up");
      }),
    ]);
  }

  async #read(): Promise<void> {
    const chunk = new Uint8Array(65536);
    let text = "";
    while (true) {
      const count = await this.#conn.read(chunk).catch(() => null);
      if (count === null) break;
      text += latin.decode(chunk.subarray(0, count));
      for (let end; (end = text.indexOf("\r\n")) >= 0;) {
        const [verb, ...words] = text.slice(0, end).split(" ");
        let next = end + 2;
        if (verb === "MSG" || verb === "HMSG") {
          const size = Number(words.at(-1));
          if (text.length < next + size + 2) break;
          const body = text.slice(next, next + size);
          next += size + 2;
          this.#onMessage(verb === "HMSG", words, body);
        } else if (verb === "PING") {
          this.#conn.write(encoder.encode("PONG\r\n")).catch(() => {});
        } else if (verb === "PONG") this.#flushed.shift()?.();
        text = text.slice(next);
      }
    }
    this.#hasEnded = true;
  }

  #onMessage(hasHeaders: boolean, words: readonly string[], body: string) {
    const [subject, id] = words;
    const length = hasHeaders ? Number(words.at(-2)) : 0;
    const isAsked = words.length > (hasHeaders ? 4 : 3);
    this.#listeners.get(id)?.({
      subject,
      ...(isAsked && { reply: words[2] }),
      ...(hasHeaders && { headers: bytesOf(body.slice(0, length)) }),
      data: bytesOf(body.slice(length)),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#hasEnded) this.#conn.close();
    await this.#reading;
  }
}
