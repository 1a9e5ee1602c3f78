/** Can't be imported. */

export function neverThere(): string {
  return text;
}

const text: string = fails();

function fails(): never {
  throw new RangeError("this module throws");
}
