/** What the contract's tests have workers import. */

let calls = 0;

function helper(n: number): number {
  return n * 10;
}

export function usesHelper(n: number): number {
  return helper(n) + 1;
}

export const arrowUsesHelper = async (n: number): Promise<number> => {
  await Promise.resolve();
  return helper(n) + 2;
};

function inner(n: number): number {
  return helper(n) + 3;
}

export { inner as outer };

export default function (n: number): number {
  return helper(n) + 4;
}

/** Keeps its state from call to call, as a module does. */
export function countsCalls(): number {
  return ++calls;
}

export function setsGlobal(name: string, value: number): void {
  Reflect.set(globalThis, name, helper(value));
}

export function throwsOwn(): never {
  throw new OwnError("from the module");
}

class OwnError extends Error {
  override name = "OwnError";
}

export class Shape {
  static area(width: number, height: number): number {
    return helper(width * height);
  }
}

export const notAFunction = 5;
