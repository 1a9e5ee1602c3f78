/** Progress on a terminal, where what draws bars can't be had. */

import { progress } from "../../progress.ts";

const lines: string[] = [];
const output = {
  isTerminal: () => true,
  columns: 60,
  writeSync(bytes: Uint8Array) {
    lines.push(new TextDecoder().decode(bytes));
    return bytes.length;
  },
};
let sum = 0;
for await (const n of progress([1, 2, 3], { label: "Adding", output })) {
  sum += n;
}
console.log(sum, lines.join("").replace(/, .*/, ""));
// Several that ask at once wait for the same, and a loop that is left ends.
lines.length = 0;
const left = progress([4, 5, 6], { output });
console.log(
  (await Promise.all([left.next(), left.next()])).map((r) => r.value),
);
await left.return();
console.log(lines.length);
