/** Whatever a program may do and is denied: no child may do what the program may not. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import { deno } from "../_programs.ts";

const program = new URL("../programs/may_do.ts", import.meta.url).pathname;

/** A folder with something to be denied in it, and a link to that. */
async function makeFolder(): Promise<string> {
  const folder = await Deno.makeTempDir();
  await Deno.mkdir(`${folder}/a/b`, { recursive: true });
  await Deno.writeTextFile(`${folder}/a/b/c`, "");
  await Deno.symlink(`${folder}/a/b`, `${folder}/link`);
  return folder;
}

/** What there is to name of each kind. */
const ITEMS: Record<string, string[]> = {
  env: ["SECRET_A", "SECRET_B", "OTHER", "SECRET_*", "*"],
  net: [
    "127.0.0.1",
    "127.0.0.1:48101",
    "127.0.0.2",
    "127.0.0.0/8",
    "[::1]",
    "[::1]:48102",
    "localhost",
    "localhost:48101",
    "0.0.0.0",
  ],
  read: ["FOLDER", "FOLDER/a", "FOLDER/a/b", "FOLDER/a/b/c", "FOLDER/link"],
  write: ["FOLDER", "FOLDER/a", "FOLDER/a/b", "FOLDER/a/b/c", "FOLDER/link"],
  ffi: ["FOLDER", "FOLDER/a/b", "FOLDER/link"],
  run: ["true", "false", "/bin/true", "/usr/bin/true"],
  sys: ["hostname", "osRelease"],
};
const KINDS = Object.keys(ITEMS);

type Grant = boolean | string[];

const grants: fc.Arbitrary<Record<string, Grant>> = fc.record(
  Object.fromEntries(
    KINDS.map((kind) => [
      kind,
      fc.oneof(
        { weight: 2, arbitrary: fc.constant(false) },
        { weight: 1, arbitrary: fc.constant(true) },
        {
          weight: 4,
          arbitrary: fc.subarray(ITEMS[kind], { minLength: 1, maxLength: 2 }),
        },
      ),
    ]),
  ),
);

interface Tried {
  readonly own: string[];
  /** What each could do, or why there was none. */
  readonly children: (string[] | string)[];
}

async function tryOut(
  flags: readonly string[],
  folder: string,
  options: readonly unknown[],
): Promise<Tried> {
  const { code, stdout, stderr } = await deno([
    "run",
    "--no-prompt",
    "--no-check",
    "--no-config",
    ...flags,
    program,
    JSON.stringify({ folder, options }).replaceAll("FOLDER", folder),
  ], { through: ["env", "SECRET_A=a", "SECRET_B=b", "OTHER=c"] });
  assertEquals(stderr, "");
  assertEquals(code, 0);
  return JSON.parse(stdout);
}

function flagsOf(
  verb: "allow" | "deny",
  grants: Record<string, Grant>,
  folder: string,
): string[] {
  return Object.entries(grants).flatMap(([kind, grant]) => {
    if (grant === false) return [];
    if (grant === true) return [`--${verb}-${kind}`];
    const list = grant.join(",").replaceAll("FOLDER", folder);
    return [`--${verb}-${kind}=${list}`];
  });
}

