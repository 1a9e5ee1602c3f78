/** What children may do. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertThrows,
} from "@std/assert";
import { childPermissions } from "../../internal/processes/permissions.ts";
import { taskModule } from "../../mod.ts";
import { ProcessPoolExecutor } from "../../process_pool.ts";
import { make, test } from "../_children.ts";
import { deno, programArgs } from "../_programs.ts";

/** What a call may not do without permissions, by key: each would do it. */
const deeds: Record<string, () => unknown> = {
  read: () => Deno.statSync("/").isDirectory,
  write: () => Deno.removeSync("/no/such/file"),
  net: () => Deno.listen({ port: 0, hostname: "127.0.0.1" }).close(),
  env: () => Deno.env.get("HOME"),
  run: () => new Deno.Command("true").outputSync().success,
  sys: () => Deno.hostname(),
};

test("calls may do nothing by default", async () => {
  for (
    const permissions of [undefined, "none", {}, {
      read: false,
      net: [],
    }] as const
  ) {
    const pool = make({
      maxWorkers: 1,
      permissions: permissions as Deno.PermissionOptions,
    });
    for (const [key, deed] of Object.entries(deeds)) {
      const error = await pool.submit(deed).exception();
      assertInstanceOf(error, Deno.errors.NotCapable, key);
    }
    await pool.shutdown();
  }
});

for (const key of Object.keys(deeds)) {
  test(`calls may do what permissions.${key} says, and nothing else`, async () => {
    const pool = make({ maxWorkers: 1, permissions: { [key]: true } });
    for (const [name, deed] of Object.entries(deeds)) {
      const error = await pool.submit(deed).exception();
      assertEquals(
        error instanceof Deno.errors.NotCapable,
        name !== key,
        `${name}: ${error}`,
      );
    }
    await pool.shutdown();
  });
}

test("calls may do all that the program may with inherit", async () => {
  for (
    const permissions of [
      "inherit",
      Object.fromEntries(Object.keys(deeds).map((key) => [key, "inherit"])),
    ]
  ) {
    const pool = make({
      maxWorkers: 1,
      permissions: permissions as Deno.PermissionOptions,
    });
    for (const [key, deed] of Object.entries(deeds)) {
      const error = await pool.submit(deed).exception();
      assertEquals(
        error instanceof Deno.errors.NotCapable,
        false,
        `${key}: ${error}`,
      );
    }
    await pool.shutdown();
  }
});

