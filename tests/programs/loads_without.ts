/** Loads the package where the runtime has less than Deno, and uses what needs no more. */

const [how, ...names] = Deno.args;
const print = console.log.bind(console);
// Deno's own, which is loaded when it is first asked for, is made of the others.
if (names.includes("Deno")) void globalThis.process;
let randomNumbers = 0;
for (const method of ["randomUUID", "getRandomValues"] as const) {
  const original = crypto[method].bind(crypto) as (arg: unknown) => unknown;
  Object.defineProperty(crypto, method, {
    value: (arg: unknown) => (randomNumbers++, original(arg)),
  });
}
for (const name of names) {
  if (how === "delete") {
    delete (globalThis as Record<string, unknown>)[name];
    continue;
  }
  Object.defineProperty(globalThis, name, {
    get() {
      throw new Error(`${name} is forbidden while modules load`);
    },
    configurable: true,
  });
}

const { asCompleted, EventLoopExecutor, Future, wait } = await import(
  "../../mod.ts"
);
const { progress } = await import("../../progress.ts");
print("loaded, random numbers:", randomNumbers);
if (how === "delete") {
  await using executor = new EventLoopExecutor({ maxWorkers: 2 });
  const future = executor.submit((a: number, b: number) => a + b, 1, 2);
  const { done } = await wait([future, Future.from(Promise.resolve(4))]);
  for await (const each of asCompleted(done)) print(await each.result());
  print(await Array.fromAsync(executor.map(Math.sqrt, [4, 9])));
  print(await new EventLoopExecutor().submit(() => "alone").result(60_000));
  new Future<number>().addDoneCallback(() => {});
  print(executor.stats().calls.finished, typeof progress);
}
