/** The picture of the figures: what it shows, and whether it can be seen. */

import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { COLOURS, panelsOf, PICTURE, plot } from "../bench/plot.ts";

const TABLES = `
|                 | unit  | ThreadPoolExecutor |    inline | raw Worker |   slow |      fast |    medium |
| --------------- | ----- | -----------------: | --------: | ---------: | -----: | --------: | --------: |
| a. \`(x) => x\`   | µs    |                  2 | 0.3 (0.1) |  1,000 (2) | – | 500 (0.2) | 2,000 (9) |
| d. six primes   | times |                  4 |     1 (4) |      2 (2) |  1 (4) |     2 (2) |     8 (1) |
| m1. no peer has | µs    |                  4 |         – |      2 (2) |      – |         – |         – |

|            | unit | NatsExecutor | a queue |
| ---------- | ---- | -----------: | ------: |
| j. no floor |   ms |            1 |   2 (2) |
`;

Deno.test("a table is drawn as times of its floor: ours first, then the best peers", () => {
  const [panel, ...others] = panelsOf(TABLES);
  assertEquals(others, []);
  assertEquals(panel.title, "ThreadPoolExecutor");
  assertEquals(panel.groups, [
    {
      title: "a. (x) => x",
      bars: [
        { name: "ThreadPoolExecutor", ratio: 0.002 },
        { name: "fast", ratio: 0.5 },
        { name: "medium", ratio: 2 },
      ],
    },
    {
      // More is better here, and still less than 1.
      title: "d. six primes",
      bars: [
        { name: "ThreadPoolExecutor", ratio: 0.5 },
        { name: "medium", ratio: 0.25 },
        { name: "fast", ratio: 1 },
      ],
    },
  ]);
});

/** The values of an attribute, in order. */
function numbers(svg: string, element: string, attribute: string): number[] {
  const pattern = new RegExp(`<${element}[^>]* ${attribute}="([^"]+)"`, "g");
  return [...svg.matchAll(pattern)].map(([, value]) => Number(value));
}

Deno.test("a bar begins at 1, and twice as much is as long as half as much", () => {
  const bars = [0.5, 2, 1].map((ratio) => ({ name: "<b>", ratio }));
  const svg = plot([{ title: "a & b", groups: [{ title: "x", bars }] }]);
  const [better, worse, same] = numbers(svg, "rect", "width");
  assertAlmostEquals(better, worse, 0.11);
  const [left, right] = numbers(svg, "rect", "x");
  assertAlmostEquals(left + better, right, 0.11);
  assert(same > 0 && same < better);
  assert(
    svg.includes("a &amp; b") && svg.includes("&lt;b>".replace(">", "&gt;")),
  );
});

Deno.test("nothing of the picture stands outside of it", () => {
  const svg = plot(
    panelsOf(
      Deno.readTextFileSync(new URL("../docs/speed.md", import.meta.url)),
    ),
  );
  const [, width, height] = /viewBox="0 0 (\d+) (\d+)"/.exec(svg)!.map(Number);
  assertEquals(width % 2, 0);
  const ends = numbers(svg, "rect", "x").map((x, i) =>
    x + numbers(svg, "rect", "width")[i]
  );
  assert(ends.length > 0);
  assert(Math.max(...ends) < width / 2 - 100, "labels have no room");
  assert(Math.max(...numbers(svg, "text", "y")) < height);
  assert(Math.min(...numbers(svg, "rect", "x")) >= 0);
});

/** How light a colour is, as WCAG has it. */
function luminance(colour: string): number {
  const [r, g, b] = [1, 3, 5].map((i) => {
    const part = parseInt(colour.slice(i, i + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

for (const [name, colour] of Object.entries(COLOURS)) {
  Deno.test(`the colour of ${name} can be told from a light and from a dark background`, () => {
    for (const ground of ["#ffffff", "#0d1117"]) {
      const [light, dark] = [colour, ground].map(luminance)
        .sort((a, b) => b - a);
      const contrast = (light + 0.05) / (dark + 0.05);
      assert(contrast >= 3.5, `${contrast} on ${ground}`);
    }
  });
}

Deno.test("the picture of the docs shows the tables that stand beside it", async () => {
  const page = new URL("../docs/speed.md", import.meta.url);
  const drawn = plot(panelsOf(await Deno.readTextFile(page)));
  const there = await Deno.readTextFile(PICTURE);
  assert(there === drawn, "draw it again: deno run -A bench/plot.ts");
});