test("a list grants what is in it, and nothing else", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const pool = make({
      maxWorkers: 1,
      permissions: {
        read: [folder, new URL("file:///etc/hostname")],
        write: [folder],
        env: ["GRANTED"],
        net: ["127.0.0.1"],
        run: ["true"],
      },
      env: { GRANTED: "yes" },
    });
    const granted = await pool.submit((folder: string) => {
      Deno.writeTextFileSync(`${folder}/a`, "text");
      Deno.listen({ hostname: "127.0.0.1", port: 0 }).close();
      Deno.readTextFileSync("/etc/hostname");
      new Deno.Command("true").outputSync();
      return [Deno.readTextFileSync(`${folder}/a`), Deno.env.get("GRANTED")];
    }, folder).result();
    assertEquals(granted, ["text", "yes"]);
    const refused = [
      () => Deno.readTextFileSync("/etc/passwd"),
      () => Deno.writeTextFileSync("/tmp/not_granted", ""),
      () => Deno.env.get("HOME"),
      () => Deno.listen({ hostname: "127.0.0.2", port: 0 }),
      () => new Deno.Command("false").outputSync(),
    ];
    for (const deed of refused) {
      assertInstanceOf(
        await pool.submit(deed).exception(),
        Deno.errors.NotCapable,
        `${deed}`,
      );
    }
    await pool.shutdown();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

test("a call can import the named modules, and no other file", async () => {
  const tasks = taskModule<typeof import("../modules/tasks.ts")>(
    import.meta.resolve("../modules/tasks.ts"),
  );
  const pool = make({
    maxWorkers: 1,
    module: import.meta.resolve("../modules/leaves_a_mark.ts"),
  });
  assertEquals(await pool.submit(tasks.outer, 1).result(), 13);
  assertEquals(
    await pool.submit(() => Reflect.get(globalThis, "leavesAMarkWasLoaded"))
      .result(),
    true,
  );
  const error = await pool.submit(
    (url: string) => import(url),
    import.meta.resolve("../programs/guarded.ts"),
  ).exception();
  assertMatch((error as Error).message, /read access/);
  await pool.shutdown();
});

test("a module of another host is imported, and the call itself can import nothing from there", async () => {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) =>
      new Response(
        request.url.endsWith("helper.js")
          ? "export const two = 2;"
          : `import { two } from "./helper.js"; export const double = (n) => n * two;`,
        { headers: { "content-type": "text/javascript" } },
      ),
  );
  try {
    const url = `http://127.0.0.1:${server.addr.port}/tasks.js`;
    const tasks = taskModule<{ double(n: number): number }>(url);
    const pool = make({ maxWorkers: 1 });
    assertEquals(await pool.submit(tasks.double, 21).result(), 42);
    const error = await pool.submit(
      (url: string) => import(url),
      `${url}?another`,
    ).exception();
    assertMatch((error as Error).message, /import access/);
    await pool.shutdown();
  } finally {
    await server.shutdown();
  }
});

