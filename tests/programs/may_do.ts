/**
 * Tries things itself, and has children try them that are given permissions, one
 * pool after another; prints what each could do.
 */

import { ProcessPoolExecutor } from "../../mod.ts";

const { folder, options } = JSON.parse(Deno.args[0]) as {
  folder: string;
  options: Deno.PermissionOptions[];
};

/** Which of its deeds a task may do. */
async function tryAll(folder: string): Promise<string[]> {
  const deeds: Record<string, () => unknown> = {};
  for (const name of ["SECRET_A", "SECRET_B", "OTHER", "SECRETLY"]) {
    deeds[`env ${name}`] = () => Deno.env.get(name);
  }
  for (
    const host of ["127.0.0.1", "127.0.0.2", "[::1]", "localhost", "0.0.0.0"]
  ) {
    for (const port of [48_101, 48_102]) {
      const hostname = host.replace(/[[\]]/g, "");
      deeds[`net ${host}:${port}`] = async () =>
        (await Deno.connect({ hostname, port })).close();
    }
  }
  for (const path of ["", "/a", "/a/b", "/a/b/c", "/link", "/link/c"]) {
    deeds[`read ${path}`] = () => Deno.statSync(folder + path);
    deeds[`write ${path}`] = () => Deno.utimeSync(folder + path, 0, 0);
    deeds[`ffi ${path}`] = () => Deno.dlopen(folder + path, {});
  }
  for (const command of ["true", "false", "/bin/true", "/usr/bin/true"]) {
    deeds[`run ${command}`] = () => new Deno.Command(command).outputSync();
  }
  deeds["sys hostname"] = () => Deno.hostname();
  deeds["sys osRelease"] = () => Deno.osRelease();
  const done: string[] = [];
  for (const [name, deed] of Object.entries(deeds)) {
    try {
      await deed();
      done.push(name);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotCapable)) done.push(name);
    }
  }
  return done;
}

const own = await tryAll(folder);
const children: unknown[] = [];
for (const permissions of options) {
  try {
    await using pool = new ProcessPoolExecutor({
      maxWorkers: 1,
      closures: false,
      permissions,
    });
    children.push(await pool.submit(tryAll, folder).result());
  } catch (error) {
    children.push(`${(error as Error).name}: ${(error as Error).message}`);
  }
}
console.log(JSON.stringify({ own, children }));
