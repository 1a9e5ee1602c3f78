import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertStringIncludes,
} from "@std/assert";
import { Meter } from "../../internal/progress/meter.ts";

const drawBar = (fraction: number, columns: number) =>
  "#".repeat(Math.round(fraction * columns)).padEnd(columns, ".");

/** A meter that has counted to `count`, one each `ms` milliseconds from 0 on. */
function counted(count: number, ms: number, total?: number): Meter {
  const meter = new Meter("", total, 0);
  for (let i = 1; i <= count; i++) meter.reach(i, i * ms);
  return meter;
}

// ---- The rate --------------------------------------------------------------

Deno.test("meter: there is no rate before the first is done", () => {
  const meter = new Meter("", 10, 0);
  assertEquals(meter.rate(0), undefined);
  assertEquals(meter.rate(5000), undefined);
  assertEquals(meter.plain(5000), "0/10 (0%)");
});

for (const ms of [1, 250, 30_000]) {
  Deno.test(`meter: the rate of an even run is even, one each ${ms} ms`, () => {
    const meter = new Meter("", 1000, 0);
    for (let i = 1; i <= 1000; i++) {
      meter.reach(i, i * ms);
      assertAlmostEquals(meter.rate(i * ms)!, 1000 / ms, 1e-6 / ms);
      // Nor does it move while the next is awaited.
      assertAlmostEquals(meter.rate((i + 0.9) * ms)!, 1000 / ms, 1e-6 / ms);
    }
  });
}

Deno.test("meter: the rate follows a run that becomes slower, without a jump", () => {
  const meter = counted(100, 100); // 10 a second, for 10 s
  let before = meter.rate(10_000)!;
  for (let i = 1; i <= 60; i++) {
    meter.reach(100 + i, 10_000 + i * 1000); // 1 a second
    const rate = meter.rate(10_000 + i * 1000)!;
    assert(rate < before, `${rate} after ${before}`);
    assert(rate > 0.8 * before, `${rate} after ${before}`);
    before = rate;
  }
  assert(before < 1.2, `${before}`);
});

Deno.test("meter: the rate sinks while nothing is done any more", () => {
  const meter = counted(100, 100);
  const [at10, at20, at60] = [10_000, 20_000, 60_000].map((now) =>
    meter.rate(now)!
  );
  assertAlmostEquals(at10, 10);
  assert(at20 < at10 / 2, `${at20}`);
  assert(at60 < at20 / 2, `${at60}`);
});

Deno.test("meter: several at once are no endless rate", () => {
  const meter = new Meter("", 10, 0);
  meter.reach(4, 0);
  assertEquals(meter.rate(0), undefined);
  assertAlmostEquals(meter.rate(1000)!, 5, 1);
  meter.reach(8, 1000);
  assertAlmostEquals(meter.rate(1000)!, 8, 1);
});

Deno.test("meter: the rate of a run that is over is that of all of it", () => {
  const meter = counted(10, 100);
  meter.reach(20, 9000);
  meter.end("done", 10_000);
  assertEquals(meter.rate(50_000), 2);
});

// ---- In words --------------------------------------------------------------

Deno.test("meter: a line tells how many, how fast and how long still", () => {
  const meter = new Meter("Pages", 100, 0);
  for (let i = 1; i <= 42; i++) meter.reach(i, i * 125);
  assertEquals(meter.plain(5250), "Pages: 42/100 (42%), 8.0/s, 7s left");
});

Deno.test("meter: without a total a line tells how many, how fast and how long by now", () => {
  assertEquals(counted(42, 125).plain(5250), "42, 8.0/s, 5s");
});

Deno.test("meter: more than the total is counted as if there were none", () => {
  assertEquals(counted(11, 1000, 10).plain(11_000), "11, 1.0/s, 11s");
});

Deno.test("meter: 100% is said of what is complete alone", () => {
  assertStringIncludes(counted(999, 1, 1000).plain(999), "999/1000 (99%)");
  assertStringIncludes(counted(1000, 1, 1000).plain(1000), "1000/1000 (100%)");
  assertStringIncludes(new Meter("", 0, 0).plain(0), "0/0 (100%)");
});

Deno.test("meter: the last line tells how long it took, or when it stopped", () => {
  const meter = counted(10, 1000, 10);
  meter.end("done", 10_000);
  assertEquals(meter.plain(99_000), "10/10 (100%), 1.0/s, in 10s");
  meter.end("stopped", 12_500);
  assertEquals(meter.plain(99_000), "10/10 (100%), 48/min, stopped at 13s");
});

Deno.test("meter: a rate has the unit that it needs", () => {
  for (
    const [ms, words] of [
      [0.001, "1000000/s"],
      [10, "100/s"],
      [100, "10/s"],
      [101, "9.9/s"],
      [1000, "1.0/s"],
      [1001, "1.0/s"],
      [1100, "55/min"],
      [60_000, "1.0/min"],
      [66_000, "55/h"],
      [7_200_000, "0.5/h"],
    ] as const
  ) assertEquals(counted(1, ms).plain(ms).split(", ")[1], words);
});

