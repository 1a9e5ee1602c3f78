/** A program that a bundler has renamed and wrapped does what it did before. */

import { assertEquals } from "@std/assert";
import { deno } from "./_programs.ts";

const all = '[3,[19,1,1],"told",[7,8,true]]\n';
const alone = '[3,[19,1,1],"told"]\n';
/** Whether the runtime has such a flag, which Deno 2.5 has not. */
const keepsNames = !Deno.version.deno.startsWith("2.5.");

for (
  const flags of [
    [],
    ["--keep-names"],
    ["--minify"],
    ["--keep-names", "--minify"],
  ]
) {
  const ignore = flags.includes("--keep-names") && !keepsNames;
  Deno.test(
    `a program that was bundled ${
      flags.join(" ") || "plainly"
    } does what it did before`,
    { ignore },
    async () => {
      const folder = await Deno.makeTempDir();
      try {
        const file = `${folder}/program.js`;
        const program = new URL("./programs/bundled.ts", import.meta.url);
        const config = new URL("../deno.json", import.meta.url);
        const bundled = await deno([
          "bundle",
          "--quiet",
          ...flags,
          "--config",
          config.pathname,
          "--output",
          file,
          program.pathname,
        ]);
        assertEquals(bundled.code, 0, bundled.stderr);
        const { code, stdout, stderr } = await deno([
          "run",
          "-A",
          "--no-config",
          file,
        ]);
        assertEquals({ code, stdout, stderr }, {
          code: 0,
          stdout: all + all + alone + alone,
          stderr: "",
        });
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  );
}
