/** Figures as tables of Markdown. */

import type { Figure } from "./rows.ts";
import type { Subject } from "./subject.ts";

/** The figures of one subject and one line, of all rounds. */
export type Rounds = (subject: Subject, figure: Figure) => readonly number[];

const KINDS = ["library", "floor", "peer"];

/** The value in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? sorted[middle]
    : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Three digits that count, or all before the point. */
function show(value: number, digits = 3): string {
  const rounded = Math.abs(value) >= 10 ** digits
    ? Math.round(value)
    : Number(value.toPrecision(digits));
  return rounded.toLocaleString("en", { maximumSignificantDigits: 21 });
}

/** How the library's subject compares with another, more than 1 where it is better. */
function ratio(figure: Figure, ours: number, theirs: number): string {
  const times = figure.more ? ours / theirs : theirs / ours;
  return Number.isFinite(times) && times > 0 ? ` (${show(times, 2)})` : "";
}

/** One table: the figures of a group's subjects, the library's first. */
export function tableOf(
  group: string,
  figures: readonly Figure[],
  subjects: readonly Subject[],
  rounds: Rounds,
): string {
  const columns = subjects
    .filter((subject) => subject.group === group || subject.group === "both")
    .sort((a, b) => KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind));
  if (columns.length === 0) return "";
  const lines = [
    ["", "unit", ...columns.map(({ name }) => name)],
    ["---", "---", ...columns.map(() => "---:")],
  ];
  const library = columns.find(({ kind }) => kind === "library");
  for (const figure of figures) {
    const ours = library && rounds(library, figure);
    const cells = columns.map((subject) => {
      const values = rounds(subject, figure);
      if (values.length === 0) return "–";
      const value = median(values);
      return subject === library || !ours?.length
        ? show(value)
        : show(value) + ratio(figure, median(ours), value);
    });
    lines.push([`${figure.id}. ${figure.title}`, figure.unit, ...cells]);
  }
  const widths = lines[0].map((_, i) =>
    Math.max(...lines.map((line) => line[i].length))
  );
  return lines.map((line) => {
    const cells = line.map((cell, i) =>
      cell.startsWith("---")
        ? cell.replace("---", "-".repeat(widths[i] - cell.length + 3))
        : i < 2
        ? cell.padEnd(widths[i])
        : cell.padStart(widths[i])
    );
    return `| ${cells.join(" | ")} |`;
  }).join("\n");
}
