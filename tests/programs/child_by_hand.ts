/**
 * In the place of a child: reads what a child reads, and once it has calls says
 * what it is told to.
 */

const { stdin, stdout } = Deno;
const decoder = new TextDecoder();
const encoder = new TextEncoder();
let input = new Uint8Array(0);

function more(): void {
  const chunk = new Uint8Array(65536);
  const count = stdin.readSync(chunk);
  if (count === null) Deno.exit(0);
  input = new Uint8Array([...input, ...chunk.subarray(0, count)]);
}

function take(length: number): Uint8Array {
  while (input.length < length) more();
  const taken = input.slice(0, length);
  input = input.slice(length);
  return taken;
}

function takeLine(): string {
  let end: number;
  while ((end = input.indexOf(10)) < 0) more();
  return decoder.decode(take(end + 1));
}

function say(secret: readonly number[], text: string): void {
  const payload = encoder.encode(`${text}\n`);
  const { length } = payload;
  stdout.writeSync(
    new Uint8Array([
      0x1e,
      ...secret,
      0,
      0,
      length >> 8,
      length & 255,
      ...payload,
      10,
    ]),
  );
}

take(Number(takeLine()));
const { secret, bytes } = JSON.parse(takeLine());
take(bytes);
say(secret, `{"type":"ready"}`);
while (JSON.parse(takeLine()).type !== "calls");
for (const text of JSON.parse(Deno.env.get("SAYS")!)) say(secret, text);
// What it was not asked to do it does not do: it waits for its end.
while (true) take(1);
