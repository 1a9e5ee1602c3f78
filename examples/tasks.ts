/** The functions that `task_module.ts` has workers run. */

console.log("tasks.ts is loaded");

function pass(bytes: BodyInit, through: TransformStream): Promise<Uint8Array> {
  return new Response(new Response(bytes).body!.pipeThrough(through)).bytes();
}

/** Compresses a text. */
export function compress(text: string): Promise<Uint8Array> {
  return pass(text, new CompressionStream("gzip"));
}

/** Restores a text that was compressed. */
export async function restore(compressed: Uint8Array): Promise<string> {
  const bytes = await pass(
    new Uint8Array(compressed),
    new DecompressionStream("gzip"),
  );
  return new TextDecoder().decode(bytes);
}
