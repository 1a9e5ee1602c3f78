/**
 * Thumbnails of large images: their pixels are moved to a thread and not copied,
 * so handing them over takes no time, and they are there once, not twice.
 *
 * Run it: deno run examples/thumbnails.ts
 */

import { ThreadPoolExecutor, transfer } from "@concurrent/futures";

/** Four bytes for each pixel: red, green, blue, opacity. */
interface Picture {
  width: number;
  height: number;
  pixels: Uint8ClampedArray<ArrayBuffer>;
}

/** A picture that gets lighter from left to right, in a color of its own. */
function paint(width: number, height: number, color: number[]): Picture {
  const pixels = new Uint8ClampedArray(width * height * 4);
  for (let i = 0; i < pixels.length; i += 4) {
    const light = (i / 4 % width) / width;
    for (let c = 0; c < 3; c++) pixels[i + c] = color[c] * light;
    pixels[i + 3] = 255;
  }
  return { width, height, pixels };
}

// Runs on a thread. Each pixel of the thumbnail is the mean of those it stands for.
function shrink({ width, height, pixels }: Picture, by: number): Picture {
  const small = { width: width / by | 0, height: height / by | 0 };
  const result = new Uint8ClampedArray(small.width * small.height * 4);
  for (let y = 0; y < small.height; y++) {
    for (let x = 0; x < small.width; x++) {
      for (let c = 0; c < 4; c++) {
        let sum = 0;
        for (let dy = 0; dy < by; dy++) {
          const row = (y * by + dy) * width;
          for (let dx = 0; dx < by; dx++) {
            sum += pixels[(row + x * by + dx) * 4 + c];
          }
        }
        result[(y * small.width + x) * 4 + c] = sum / (by * by);
      }
    }
  }
  // On its way back it is moved, too.
  return transfer({ ...small, pixels: result }, [result.buffer]);
}

const pictures = [[255, 0, 0], [0, 255, 0], [0, 128, 255]].map((color) =>
  paint(1600, 1200, color)
);

await using executor = new ThreadPoolExecutor();
const futures = pictures.map((picture) =>
  executor.submit(shrink, transfer(picture, [picture.pixels.buffer]), 16)
);
// They are gone from here before a single thread has started.
const left = pictures.map(({ pixels }) => pixels.length);
console.log(`${left} bytes are left of the pictures`);

for (const future of futures) {
  const { width, height, pixels } = await future.result();
  console.log(`${width} × ${height}, ends in ${pixels.slice(-4)}`);
}
