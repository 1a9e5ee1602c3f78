/** The program of a child that stands on its command line. */

import { program } from "../functions/program_text.ts";

/**
 * What stands on the command line: reads the length of a program, and that, and
 * runs it. Short, since a command line is not to be long everywhere.
 */
export const BOOTSTRAP = `data:text/javascript,${
  encodeURIComponent(program`(${bootstrap})()`)
}`;

/** Self-contained. */
function bootstrap(): void {
  let input = new Uint8Array(0);
  const chunk = new Uint8Array(65536);
  const more = () => {
    let count: number | null;
    try {
      count = Deno.stdin.readSync(chunk);
    } catch (error) {
      if (error instanceof Deno.errors.Interrupted) return;
      throw error;
    }
    if (count === null) Deno.exit(0);
    const longer = new Uint8Array(input.length + count);
    longer.set(input);
    longer.set(chunk.subarray(0, count), input.length);
    input = longer;
  };
  const decoder = new TextDecoder();
  let end: number;
  while ((end = input.indexOf(10)) < 0) more();
  const length = Number(decoder.decode(input.subarray(0, end)));
  const begin = end + 1;
  while (input.length < begin + length) more();
  const program = decoder.decode(input.subarray(begin, begin + length));
  (0, eval)(program)(input.subarray(begin + length));
}
