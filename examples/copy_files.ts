/**
 * Copies four files at once, as `shutil.copy` does in Python's documentation:
 * a built-in function is submitted as it is, and the block waits for its calls.
 *
 * Run it: deno run --allow-read --allow-write examples/copy_files.ts
 */

import { type Future, ThreadPoolExecutor } from "@concurrent/futures";

const dir = await Deno.makeTempDir();
try {
  for (const n of [1, 2, 3, 4]) {
    await Deno.writeTextFile(`${dir}/src${n}.txt`, `File number ${n}`);
  }

  const copies: Future<void>[] = [];
  {
    await using executor = new ThreadPoolExecutor({ maxWorkers: 4 });
    for (const n of [1, 2, 3, 4]) {
      copies.push(executor.submit(
        Deno.copyFile,
        `${dir}/src${n}.txt`,
        `${dir}/dest${n}.txt`,
      ));
    }
  } // Here all calls are done and the workers are gone.

  // A future that nobody asks keeps a failure to itself. So ask.
  for (const copy of copies) await copy.result();

  for (const n of [1, 2, 3, 4]) {
    console.log(
      `dest${n}.txt: ${await Deno.readTextFile(`${dir}/dest${n}.txt`)}`,
    );
  }
} finally {
  await Deno.remove(dir, { recursive: true });
}
