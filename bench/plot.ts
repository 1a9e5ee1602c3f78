/**
 * Draws the tables of figures: for each row the library and its best peers, as
 * times of what the floor ("raw") takes. `bench.ts` draws what it has measured;
 * by itself this draws the tables of a page again, after a change of either:
 *
 *     deno run -A bench/plot.ts
 *
 * The picture is plain SVG without a background. Its colours can be read on white
 * and on black (`tests/plot_test.ts`), as not every viewer says which it has.
 */

import { ROWS } from "./rows.ts";

/** How many peers a row shows: the best. */
const PEERS = 2;

/** The colours of the picture: of what is ours, of peers, and of words and lines. */
export const COLOURS = {
  ours: "#2f7fe0",
  peer: "#7d8590",
  words: "#757c86",
} as const;

/** A value, as times of what the floor takes. Less is better. */
export interface Bar {
  readonly name: string;
  readonly ratio: number;
}

/** One row of a table: the first bar is ours. */
export interface Group {
  readonly title: string;
  readonly bars: readonly Bar[];
}

/** One table. */
export interface Panel {
  readonly title: string;
  readonly groups: readonly Group[];
}

/**
 * Reads the tables of a text of Markdown, as `tableOf` writes them: those that
 * have a floor, and of these the rows in which there are peers.
 */
export function panelsOf(markdown: string): Panel[] {
  const more = new Set(
    ROWS.flatMap(({ figures }) => figures).filter(({ more }) => more)
      .map(({ id }) => id),
  );
  const panels: Panel[] = [];
  for (const [table] of markdown.matchAll(/(?:^\|.*\|$\n?)+/gm)) {
    const [header, , ...lines] = table.trim().split("\n").map((line) =>
      line.slice(1, -1).split("|").map((cell) => cell.trim())
    );
    const floor = header.findIndex((name) => name.startsWith("raw "));
    if (floor === -1) continue;
    const groups = lines.flatMap(([title, unit, ...cells]): Group[] => {
      const isMore = more.has(title.split(".")[0]);
      const values = [title, unit, ...cells].map(valueOf);
      const raw = values[floor];
      const bars = header.flatMap((name, i): Bar[] => {
        const value = values[i];
        const isFloor = i < 2 || i === floor || name === "inline";
        if (isFloor || value === undefined || raw === undefined) return [];
        return [{ name, ratio: isMore ? raw / value : value / raw }];
      });
      const [ours, ...peers] = bars;
      if (ours?.name !== header[2] || peers.length === 0) return [];
      peers.sort((a, b) => a.ratio - b.ratio);
      return [{
        title: title.replaceAll("`", ""),
        bars: [ours, ...peers.slice(0, PEERS)],
      }];
    });
    panels.push({ title: header[2], groups });
  }
  return panels;
}

/** The figure of a cell, `1,122 (7.1)`. */
function valueOf(cell: string): number | undefined {
  const found = /^[\d,.]+/.exec(cell)?.[0].replaceAll(",", "");
  return found === undefined || isNaN(Number(found))
    ? undefined
    : Number(found);
}

// ---- The picture -------------------------------------------------------------

const WIDTH = 450;
const BAR = 12;
const TITLE = 18;
const GAP = 10;
const TOP = 64;
/** Where bars may be, and behind them their labels. */
const LEFT = 12;
const RIGHT = 300;

