/** A notebook: as much of Jupyter's protocol as it takes to have a kernel run cells. */

import { assertEquals } from "@std/assert";

/** A frame with more to come, of more than 255 bytes, or of the protocol's own. */
const MORE = 1, LONG = 2, COMMAND = 4;
/** What stands between the frames of the route and those of the message. */
const DELIMITER = "<IDS|MSG>";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A connection to a socket of the kernel's, in ZeroMQ's protocol. */
class Socket implements Disposable {
  readonly #conn: Deno.Conn;
  #read = new Uint8Array(0);

  constructor(conn: Deno.Conn) {
    this.#conn = conn;
  }

  static async connect(port: number, type: "DEALER" | "SUB"): Promise<Socket> {
    const socket = new Socket(await connect(port));
    const greeting = new Uint8Array(64);
    greeting.set([0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 0]);
    greeting.set(encoder.encode("NULL"), 12);
    await socket.#write(greeting);
    await socket.#bytes(64);
    const field = (name: string, value: string) => [
      name.length,
      ...encoder.encode(name),
      ...[0, 0, 0, value.length],
      ...encoder.encode(value),
    ];
    const ready = [5, ...encoder.encode("READY")];
    ready.push(...field("Socket-Type", type), ...field("Identity", ""));
    await socket.#frame(COMMAND, new Uint8Array(ready));
    assertEquals((await socket.#nextFrame()).flags & COMMAND, COMMAND);
    // To all that there is.
    if (type === "SUB") await socket.#frame(0, new Uint8Array([1]));
    return socket;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      done += await this.#conn.write(bytes.subarray(done));
    }
  }

  async #bytes(count: number): Promise<Uint8Array> {
    while (this.#read.length < count) {
      const chunk = new Uint8Array(65536);
      const length = await this.#conn.read(chunk);
      if (length === null) throw new Error("the kernel has hung up");
      const all = new Uint8Array(this.#read.length + length);
      all.set(this.#read);
      all.set(chunk.subarray(0, length), this.#read.length);
      this.#read = all;
    }
    const bytes = this.#read.slice(0, count);
    this.#read = this.#read.slice(count);
    return bytes;
  }

  #frame(flags: number, body: Uint8Array): Promise<void> {
    const length = new Uint8Array(8);
    new DataView(length.buffer).setBigUint64(0, BigInt(body.length));
    return this.#write(new Uint8Array([flags | LONG, ...length, ...body]));
  }

  async #nextFrame(): Promise<{ flags: number; body: Uint8Array }> {
    const [flags] = await this.#bytes(1);
    const length = await this.#bytes(flags & LONG ? 8 : 1);
    const size = flags & LONG
      ? Number(new DataView(length.buffer).getBigUint64(0))
      : length[0];
    return { flags, body: await this.#bytes(size) };
  }

  /** Sends a message that nobody signs. */
  async send(type: string, content: object): Promise<string> {
    const id = crypto.randomUUID();
    const header = { msg_id: id, msg_type: type, session: "s", username: "u" };
    const date = new Date().toISOString();
    const parts = [DELIMITER, ""];
    for (const part of [{ ...header, date, version: "5.3" }, {}, {}, content]) {
      parts.push(JSON.stringify(part));
    }
    for (const [i, part] of parts.entries()) {
      const last = i === parts.length - 1;
      await this.#frame(last ? 0 : MORE, encoder.encode(part));
    }
    return id;
  }

  /** The next message's type, what it is about, and its content. */
  // deno-lint-ignore no-explicit-any -- content of whatever message
  async next(): Promise<{ type: string; about: string; content: any }> {
    const parts: string[] = [];
    for (let more = true; more;) {
      const { flags, body } = await this.#nextFrame();
      parts.push(decoder.decode(body));
      more = (flags & MORE) !== 0;
    }
    const at = parts.indexOf(DELIMITER);
    const [header, parent, , content] = parts.slice(at + 2).map((part) =>
      JSON.parse(part)
    );
    return { type: header.msg_type, about: parent.msg_id, content };
  }

  [Symbol.dispose](): void {
    this.#conn.close();
  }
}

/** A port that nobody listens at. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Tries until there is somebody who listens. */
async function connect(port: number): Promise<Deno.Conn> {
  while (true) {
    try {
      return await Deno.connect({ hostname: "127.0.0.1", port });
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

/** Has a kernel run cells, of which all but the first show something; gives that. */
export async function runCells(cells: readonly string[]): Promise<string[]> {
  const file = await Deno.makeTempFile({ suffix: ".json" });
  const ports = Object.fromEntries(
    ["shell", "iopub", "stdin", "control", "hb"].map((name) => [
      `${name}_port`,
      freePort(),
    ]),
  );
  await Deno.writeTextFile(
    file,
    JSON.stringify({
      ...ports,
      ip: "127.0.0.1",
      transport: "tcp",
      key: "",
      signature_scheme: "hmac-sha256",
      kernel_name: "deno",
    }),
  );
  const kernel = new Deno.Command(Deno.execPath(), {
    args: ["jupyter", "--kernel", "--conn", file],
    stdin: "null",
    stdout: "null",
    stderr: "null",
    env: { NO_COLOR: "1" },
  }).spawn();
  try {
    const dead = kernel.status.then(() => {
      throw new Error("the kernel has died");
    });
    dead.catch(() => {});
    const run = async () => {
      using shown = await Socket.connect(ports.iopub_port, "SUB");
      using shell = await Socket.connect(ports.shell_port, "DEALER");
      await heard(shell, shown);
      const all: string[] = [];
      for (const code of cells) {
        const id = await shell.send("execute_request", {
          code,
          silent: false,
          store_history: true,
          user_expressions: {},
          allow_stdin: false,
          stop_on_error: true,
        });
        all.push(await textOf(shown, id, all.length > 0));
      }
      return all;
    };
    return await Promise.race([run(), dead]);
  } finally {
    kernel.kill("SIGKILL");
    await kernel.status;
    await Deno.remove(file);
  }
}

/** Resolves once what the kernel shows is heard: what it showed before is lost. */
async function heard(shell: Socket, shown: Socket): Promise<void> {
  let over = false;
  const first = shown.next().then(() => over = true);
  while (!over) {
    await shell.send("kernel_info_request", {});
    await shell.next();
  }
  await first;
}

/** What a cell shows until the kernel is idle again, and has shown it if it shows any. */
async function textOf(
  shown: Socket,
  id: string,
  showsAny: boolean,
): Promise<string> {
  let text = "";
  let idle = false;
  // The kernel may say that it is idle before it shows a value.
  while (!idle || showsAny && text === "") {
    const { type, about, content } = await shown.next();
    if (about !== id) continue;
    if (type === "stream") text += content.text;
    if (type === "execute_result") text += content.data["text/plain"];
    if (type === "error") text += `${content.ename}: ${content.evalue}`;
    if (type === "status") idle ||= content.execution_state === "idle";
  }
  return text;
}
