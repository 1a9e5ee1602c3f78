/** JSON in lines, with bytes as base64. */

const encoder = new TextEncoder();

/** A value as JSON. */
export function lineOf(value: { arg?: unknown; result?: unknown }): string {
  return `${
    JSON.stringify(
      value,
      (_, part) =>
        part instanceof Uint8Array ? { base64: part.toBase64() } : part,
    )
  }\n`;
}

function parse(line: string): unknown {
  const value = JSON.parse(line);
  for (const key of ["arg", "result"]) {
    const { base64 } = value[key] ?? {};
    if (base64 !== undefined) value[key] = Uint8Array.fromBase64(base64);
  }
  return value;
}

/** Reads values until the stream ends. */
export async function readLines(
  stream: ReadableStream<Uint8Array>,
  onValues: (values: unknown[]) => void,
): Promise<void> {
  let parts: string[] = [];
  for await (
    const text of stream.pipeThrough(new TextDecoderStream() as never)
  ) {
    const lines = (text as unknown as string).split("\n");
    parts.push(lines[0]);
    if (lines.length === 1) continue;
    lines[0] = parts.join("");
    parts = [lines.pop()!];
    onValues(lines.map(parse));
  }
}

/** Writes all lines of one turn of the event loop at once. */
export function lineWriter(
  stream: WritableStream<Uint8Array>,
): { write(line: string): void; close(): Promise<void> } {
  const writer = stream.getWriter();
  let text = "";
  return {
    write(line) {
      if (text === "") {
        queueMicrotask(() => {
          writer.write(encoder.encode(text));
          text = "";
        });
      }
      text += line;
    },
    close: () => writer.close(),
  };
}
