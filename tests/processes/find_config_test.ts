/** How children find modules: by the files of the project, and by the program's own flags. */

import { assertEquals } from "@std/assert";
import { flagsIn, moduleFlags } from "../../internal/processes/find_config.ts";
import { assertSays, project, runIn } from "../_projects.ts";

const absolute = (path: string) => `/at/${path}`;

Deno.test("flagsIn keeps what says where modules are found, in one form", () => {
  const rows: [args: string, flags: string[]][] = [
    ["run main.ts", []],
    ["run -A --no-check --v8-flags=--expose-gc main.ts", []],
    ["run --config deno.json main.ts", ["--config=/at/deno.json"]],
    ["run --config=deno.json main.ts", ["--config=/at/deno.json"]],
    ["run -c deno.json main.ts", ["--config=/at/deno.json"]],
    ["run -cdeno.json main.ts", ["--config=/at/deno.json"]],
    ["test --import-map map.json x_test.ts", ["--import-map=/at/map.json"]],
    ["run --import-map=https://a/b.json main.ts", [
      "--import-map=/at/https://a/b.json",
    ]],
    ["run --lock main.ts", ["--lock"]],
    ["run --lock=my.lock --no-config main.ts", [
      "--lock=/at/my.lock",
      "--no-config",
    ]],
    ["run --node-modules-dir main.ts", ["--node-modules-dir"]],
    ["run --node-modules-dir=auto --conditions development main.ts", [
      "--node-modules-dir=auto",
      "--conditions=development",
    ]],
    ["run --no-npm --no-remote --cached-only --no-lock main.ts", [
      "--no-npm",
      "--no-remote",
      "--cached-only",
      "--no-lock",
    ]],
    ["run --unstable-sloppy-imports --unstable-worker-options main.ts", [
      "--unstable-sloppy-imports",
    ]],
    ["run --config", []],
  ];
  for (const [args, flags] of rows) {
    assertEquals(flagsIn(["deno", ...args.split(" ")], absolute), flags, args);
  }
});

Deno.test("moduleFlags gives no flag that children get anyway, and no file but the one named", () => {
  const named = moduleFlags("/a/deno.json");
  assertEquals(named.filter((flag) => /^--(no-)?config/.test(flag)), [
    "--config=/a/deno.json",
  ]);
  for (const given of ["--config=/b.json", "--no-config", "-c/b.json"]) {
    assertEquals(
      moduleFlags(undefined, [given]).filter((flag) =>
        /^--(no-)?config/.test(flag)
      ),
      [],
      given,
    );
  }
});

/** A program whose functions come by module, in a child as here. */
const PROGRAM = (specifier: string, compare = "./compare.js") => `
import { kinds } from "${compare}";
import { where } from "${specifier}";
export const task = async () => {
  const later = await import("${specifier}");
  return [where(), later.where()].join();
};
if (import.meta.main) {
  const found = [await task()];
  for (const make of Object.values(kinds)) {
    const pool = make({ module: import.meta.url });
    found.push(await pool.submit(task).result());
    await pool.shutdown();
  }
  console.log(found.join(" "));
}`;
const PLACE = (name: string) => `export const where = () => "${name}";`;

Deno.test("children find what the configuration file on the command line says", async () => {
  using made = project({
    "settings/other.json": { imports: { place: "../far.js" }, lock: false },
    "far.js": PLACE("far"),
    "main.js": PROGRAM("place"),
  });
  const far = "far,far far,far far,far";
  for (
    const flags of [
      ["--config", "settings/other.json"],
      ["--config=settings/other.json"],
      ["-c", "settings/other.json"],
    ]
  ) {
    assertSays(await runIn(made, "main.js", { flags: ["-A", ...flags] }), far);
  }
});

Deno.test("children find nothing by a file that the program was told not to use", async () => {
  using made = project({
    "deno.json": { imports: { place: "./near.js" }, lock: false },
    "near.js": PLACE("near"),
    "main.js": `
import { kinds } from "./compare.js";
export const task = () => import("place").then(() => "found", () => "not found");
if (import.meta.main) {
  for (const make of Object.values(kinds)) {
    const pool = make({ module: import.meta.url });
    console.log(await pool.submit(task).result());
    await pool.shutdown();
  }
}`,
  });
  const flags = ["-A", "--no-config"];
  assertSays(await runIn(made, "main.js", { flags }), "not found\nnot found");
});

Deno.test("children find what a workspace member has in its own file", async () => {
  using made = project({
    "deno.json": {
      workspace: ["./one", "./two"],
      imports: { place: "./root.js" },
      lock: false,
    },
    "root.js": PLACE("root"),
    "one/deno.json": {
      name: "@example/one",
      version: "1.0.0",
      exports: "./main.js",
      imports: { place: "./own.js" },
    },
    "one/own.js": PLACE("one"),
    "one/main.js": PROGRAM("place", "../compare.js"),
    "two/deno.json": {
      name: "@example/two",
      version: "1.0.0",
      exports: "./main.js",
    },
    "two/main.js": PROGRAM("place", "../compare.js"),
  });
  for (const cwd of [made.path, "/"]) {
    const one = await runIn(made, "one/main.js", { cwd });
    assertSays(one, "one,one one,one one,one");
    const two = await runIn(made, "two/main.js", { cwd });
    assertSays(two, "root,root root,root root,root");
  }
});

Deno.test("children of pools in tasks find what the program finds", async () => {
  using made = project({
    "deno.json": { imports: { place: "./near.js" }, lock: false },
    "near.js": PLACE("near"),
    "tasks.js":
      `import { where } from "place"; export const task = () => where();`,
    "main.js": `
import { ProcessPoolExecutor } from "${new URL(
      "../../mod.ts",
      import.meta.url,
    )}";
import { kinds } from "./compare.js";
const module = import.meta.resolve("./tasks.js");
import { task } from "./tasks.js";
for (const [kind, make] of Object.entries(kinds)) {
  const pool = make(kind === "process" ? { permissions: "inherit" } : {});
  console.log(await pool.submit(async () => {
    await using inner = new ProcessPoolExecutor({ maxWorkers: 1, module });
    return await inner.submit(task).result();
  }).result());
  await pool.shutdown();
}`,
  });
  // Some of the permissions: then the command line can't be read.
  const some = ["--allow-read", "--allow-run", "--allow-sys", "--allow-ffi"];
  for (const flags of [["-A"], [...some, "--allow-env", "--allow-import"]]) {
    assertSays(await runIn(made, "main.js", { flags, cwd: "/" }), "near\nnear");
  }
});

Deno.test("children find what a package.json says below a configuration file of others, or of its workspace", async () => {
  const files = {
    "place.js": PLACE("map"),
    "inner/package.json": { name: "inner", type: "module" },
    "inner/node_modules/place/package.json": {
      name: "place",
      version: "1.0.0",
      type: "module",
      exports: "./index.js",
    },
    "inner/node_modules/place/index.js": PLACE("package"),
    "inner/main.js": PROGRAM("place", "../compare.js"),
  };
  const imports = { place: "./place.js" };
  using others = project({
    ...files,
    "deno.json": { imports, lock: false },
  });
  assertSays(
    await runIn(others, "inner/main.js"),
    "package,package package,package package,package",
  );
  using workspace = project({
    ...files,
    "deno.json": { workspace: ["./inner"], imports, lock: false },
  });
  const { stdout } = await runIn(workspace, "inner/main.js");
  // Which of them that is, is the runtime's to say.
  const [here, ...there] = stdout.trim().split(" ");
  assertEquals(there, [here, here]);
});