/** Draws panels beside each other. */
export function plot(panels: readonly Panel[]): string {
  const ratios = panels.flatMap(({ groups }) =>
    groups.flatMap(({ bars }) => bars.map(({ ratio }) => ratio))
  );
  const low = Math.min(1, ...ratios);
  const high = Math.max(1, ...ratios);
  /** A place on a scale of powers: twice as long and half as long look alike. */
  const place = (ratio: number) =>
    LEFT + (RIGHT - LEFT) * Math.log(ratio / low) /
      Math.max(Math.log(high / low), 1e-9);
  const heights = panels.map(({ groups }) =>
    groups.reduce((sum, group) => sum + heightOf(group), 0)
  );
  const width = WIDTH * panels.length;
  const height = TOP + Math.max(0, ...heights) + GAP;
  const drawn = panels.map((panel, i) =>
    `<g transform="translate(${WIDTH * i} 0)">\n${
      drawPanel(panel, place, [low, high])
    }\n</g>`
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" font-family="system-ui, sans-serif" font-size="12" fill="${COLOURS.words}">
<title>What calls cost, as times of what the floor under them takes</title>
<desc>Bars to the left of 1 are better than a hand-written loop over the runtime's own messages, bars to the right take longer. Scale of powers.</desc>
${drawn.join("\n")}
</svg>
`;
}

function heightOf({ bars }: Group): number {
  return TITLE + bars.length * BAR + GAP;
}

function drawPanel(
  { title, groups }: Panel,
  place: (ratio: number) => number,
  [low, high]: readonly [number, number],
): string {
  const lines = [
    text(LEFT, 18, title, `font-size="15" font-weight="600"`),
    text(LEFT, 36, "times of raw; to the left is better", ""),
  ];
  const ticks = [-3, -2, -1, 0, 1, 2, 3, 4].map((power) => 10 ** power)
    .filter((ratio) => ratio >= low && ratio <= high);
  for (const ratio of ticks) {
    const x = round(place(ratio));
    lines.push(
      text(x, TOP - 4, `${ratio}`, `text-anchor="middle" font-size="11"`),
    );
  }
  let y = TOP;
  for (const { title, bars } of groups) {
    lines.push(text(LEFT, y + TITLE - 5, title, ""));
    y += TITLE;
    // Beside the bars alone: titles are crossed by no line.
    for (const ratio of ticks) {
      const x = round(place(ratio));
      const style = ratio === 1 ? "" : ` stroke-dasharray="1 4"`;
      lines.push(
        `<path d="M${x} ${y - 1}V${
          y + bars.length * BAR
        }" stroke="${COLOURS.words}"${style}/>`,
      );
    }
    for (const [i, bar] of bars.entries()) {
      lines.push(...drawBar(bar, i === 0, y + i * BAR, place));
    }
    y += bars.length * BAR + GAP;
  }
  return lines.join("\n");
}

function drawBar(
  { name, ratio }: Bar,
  isOurs: boolean,
  top: number,
  place: (ratio: number) => number,
): string[] {
  const from = Math.min(place(1), place(ratio));
  const to = Math.max(place(1), place(ratio));
  // What is as good as the floor is a bar, too.
  const long = Math.max(to - from, 1);
  const style = isOurs ? ` font-weight="600" fill="${COLOURS.ours}"` : "";
  return [
    `<rect x="${round(from)}" y="${top}" width="${round(long)}" height="${
      BAR - 2
    }" fill="${isOurs ? COLOURS.ours : COLOURS.peer}"/>`,
    text(
      round(to + 5),
      top + BAR - 3,
      `${isOurs ? "here" : name} ${show(ratio)}`,
      `font-size="11"${style}`,
    ),
  ];
}

function text(x: number, y: number, words: string, style: string): string {
  const escaped = words.replaceAll("&", "&amp;").replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;");
  return `<text x="${x}" y="${y}"${style && ` ${style}`}>${escaped}</text>`;
}

function round(place: number): number {
  return Math.round(place * 10) / 10;
}

function show(ratio: number): string {
  return ratio >= 100 ? `${Math.round(ratio)}` : `${+ratio.toPrecision(2)}`;
}

/** Where the picture of a page is. */
export const PICTURE: URL = new URL("../docs/speed.svg", import.meta.url);

if (import.meta.main) {
  const page = new URL("../docs/speed.md", import.meta.url);
  const panels = panelsOf(await Deno.readTextFile(page));
  await Deno.writeTextFile(PICTURE, plot(panels));
}
