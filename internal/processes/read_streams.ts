/** Reads the streams of a child to their ends, or to its own. */

import { startTimer } from "../base/timers.ts";
import type { FrameReader } from "./frame_reader.ts";

/** How long a dead child's output is waited for that others hold open, in milliseconds. */
const DRAIN = 100;

/** A stream that is being read, and what stops that. */
export interface Reading {
  readonly ended: Promise<void>;
  stop(): void;
}

/**
 * Reads what a child sends. A large buffer is read to where it is to be.
 */
export function readFrames(
  stream: ReadableStream<Uint8Array>,
  frames: FrameReader,
  onGarbled: (error: unknown) => void,
): Reading {
  const reader = stream.getReader({ mode: "byob" });
  let memory = new Uint8Array(65536);
  const ended = (async () => {
    while (true) {
      const { target } = frames;
      const { done, value } = await reader.read(target ?? memory);
      if (done || !value) return;
      if (target) {
        frames.filled(value as Uint8Array<ArrayBuffer>);
      } else {
        frames.push(value);
        memory = new Uint8Array(value.buffer as ArrayBuffer);
      }
    }
  })().catch((error) => {
    // Nothing more is read: the child is about to be killed.
    reader.cancel().catch(() => {});
    onGarbled(error);
  });
  return {
    ended,
    stop: () => {
      reader.cancel().catch(() => {});
    },
  };
}

export function readAll(
  stream: ReadableStream<Uint8Array>,
  onPart: (bytes: Uint8Array) => void,
): Reading {
  const reader = stream.getReader();
  const ended = (async () => {
    for (let part; !(part = await reader.read()).done;) onPart(part.value);
  })().catch(() => {});
  return {
    ended,
    stop: () => {
      reader.cancel().catch(() => {});
    },
  };
}

/**
 * Waits for the ends of a dead child's streams. A program that a task started
 * may hold them open for ever; it does not hold up the pool.
 */
export async function drained(readings: readonly Reading[]): Promise<void> {
  const stop = startTimer(DRAIN, () => {
    for (const reading of readings) reading.stop();
  });
  await Promise.all(readings.map(({ ended }) => ended));
  stop();
}
