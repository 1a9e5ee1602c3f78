/** What NATS servers and clients say to each other: messages, headers, and how they are read. */

import { joined } from "../base/bytes.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const VERSION = "NATS/1.0";

/** The headers of a message. */
export class MsgHdrs {
  readonly #values = new Map<string, string[]>();
  /** The status that a server has put before them; 0 where it has not. */
  readonly code: number;

  constructor(code = 0) {
    this.code = code;
  }

  /** Reads headers as they come. What is no header is passed over. */
  static read(bytes: Uint8Array): MsgHdrs {
    const [first, ...lines] = decoder.decode(bytes).split("\r\n");
    const [, code] = /^NATS\/1\.0\s+(\d{3})/.exec(first) ?? [];
    const headers = new MsgHdrs(Number(code ?? 0));
    for (const line of lines) {
      const at = line.indexOf(":");
      if (at > 0) headers.#add(line.slice(0, at), line.slice(at + 1).trim());
    }
    return headers;
  }

  #add(name: string, value: string): void {
    const values = this.#values.get(name);
    if (values) values.push(value);
    else this.#values.set(name, [value]);
  }

  /** The first value of a header, or an empty text. */
  get(name: string): string {
    return this.#values.get(name)?.[0] ?? "";
  }

  /** Sets a header to one value, which must have no line ends. */
  set(name: string, value: string): void {
    this.#values.set(name, [value]);
  }

  encode(): Uint8Array {
    let text = `${VERSION}\r\n`;
    for (const [name, values] of this.#values) {
      for (const value of values) text += `${name}: ${value}\r\n`;
    }
    return encoder.encode(`${text}\r\n`);
  }
}

/** A message that came. */
export class Msg {
  readonly subject: string;
  readonly sid: number;
  /** Where an answer is to go, if one is wanted. */
  readonly reply: string | undefined;
  readonly headers: MsgHdrs | undefined;
  readonly data: Uint8Array;

  constructor(
    subject: string,
    sid: number,
    reply: string | undefined,
    headers: MsgHdrs | undefined,
    data: Uint8Array,
  ) {
    this.subject = subject;
    this.sid = sid;
    this.reply = reply;
    this.headers = headers;
    this.data = data;
  }

  string(): string {
    return decoder.decode(this.data);
  }

  /** @throws {SyntaxError} when it is no JSON. */
  json<T>(): T {
    return JSON.parse(this.string());
  }
}

/** What comes from a server. */
export interface ParserEvents {
  onMessage(msg: Msg): void;
  onPing(): void;
  onPong(): void;
  onInfo(line: string): void;
  onError(text: string): void;
}

/** How long a line may be, and a message, in bytes. */
const LONGEST_LINE = 1 << 20;
const LARGEST = 2 ** 30;
const LINE_END = 10;
const [M, H, P, I] = ["M", "H", "P", "I"].map((c) => c.charCodeAt(0));
const [PLUS, MINUS, O] = ["+", "-", "O"].map((c) => c.charCodeAt(0));

/** A message whose line has come, and not all of its payload. */
interface Partial {
  readonly fields: readonly string[];
  readonly hasHeaders: boolean;
  readonly bytes: Uint8Array;
  filled: number;
}

/** Reads what comes from a server, in whatever pieces. */
export class Parser {
  readonly #events: ParserEvents;
  #line: Uint8Array | undefined;
  #partial: Partial | undefined;

  constructor(events: ParserEvents) {
    this.#events = events;
  }

  /** @throws where it is not what a server says. */
  push(bytes: Uint8Array): void {
    let at = 0;
    const partial = this.#partial;
    if (partial) {
      at = Math.min(partial.bytes.length - partial.filled, bytes.length);
      partial.bytes.set(bytes.subarray(0, at), partial.filled);
      partial.filled += at;
      if (partial.filled < partial.bytes.length) return;
      this.#partial = undefined;
      this.#deliver(partial.fields, partial.hasHeaders, partial.bytes);
    } else if (this.#line) {
      bytes = joined(this.#line, bytes);
      this.#line = undefined;
    }
    while (at < bytes.length) {
      const end = bytes.indexOf(LINE_END, at);
      if (end < 0) {
        if (bytes.length - at > LONGEST_LINE) throw unreadable();
        this.#line = bytes.slice(at);
        return;
      }
      const first = bytes[at];
      const line = bytes.subarray(at, end);
      at = end + 1;
      if (first === M || first === H) {
        at = this.#readPayload(line, first === H, bytes, at);
      } else this.#onLine(first, line);
    }
  }

  /** @returns Where the next line begins. */
  #readPayload(
    line: Uint8Array,
    hasHeaders: boolean,
    bytes: Uint8Array,
    at: number,
  ): number {
    const fields = decoder.decode(line).trimEnd().split(/[ \t]+/);
    const isWhole = hasHeaders
      ? fields[0] === "HMSG" && (fields.length === 5 || fields.length === 6)
      : fields[0] === "MSG" && (fields.length === 4 || fields.length === 5);
    const size = Number(fields.at(-1));
    if (!isWhole || !(size >= 0 && size <= LARGEST)) throw unreadable();
    // Two more are the end of its line.
    const end = at + size + 2;
    if (end <= bytes.length) {
      this.#deliver(fields, hasHeaders, bytes.subarray(at, end));
      return end;
    }
    const partial = {
      ...{ fields, hasHeaders, filled: bytes.length - at },
      bytes: new Uint8Array(size + 2),
    };
    partial.bytes.set(bytes.subarray(at));
    this.#partial = partial;
    return bytes.length;
  }

  #deliver(
    fields: readonly string[],
    hasHeaders: boolean,
    bytes: Uint8Array,
  ): void {
    const [, subject, sid] = fields;
    const reply = fields.length > (hasHeaders ? 5 : 4) ? fields[3] : undefined;
    const head = hasHeaders ? Number(fields.at(-2)) : 0;
    const end = bytes.length - 2;
    if (!(head >= 0 && head <= end)) throw unreadable();
    this.#events.onMessage(
      new Msg(
        subject,
        Number(sid),
        reply,
        hasHeaders ? MsgHdrs.read(bytes.subarray(0, head)) : undefined,
        bytes.subarray(head, end),
      ),
    );
  }

  #onLine(first: number, line: Uint8Array): void {
    if (first === P) {
      if (line[1] === O) this.#events.onPong();
      else this.#events.onPing();
      return;
    }
    if (first === PLUS) return;
    const text = decoder.decode(line).trimEnd();
    if (first === I) this.#events.onInfo(text);
    else if (first === MINUS) {
      this.#events.onError(text.replace(/^-ERR\s*'?|'$/gi, ""));
    } else if (text !== "") throw unreadable();
  }
}

function unreadable(): Error {
  return new Error("what the server says can't be read");
}
