/**
 * The streams of a child: stdin and stdout are the pool's, and no task may read
 * from the one or close the other.
 */

/**
 * Has the pool's pipe as a file of its own, and puts `/dev/null` in its place:
 * whatever reads stdin then, in whatever way, or inherits it, finds its end.
 * Where that can't be done, the usual ways to read it are closed one by one, by
 * `guardStreams`.
 *
 * Self-contained: children get it as its source, for their main thread.
 */
export function moveStdin(): Pick<Deno.FsFile, "read" | "readSync"> {
  const isLinux = Deno.build.os === "linux";
  /** `F_SETPIPE_SZ` of Linux. */
  const PIPE_SIZE = 1031;
  const libraries: Partial<Record<string, string[]>> = {
    linux: ["libc.so.6", `libc.musl-${Deno.build.arch}.so.1`, "libc.so"],
    android: ["libc.so"],
    darwin: ["libSystem.B.dylib"],
    freebsd: ["libc.so.7"],
  };
  for (const library of libraries[Deno.build.os] ?? []) {
    try {
      const { symbols: c } = Deno.dlopen(library, {
        dup: { parameters: ["i32"], result: "i32" },
        dup2: { parameters: ["i32", "i32"], result: "i32" },
        open: { parameters: ["buffer", "i32"], result: "i32" },
        close: { parameters: ["i32"], result: "i32" },
        fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
      });
      // Large data then take a quarter of the switches between the processes.
      for (const end of isLinux ? [0, 1] : []) {
        c.fcntl(end, PIPE_SIZE, 1 << 18);
      }
      const pipe = c.dup(0);
      const nothing = c.open(new TextEncoder().encode("/dev/null\0"), 0);
      // Opened anew, so that the runtime reads it, and programs don't inherit it.
      const stdin = Deno.openSync(`/dev/fd/${pipe}`);
      c.dup2(nothing, 0);
      c.close(pipe);
      c.close(nothing);
      return stdin;
    } catch {
      // Not this one.
    }
  }
  return Deno.stdin;
}

/** Self-contained: children get it as its source, for the worker that runs tasks. */
export function guardStreams(): void {
  // Stdin is the pool's. A task finds its end there, and so does a program
  // that a task starts.
  Object.defineProperty(Deno, "stdin", {
    configurable: true,
    value: {
      read: () => Promise.resolve(null),
      readSync: () => null,
      close: () => {},
      isTerminal: () => false,
      setRaw: () => {},
      get readable() {
        return new ReadableStream({
          start: (controller) => controller.close(),
        });
      },
    },
  });
  // Stdout is the pool's, too: a task may write to it, and not close it. What it
  // has written is out when `write` returns: the child may be about to end.
  for (const stream of [Deno.stdout, Deno.stderr]) {
    const writeSync = stream.writeSync.bind(stream);
    Object.defineProperties(stream, {
      close: { value: () => {} },
      write: {
        writable: true,
        value: (bytes: Uint8Array) =>
          new Promise((resolve) => resolve(writeSync(bytes))),
      },
      writable: {
        get: () =>
          new WritableStream<Uint8Array>({
            write(chunk) {
              for (let done = 0; done < chunk.length;) {
                done += writeSync(chunk.subarray(done));
              }
            },
          }),
      },
    });
  }
  const commandOf = Object.getOwnPropertyDescriptor(Deno, "Command")!;
  let command: typeof Deno.Command | undefined;
  Object.defineProperty(Deno, "Command", {
    configurable: true,
    enumerable: true,
    // Made when it is asked for: most tasks start no program.
    get: () => {
      if (command) return command;
      const Original: typeof Deno.Command = commandOf.value ??
        commandOf.get!.call(Deno);
      return command = class Command extends Original {
        constructor(program: string | URL, options: Deno.CommandOptions = {}) {
          const { stdin } = options;
          super(program, {
            ...options,
            stdin: stdin === undefined || stdin === "inherit" ? "null" : stdin,
          });
        }
      };
    },
  });
}