test("a list may name a file whose name has a comma in it", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const pool = make({
      maxWorkers: 1,
      permissions: { read: [`${folder}/a,b`], write: [`${folder}/a,b`] },
    });
    const write = (path: string) => {
      Deno.writeTextFileSync(path, "text");
      return Deno.readTextFileSync(path);
    };
    assertEquals(await pool.submit(write, `${folder}/a,b`).result(), "text");
    assertInstanceOf(
      await pool.submit(write, `${folder}/a`).exception(),
      Deno.errors.NotCapable,
    );
    await pool.shutdown();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

test("a relative path in a list is of this program's working directory, whatever that of the children is", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const pool = make({
      maxWorkers: 1,
      permissions: { read: ["deno.json"] },
      cwd: folder,
    });
    const own = `${Deno.cwd()}/deno.json`;
    const read = (path: string) => Deno.readTextFileSync(path).length > 0;
    assertEquals(await pool.submit(read, own).result(), true);
    assertInstanceOf(
      await pool.submit(read, `${folder}/deno.json`).exception(),
      Deno.errors.NotCapable,
    );
    await pool.shutdown();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

// ---- The option ----------------------------------------------------------------

Deno.test("permissions: what is no permission is a TypeError that says what there is", () => {
  for (
    const [permissions, says] of [
      [{ files: true }, /permissions has no "files": it may have env, .*write/],
      [{ hrtime: true }, /permissions has no "hrtime"/],
      [
        { read: ["/", ""] },
        /permissions\.read\[1\] must not be empty: .* a path/,
      ],
      [{ net: [""] }, /permissions\.net\[0\] must not be empty: .* a host/],
      [{ read: "yes" }, /permissions.read must be .* received "yes"/],
      [{ net: 5 }, /permissions.net must be .* received 5/],
      [{ read: [new URL("https://example.com")] }, /file:/],
      ["all", /permissions must be .* received "all"/],
      [true, /permissions must be/],
      [[], /permissions must be/],
    ] as const
  ) {
    const error = assertThrows(
      () =>
        new ProcessPoolExecutor({
          permissions: permissions as unknown as Deno.PermissionOptions,
        }),
      TypeError,
    );
    assertMatch(error.message, says);
  }
});

Deno.test({
  name: "permissions: a key with undefined is one left out",
  fn() {
    assertEquals(
      childPermissions({ net: undefined } as Deno.PermissionOptionsObject),
      childPermissions("none"),
    );
  },
});

Deno.test({
  name: "permissions: more than the program has is refused, by name",
  permissions: { read: ["/tmp"], env: ["HOME"], net: ["127.0.0.1:80"] },
  fn() {
    for (
      const refused of [
        { read: true },
        { read: ["/etc"] },
        { read: ["/tmp", "/etc/hosts"] },
        { env: true },
        { env: ["PATH"] },
        { net: ["127.0.0.1"] },
        { net: ["127.0.0.1:81"] },
        { run: true },
        { run: ["sh"] },
        { write: ["/tmp"] },
        { ffi: true },
        { sys: ["hostname"] },
      ] as Deno.PermissionOptionsObject[]
    ) {
      const [name] = Object.keys(refused);
      const error = assertThrows(
        () => childPermissions(refused),
        Deno.errors.NotCapable,
      );
      assertMatch(
        error.message,
        new RegExp(`"${name}" permission.*--allow-${name}`),
      );
    }
    for (
      const granted of [
        { read: ["/tmp"] },
        { read: ["/tmp/below"] },
        { env: ["HOME"] },
        { net: ["127.0.0.1:80"] },
        { run: false },
        { ffi: "inherit" },
      ] as Deno.PermissionOptionsObject[]
    ) childPermissions(granted);
    // Of a part no more is known than that it is not the whole.
    assertEquals(childPermissions("inherit").tasks?.read, false);
  },
});

Deno.test({
  name: "permissions: what the program is denied is not inherited",
  permissions: "none",
  fn() {
    const { flags, tasks } = childPermissions("inherit");
    assertEquals(flags, ["--allow-read", "--allow-ffi"]);
    assertEquals(
      Object.values(tasks ?? {}).every((grant) => grant === false),
      true,
    );
  },
});

// ---- Whole programs --------------------------------------------------------------

test("a program with --allow-run alone can have all calls run that need no more", async () => {
  const { code, stdout, stderr } = await deno(
    programArgs("process_run_only", ["--allow-run"]),
  );
  assertEquals(stderr, "");
  assertEquals(stdout.split("\n"), [
    "Hello world",
    "[ 8, 9 ]",
    "read prompt, write prompt, net prompt, env prompt, run prompt, sys prompt, ffi prompt, import prompt"
      .replaceAll("prompt", /read (\w+)/.exec(stdout)?.[1] ?? ""),
    "before 12",
    "late 2000",
    "module true",
    "TypeError",
    "read NotCapable --allow-read",
    "net NotCapable --allow-net",
    "write NotCapable --allow-write",
    "env NotCapable --allow-env",
    "sys NotCapable --allow-sys",
    "run made",
    "inherit granted prompt".replace(
      "prompt",
      /read (\w+)/.exec(stdout)?.[1] ?? "",
    ),
    "",
  ]);
  assert(!/read granted/.test(stdout));
  assertEquals(code, 0);
});

test("a program with --allow-run alone is asked for no other permission", async () => {
  const { stdout, stderr } = await deno(
    programArgs("process_asks_nothing", ["--allow-run"]),
  );
  assertEquals([stdout, stderr], ["3 []\n", ""]);
});

test("a program without --allow-run is told what it needs", async () => {
  const source = `
    import { ProcessPoolExecutor } from "${
    import.meta.resolve("../../mod.ts")
  }";
    const pool = new ProcessPoolExecutor({ maxWorkers: 1 });
    const error = await pool.submit(Math.sqrt, 4).exception();
    console.log(error.name, error.cause?.name, /--allow-run/.test(error.message));
    await pool.shutdown();`;
  const { stdout } = await deno([
    "run",
    "--no-prompt",
    "--no-config",
    `data:text/javascript,${encodeURIComponent(source)}`,
  ]);
  assertEquals(stdout, "BrokenProcessPool NotCapable true\n");
});
