/** The contract of how a function travels by reference: `module` and `taskModule()`. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { taskModule } from "../../mod.ts";
import * as more from "../modules/more_tasks.ts";
import * as tasks from "../modules/tasks.ts";
import { contractTest, type ExecutorKind, rejection } from "./kind.ts";

const TASKS = import.meta.resolve("../modules/tasks.ts");
const MORE_TASKS = import.meta.resolve("../modules/more_tasks.ts");
const LEAVES_A_MARK = import.meta.resolve("../modules/leaves_a_mark.ts");
const THROWS = import.meta.resolve("../modules/throws_on_import.ts");
const THENABLE = import.meta.resolve("../modules/thenable.ts");
const NOWHERE = import.meta.resolve("../modules/nowhere.ts");
const NO_SYNTAX = "data:text/javascript,export const (";

export function testModules(kind: ExecutorKind): void {
  if (!kind.can.importModules) return;
  const test = contractTest(kind);

  test("a function that the module option's module exports comes with its module", async (t) => {
    await using pool = kind.make({ maxWorkers: 1, module: TASKS });
    const exports: [string, (n: number) => unknown, number][] = [
      ["by its own name", tasks.usesHelper, 51],
      ["a const arrow", tasks.arrowUsesHelper, 52],
      ["renamed", tasks.outer, 53],
      ["by default", tasks.default, 54],
    ];
    for (const [name, fn, expected] of exports) {
      await t.step(name, async () => {
        assertEquals(await pool.submit(fn, 5).result(), expected);
      });
    }
    await t.step("its state stays from call to call", async () => {
      const counts = [1, 2, 3].map(() => pool.submit(tasks.countsCalls));
      for (const [i, count] of counts.entries()) {
        assertEquals(await count.result(), i + 1);
      }
      assertEquals(tasks.countsCalls(), 1);
    });
    await t.step("its exceptions are those of its classes", async () => {
      const error = await rejection(pool.submit(tasks.throwsOwn).result());
      assertInstanceOf(error, Error);
      assertEquals(`${error}`, "OwnError: from the module");
      assertMatch(error.stack!, /modules\/tasks\.ts/);
    });
    await t.step("map() takes them", async () => {
      const results = pool.map(tasks.usesHelper, [1, 2, 3]);
      assertEquals(await Array.fromAsync(results), [11, 21, 31]);
    });
    await t.step("others still go by value", async () => {
      assertEquals(await pool.submit((n: number) => n + 1, 5).result(), 6);
      assertEquals(await pool.submit(Math.sqrt, 25).result(), 5);
    });
  });

  test("a module that exports a function named then is imported as any other", async () => {
    const thenable = taskModule<typeof import("../modules/thenable.ts")>(
      THENABLE,
    );
    await using pool = kind.make({ maxWorkers: 1, module: THENABLE });
    assertEquals(await pool.submit(thenable.half, 9).result(), 5);
  });

  test("the module option takes several modules, which may have names in common", async () => {
    await using pool = kind.make({
      maxWorkers: 1,
      module: [TASKS, new URL(MORE_TASKS)],
    });
    const calls = [tasks.usesHelper, more.usesHelper, more.usesFactor];
    const results = calls.map((fn) => pool.submit(fn, 2).result());
    assertEquals(await Promise.all(results), [21, 2000, 1002]);
  });

  test("the module option takes no relative URL, and nothing that is none", () => {
    for (const module of ["./tasks.ts", "", 5, {}]) {
      assertThrows(
        () => kind.make({ module: module as string }),
        TypeError,
        "URL",
      );
    }
  });

  test("a function of a module that was not named says how to bring what it misses", async () => {
    await using pool = kind.make({ maxWorkers: 1, closures: false });
    const error = await rejection(pool.submit(tasks.usesHelper, 1).result());
    assertInstanceOf(error, ReferenceError);
    assertMatch(error.message, /^helper is not defined.*"usesHelper"/);
  });

  test("taskModule() has workers import a module that the caller never loads", async () => {
    const marks = taskModule<typeof import("../modules/leaves_a_mark.ts")>(
      LEAVES_A_MARK,
    );
    await using pool = kind.make({ maxWorkers: 1 });
    assertEquals(await pool.submit(marks.wasLoaded).result(), true);
    const sum: number = await pool.submit(marks.add, 1, 2).result();
    assertEquals(sum, 3);
    const shouts: string[] = await Array.fromAsync(
      pool.map(marks.default, ["a", "b"]),
    );
    assertEquals(shouts, ["A", "B"]);
    assertEquals(Reflect.get(globalThis, "leavesAMarkWasLoaded"), undefined);
  });

  test("taskModule() takes a URL object, and mixes with the module option", async () => {
    const marks = taskModule<typeof import("../modules/leaves_a_mark.ts")>(
      new URL(LEAVES_A_MARK),
    );
    await using pool = kind.make({ maxWorkers: 1, module: TASKS });
    const results = [
      pool.submit(marks.add, 1, 2).result(),
      pool.submit(tasks.usesHelper, 3).result(),
    ];
    assertEquals(await Promise.all(results), [3, 31]);
  });

  test("taskModule() and the module option share one instance of a module", async () => {
    const same = taskModule<typeof import("../modules/tasks.ts")>(TASKS);
    await using pool = kind.make({ maxWorkers: 1, module: TASKS });
    assertEquals(await pool.submit(tasks.countsCalls).result(), 1);
    assertEquals(await pool.submit(same.countsCalls).result(), 2);
  });

  test("a reference of taskModule() can't be called here, and says so", () => {
    const marks = taskModule<typeof import("../modules/leaves_a_mark.ts")>(
      LEAVES_A_MARK,
    );
    assertThrows(() => marks.add(1, 2), TypeError, '"add"');
    assertThrows(() => taskModule("./leaves_a_mark.ts"), TypeError, "URL");
  });

  test("a name that a module does not export fails its call alone", async () => {
    const wrong = taskModule<{ missing(): void; notAFunction(): void }>(TASKS);
    await using pool = kind.make({ maxWorkers: 1 });
    for (const name of ["missing", "notAFunction"] as const) {
      const error = await rejection(pool.submit(wrong[name]).result());
      assertInstanceOf(error, Error);
      assertStringIncludes(error.message, `"${name}"`);
      assertStringIncludes(error.message, TASKS);
    }
    assertEquals(await pool.submit(Math.sqrt, 25).result(), 5);
  });

  test("a module that throws while it is imported fails the calls that need it, with its error as cause", async () => {
    const broken = taskModule<typeof import("../modules/throws_on_import.ts")>(
      THROWS,
    );
    await using pool = kind.make({ maxWorkers: 1 });
    for (let i = 0; i < 2; i++) {
      const error = await rejection(pool.submit(broken.neverThere).result());
      assertInstanceOf(error, Error);
      assertStringIncludes(error.message, THROWS);
      assertStringIncludes(error.message, '"neverThere"');
      assertInstanceOf(error.cause, RangeError);
      assertEquals(error.cause.message, "this module throws");
    }
    assertEquals(await pool.submit(Math.sqrt, 25).result(), 5);
  });

  test("a module that can't be imported at all fails the calls that need it, with the reason as cause", async (t) => {
    await using pool = kind.make({ maxWorkers: 1 });
    for (const url of [NOWHERE, NO_SYNTAX]) {
      await t.step(url, async () => {
        const nowhere = taskModule<{ fn(): void }>(url);
        const error = await rejection(pool.submit(nowhere.fn).result());
        assertInstanceOf(error, Error);
        assertStringIncludes(error.message, url);
        assertInstanceOf(error.cause, Error);
        assertEquals(await pool.submit(Math.sqrt, 25).result(), 5);
      });
    }
  });

  test("a module of the module option that throws while it is imported breaks nothing else", async (t) => {
    await using pool = kind.make({ maxWorkers: 1, module: [THROWS, TASKS] });
    await t.step("a built-in runs", async () => {
      assertEquals(await pool.submit(Math.sqrt, 25).result(), 5);
    });
    await t.step("a function of another module runs", async () => {
      assertEquals(await pool.submit(tasks.usesHelper, 1).result(), 11);
    });
    await t.step("an anonymous function runs", async () => {
      assertEquals(await pool.submit((n: number) => n + 1, 5).result(), 6);
    });
    await t.step(
      "a function with a name, maybe its export, does not run without it",
      async () => {
        function addOne(n: number): number {
          return n + 1;
        }
        const error = await rejection(pool.submit(addOne, 5).result());
        assertInstanceOf(error, Error);
        assertStringIncludes(error.message, "Cannot import");
      },
    );
    await t.step(
      "an anonymous function that misses something fails with its error as cause",
      async () => {
        const needs = (0, eval)("(() => text)") as () => string;
        const error = await rejection(pool.submit(needs).result());
        assertInstanceOf(error, Error);
        assertStringIncludes(error.message, THROWS);
        assertInstanceOf(error.cause, RangeError);
      },
    );
    await t.step(
      "a call that needs it fails with its error as cause",
      async () => {
        // As its own module has it, which can't be imported here either.
        const neverThere = (0, eval)(
          "(function neverThere() {\n  return text;\n})",
        ) as () => string;
        const error = await rejection(pool.submit(neverThere).result());
        assertInstanceOf(error, Error);
        assertStringIncludes(error.message, THROWS);
        assertInstanceOf(error.cause, RangeError);
      },
    );
  });

  if (kind.can.workers) {
    test("an initializer can come from a module", async (t) => {
      const marks = taskModule<typeof import("../modules/tasks.ts")>(TASKS);
      const ways = {
        "the module option": { module: TASKS, initializer: tasks.setsGlobal },
        "taskModule()": { initializer: marks.setsGlobal },
      };
      for (const [name, options] of Object.entries(ways)) {
        await t.step(name, async () => {
          await using pool = kind.make({
            ...options,
            maxWorkers: 1,
            initargs: ["setByInitializer", 5],
          });
          const read = pool.submit(() =>
            Reflect.get(globalThis, "setByInitializer")
          );
          assertEquals(await read.result(), 50);
        });
      }
    });

    test("an initializer whose module can't be imported breaks the pool, with that error as cause", async () => {
      const broken = taskModule<
        typeof import("../modules/throws_on_import.ts")
      >(THROWS);
      await using pool = kind.make({ initializer: broken.neverThere });
      const future = pool.submit(Math.sqrt, 4);
      await assertRejects(() => future.result(), kind.broken);
      const error = await future.exception() as Error;
      assert(error.cause instanceof Error);
      assertStringIncludes(error.cause.message, THROWS);
    });
  }
}
