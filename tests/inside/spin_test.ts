/** To look out for what may come soon. */

import { assertEquals } from "@std/assert";
import { makeLookout } from "../../internal/inside/spin.ts";

function test(name: string, run: () => void): void {
  Deno.test({ name: `lookout: ${name}`, permissions: "none", fn: run });
}

test("ends once something has come, and not before", () => {
  const looksOut = makeLookout(60_000);
  let looks = 0;
  assertEquals(looksOut(() => ++looks === 1000), true);
  assertEquals(looks, 1000);
});

test("who looks out in vain does it less and less, and each time again once something came", () => {
  const looksOut = makeLookout(0);
  /** How often it is asked before it looks out. */
  const pauses = () => {
    let asked = 0;
    let looks = 0;
    const hasCome = () => ++looks < 0;
    while (looks === 0) {
      assertEquals(looksOut(hasCome), false);
      asked++;
    }
    return asked - 1;
  };
  const vain = Array.from({ length: 9 }, pauses);
  assertEquals(vain, [0, 1, 3, 7, 15, 31, 63, 63, 63]);
  for (let i = 0; i < 63; i++) assertEquals(looksOut(() => true), false);
  for (let i = 0; i < 3; i++) assertEquals(looksOut(() => true), true);
  assertEquals([pauses(), pauses()], [0, 1]);
});

test("who looks out by a clock that stands still does not do so for ever", () => {
  const looksOut = makeLookout(0.01, () => 1);
  let looks = 0;
  assertEquals(looksOut(() => ++looks < 0), false);
  assertEquals([looks >= 1000, looks <= 100_000], [true, true]);
});

test("who sees that things come soon looks out again sooner", () => {
  const looksOut = makeLookout(0);
  const pauses = (wasSoon: boolean) => {
    let asked = 0;
    for (let looks = 0; looks === 0; asked++) {
      looksOut(() => ++looks < 0, wasSoon);
    }
    return asked - 1;
  };
  for (let i = 0; i < 9; i++) pauses(false);
  assertEquals([pauses(true), pauses(true), pauses(false)], [6, 6, 63]);
});