Deno.test("permissions: whatever is allowed, denied and asked for, no child can do what its program can't", async () => {
  const folder = await makeFolder();
  let given = 0;
  try {
    await fc.assert(
      fc.asyncProperty(
        fc.boolean(),
        grants,
        grants,
        fc.array(grants, { maxLength: 2 }),
        async (all, allowed, denied, options) => {
          // The pool itself has to start its children.
          const run = Array.isArray(allowed.run) ? allowed.run : [];
          const mayRun = { ...allowed, run: [Deno.execPath(), ...run] };
          const flags = all ? ["-A"] : flagsOf("allow", mayRun, folder);
          const without = {
            ...denied,
            run: denied.run === true ? false : denied.run,
          };
          // Each thing alone, too: one that is refused hides the others.
          const wanted: unknown[] = [
            ...KINDS.flatMap((kind) =>
              ITEMS[kind].map((item) => ({ [kind]: [item] }))
            ),
            ...options,
          ];
          const { own, children } = await tryOut(
            [...flags, ...flagsOf("deny", without, folder)],
            folder,
            [...wanted, "inherit", "none"],
          );
          for (const [i, child] of children.entries()) {
            if (typeof child === "string") {
              assertMatch(child, /^NotCapable: Cannot give children "/);
              continue;
            }
            given += child.length;
            const more = child.filter((deed) => !own.includes(deed));
            assertEquals(more, [], JSON.stringify([flags, without, wanted[i]]));
          }
        },
      ),
      { numRuns: 4 },
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  assert(given > 0, "nothing was given to any child");
});

Deno.test("permissions: what is told of a part is given, and what is not is refused with its place", async () => {
  const folder = await makeFolder();
  const cases: [flags: string[], option: unknown, says: RegExp | string[]][] = [
    [["-A", "--deny-env=SECRET_A"], { env: ["SECRET_B"] }, ["env SECRET_B"]],
    [
      ["-A", "--deny-env=SECRET_A"],
      { env: ["OTHER", "SECRET_*"] },
      /"SECRET_\*" \(permissions\.env\[1\]\), of which a part may be denied .* name each variable/,
    ],
    [["-A", "--deny-env=OTHER"], { env: ["*"] }, /permissions\.env\[0\]/],
    [
      ["--allow-run", "--allow-env=SECRET_*"],
      { env: ["SECRET_*"] },
      /permissions\.env\[0\]/,
    ],
    [["--allow-run", "--allow-env"], { env: ["SECRET_*"] }, [
      "env SECRET_A",
      "env SECRET_B",
    ]],
    [
      ["-A", "--deny-env=SECRET_A"],
      { env: true },
      /"env" permission, of which a part is denied/,
    ],
    [["-A", "--deny-net=127.0.0.1:48102"], { net: ["127.0.0.1:48101"] }, [
      "net 127.0.0.1:48101",
    ]],
    [
      ["-A", "--deny-net=127.0.0.1:48102"],
      { net: ["127.0.0.1"] },
      /"127\.0\.0\.1:48102" \(permissions\.net\[0\]\), which this program does not have/,
    ],
    [["--allow-run", "--allow-net=127.0.0.1", "--deny-net=127.0.0.1:48102"], {
      net: ["127.0.0.1"],
    }, /"127\.0\.0\.1:48102"/],
    [["--allow-run", "--allow-net=127.0.0.1"], { net: ["127.0.0.1"] }, [
      "net 127.0.0.1:48101",
      "net 127.0.0.1:48102",
    ]],
    [["-A", "--deny-net=127.0.0.1:48102"], { net: ["127.0.0.2"] }, [
      "net 127.0.0.2:48101",
      "net 127.0.0.2:48102",
    ]],
    [["-A", "--deny-net=[::1]:48102"], { net: ["[::1]"] }, /"\[::1\]:48102"/],
    [
      ["-A", "--deny-net=127.0.0.1"],
      { net: ["host.invalid:48101"] },
      /one of its addresses may be denied/,
    ],
    [
      ["--allow-run", "--allow-net=[::1]", "--deny-net"],
      { net: ["[::1]"] },
      /permissions\.net\[0\]/,
    ],
    [
      ["--allow-run", "--allow-net=127.0.0.2", "--deny-net=127.0.0.0/8"],
      { net: ["127.0.0.2"] },
      /permissions\.net\[0\]/,
    ],
    [
      ["--allow-run", "--allow-net=127.0.0.0/8", "--deny-net=127.0.0.0/24"],
      { net: ["127.0.0.1:48101"] },
      /permissions\.net\[0\]/,
    ],
    [
      ["--allow-run", "--allow-net=127.0.0.1:48101", "--deny-net=127.0.0.1"],
      { net: ["127.0.0.1:48101"] },
      /permissions\.net\[0\]/,
    ],
    [
      ["-A", "--deny-net=127.0.0.1"],
      { net: ["localhost:48101"] },
      /permissions\.net\[0\]/,
    ],
    [
      ["-A", "--deny-net=127.0.0.1"],
      { net: ["[::ffff:127.0.0.1]:48101"] },
      // Deno 2.5 takes it for another address, and lets the program have it.
      Deno.version.deno.startsWith("2.5.") ? /.*/ : /permissions\.net\[0\]/,
    ],
    [
      ["-A", "--deny-net=127.0.0.1"],
      { net: ["127.0.0.0/8"] },
      /name each host/,
    ],
    [
      ["-A", "--deny-net=127.0.0.1"],
      { net: ["*.localhost"] },
      /permissions\.net\[0\]/,
    ],
    [
      ["-A", `--deny-read=${folder}/a/b`],
      { read: [`${folder}/a`] },
      /\(permissions\.read\[0\]\), of which a part is denied/,
    ],
    [["-A", `--deny-read=${folder}/a/b`], { read: [`${folder}/link`] }, /.*/],
    [
      ["-A", `--deny-write=${folder}/a/b/c`],
      { write: [folder] },
      /permissions\.write\[0\]/,
    ],
    [
      ["-A", `--deny-ffi=${folder}/a`],
      { ffi: [folder] },
      /permissions\.ffi\[0\]/,
    ],
    [["-A", "--deny-sys=hostname"], { sys: ["osRelease"] }, ["sys osRelease"]],
    [
      ["-A", "--deny-sys=hostname"],
      { sys: ["hostname"] },
      /permissions\.sys\[0\]/,
    ],
    [
      ["-A", "--deny-sys=hostname"],
      { sys: ["no such kind"] },
      /permissions\.sys\[0\]/,
    ],
    [["-A", "--deny-run=false"], { run: ["false"] }, /permissions\.run\[0\]/],
    [
      ["-A", "--deny-import=localhost:8080"],
      { import: ["localhost"] },
      /permissions\.import\[0\]/,
    ],
    [["-A", "--deny-env=SECRET_A"], "inherit", /.*/],
  ];
  try {
    for (const [flags, option, says] of cases) {
      const { own, children } = await tryOut(flags, folder, [option]);
      const [child] = children;
      const about = JSON.stringify([flags, option]);
      if (Array.isArray(says)) assertEquals(child, says, about);
      else if (typeof child === "string") {
        assertMatch(child, /^NotCapable: Cannot give children "/, about);
        assertMatch(child, says, about);
      } else {
        assertEquals(says.source, ".*", `${about} was given ${child}`);
        assertEquals(child.filter((deed) => !own.includes(deed)), [], about);
      }
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("permissions: a command by its name alone is refused where the children have another PATH", async () => {
  const source = `
    import { childPermissions } from ${
    JSON.stringify(
      import.meta.resolve("../../internal/processes/permissions.ts"),
    )
  };
    for (const [run, env] of [
      [["true"], {}], [["true"], { OTHER: "" }], [["/bin/true"], { PATH: "/tmp" }],
      [["true"], { PATH: "/tmp" }], [["true"], { Path: "/tmp" }],
    ]) {
      try { childPermissions({ run }, undefined, env); console.log("given"); }
      catch (error) { console.log(error.name, error.message); }
    }`;
  const { stdout } = await deno([
    "run",
    "--no-prompt",
    "--no-config",
    "--allow-run=true,/bin/true",
    `data:text/javascript,${encodeURIComponent(source)}`,
  ]);
  const lines = stdout.trim().split("\n");
  assertEquals(lines.slice(0, 3), ["given", "given", "given"]);
  assertMatch(
    lines[3],
    /^NotCapable .*"true" \(permissions\.run\[0\]\).*env\.PATH/,
  );
  assertMatch(
    lines[4],
    /^NotCapable .*"true" \(permissions\.run\[0\]\).*env\.Path/,
  );
});
