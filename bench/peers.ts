/** What is not part of this project: runtimes, and packages from npm. */

import type { Runtime } from "./subject.ts";

const HERE = new URL("./", import.meta.url);

/** A folder outside of the package, for the peers and what they leave. */
export function cacheFolder(): string {
  const set = Deno.env.get("BENCH_CACHE");
  if (set) return set;
  const temp = Deno.env.get("TMPDIR") ?? Deno.env.get("TEMP") ?? "/tmp";
  return `${temp.replace(/[\\/]$/, "")}/concurrent-futures-bench`;
}

/** Copies what Node runs to where Node finds the packages. */
export async function copyPrograms(cache: string): Promise<void> {
  for (const folder of ["lib", "subjects"]) {
    await Deno.mkdir(`${cache}/${folder}`, { recursive: true });
    for (const { name } of Deno.readDirSync(new URL(folder, HERE))) {
      if (!name.endsWith(".mjs")) continue;
      await Deno.copyFile(
        new URL(`${folder}/${name}`, HERE),
        `${cache}/${folder}/${name}`,
      );
    }
  }
}

/** Runs a program, and gives what it printed. */
async function outputOf(command: string, args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args })
    .output();
  const decoder = new TextDecoder();
  if (!success) {
    const lines = decoder.decode(stderr).trim().split("\n");
    throw new Error(lines.slice(-3).join(" / "));
  }
  return decoder.decode(stdout).trim();
}

/** The runtimes that there are, by the ending of what they run. */
export async function runtimes(
  onMissing: (name: string) => void,
): Promise<Map<string, Runtime>> {
  const found = new Map<string, Runtime>();
  const gc = "--expose-gc";
  found.set("ts", {
    name: "Deno",
    version: Deno.version.deno,
    command: (path, weighed) => [
      Deno.execPath(),
      "run",
      "-A",
      "--quiet",
      ...(weighed ? [`--v8-flags=${gc}`] : []),
      path,
    ],
  });
  try {
    // The program itself: what stands in the path may be a script that finds it.
    const [node, version] = JSON.parse(
      await outputOf("node", [
        "-p",
        "JSON.stringify([process.execPath, process.versions.node])",
      ]),
    );
    found.set("mjs", {
      name: "Node",
      version,
      command: (path, weighed) => [node, ...(weighed ? [gc] : []), path],
    });
  } catch {
    onMissing("Node");
  }
  const windows = Deno.build.os === "windows";
  try {
    const [python, version] = JSON.parse(
      await outputOf(windows ? "python" : "python3", [
        "-c",
        "import json, platform, sys; print(json.dumps([sys.executable, platform.python_version()]))",
      ]),
    );
    found.set("py", {
      name: "CPython",
      version,
      command: (path) => [python, path],
    });
  } catch {
    onMissing("CPython");
  }
  return found;
}

/** The version of an installed package. */
function versionOf(cache: string, name: string): string | undefined {
  try {
    const path = `${cache}/node_modules/${name}/package.json`;
    return JSON.parse(Deno.readTextFileSync(path)).version;
  } catch {
    return undefined;
  }
}

/** Installs a package unless it is there, and gives its version. */
export async function install(cache: string, name: string): Promise<string> {
  const version = versionOf(cache, name);
  if (version !== undefined) return version;
  const windows = Deno.build.os === "windows";
  await outputOf(windows ? "npm.cmd" : "npm", [
    "install",
    "--prefix",
    cache,
    "--no-audit",
    "--no-fund",
    "--ignore-scripts",
    name,
  ]);
  return versionOf(cache, name) ?? "of unknown version";
}