Deno.test("meter: a time has the units that it needs", () => {
  for (
    const [ms, words] of [
      [0, "0.0s"],
      [949, "0.9s"],
      [950, "1s"],
      [59_400, "59s"],
      [59_600, "1m 00s"],
      [185_000, "3m 05s"],
      [3_599_000, "59m 59s"],
      [3_600_000, "1h 00m"],
      [9_660_000, "2h 41m"],
      [86_399_000, "23h 59m"],
      [86_400_000, "1d 00h"],
      [1_000_000_000, "11d 13h"],
    ] as const
  ) assertEquals(new Meter("", undefined, 0).plain(ms), `0, ${words}`);
});

Deno.test("meter: a label can't break its line", () => {
  const meter = new Meter(" two\r\nlines\x1b[2J ", undefined, 0);
  assertEquals(meter.plain(0), "two lines [2J: 0, 0.0s");
});

// ---- On a terminal ---------------------------------------------------------

Deno.test("meter: a bar has the room that the figures leave, and at most 40 columns", () => {
  const meter = counted(5, 100, 10);
  const figures = " 50% | 5/10 | 10/s | 0.5s left";
  assertEquals(
    meter.drawn(500, 200, drawBar),
    `${"#".repeat(20)}${".".repeat(20)} ${figures}`,
  );
  assertEquals(meter.drawn(500, 42, drawBar), `###.. ${figures}`);
  assertEquals(meter.drawn(500, 37, drawBar), `###.. ${figures}`);
  assertEquals(meter.drawn(500, 36, drawBar), figures);
});

Deno.test("meter: a bar stays as long as it is, whatever the figures", () => {
  const meter = new Meter("Pages", 1000, 0);
  const lengths = new Set<number>();
  for (let i = 1; i <= 1000; i++) {
    meter.reach(i, i * i);
    meter.drawn(i * i, 80, (_, columns) => {
      lengths.add(columns);
      return "";
    });
  }
  assertEquals([...lengths], [31]);
});

Deno.test("meter: no line fills the terminal, however narrow", () => {
  for (
    const label of ["", "Pages", "a label of many words", "漢字かな交じり文"]
  ) {
    const meter = new Meter(label, 10, 0);
    meter.reach(5, 500);
    for (let columns = 1; columns < 100; columns++) {
      const line = meter.drawn(500, columns, drawBar);
      const wide = [...line].filter((letter) => letter > "\u3000").length;
      assert(line.length + wide < columns, `${columns}: ${line}`);
    }
  }
});

Deno.test("meter: a label gives way to the figures", () => {
  const meter = new Meter("A long label", 10, 0);
  meter.reach(5, 500);
  assertEquals(
    meter.drawn(500, 38, drawBar),
    "A long  50% | 5/10 | 10/s | 0.5s left",
  );
});

Deno.test("meter: without a total there is no bar", () => {
  const meter = new Meter("Pages", undefined, 0);
  meter.reach(42, 5250);
  assertEquals(meter.drawn(5250, 80, drawBar), "Pages 42 | 8.0/s | 5s");
});

// ---- Units and notes -------------------------------------------------------

Deno.test("meter: bytes are counted in KiB, MiB and so on", () => {
  const meter = new Meter("Load", 20 << 20, 0, "B");
  meter.reach(512, 1000);
  assertEquals(
    meter.plain(1000),
    "Load: 512 B/20 MiB (0%), 512 B/s, 11h 22m left",
  );
  meter.reach(1536 << 10, 2000);
  assertStringIncludes(meter.plain(2000), "1.5 MiB/20 MiB (7%), ");
  meter.reach(1023, 2000);
  const large = new Meter("", undefined, 0, "B");
  large.reach(3 * 2 ** 40, 1000);
  assertEquals(large.plain(1000), "3.0 TiB, 3.0 TiB/s, 1s");
});

Deno.test("meter: another unit stands behind the count", () => {
  const meter = new Meter("", 10, 0, "pages");
  meter.reach(4, 2000);
  assertEquals(meter.plain(2000), "4/10 pages (40%), 2.0/s, 3s left");
});

Deno.test("meter: a note stands behind the figures, as far as there is room", () => {
  const meter = new Meter("Load", 10, 0);
  meter.reach(5, 500);
  meter.note("page\n3");
  assertEquals(
    meter.plain(500),
    "Load: 5/10 (50%), 10/s, 0.5s left, page 3",
  );
  const line = meter.drawn(500, 80, drawBar);
  assert(line.endsWith("0.5s left | page 3"), line);
  assert(line.startsWith("Load ####"), line);
  meter.note("a note that is longer than what there is room for by far");
  for (let columns = 1; columns < 120; columns++) {
    const noted = meter.drawn(500, columns, drawBar);
    assert(noted.length < columns, noted);
    assert(!/\| (?:.{0,3})$/.test(noted) || columns < 30, noted);
  }
  meter.note("");
  assert(meter.drawn(500, 80, drawBar).endsWith("left"));
});

Deno.test("meter: in a narrow terminal whole figures give way, and nothing runs into anything", () => {
  const meter = new Meter("A label of some length", 20, 0);
  meter.reach(20, 800);
  meter.end("done", 800);
  assertEquals(
    meter.drawn(800, 40, drawBar),
    "A label o 100% | 20/20 | 25/s | in 0.8s",
  );
  assertEquals(meter.drawn(800, 25, drawBar), "100% | 20/20 | in 0.8s");
  assertEquals(meter.drawn(800, 15, drawBar), "100% | 20/20");
  assertEquals(meter.drawn(800, 8, drawBar), "100%");
});
