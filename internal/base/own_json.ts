/**
 * JSON of what the library itself made. A program may have given all lists or all
 * objects a `toJSON`, which is asked whatever the object is.
 */

const { stringify } = JSON;
const { keys } = Object;
const { isArray } = Array;

/** Numbers, texts, booleans, `null`, and lists and objects of these. */
export function jsonOf(value: unknown): string {
  return "toJSON" in Array.prototype ? writeOut(value) : stringify(value);
}

function writeOut(value: unknown): string {
  if (typeof value !== "object" || value === null) {
    return stringify(value) ?? "null";
  }
  let text = "";
  if (isArray(value)) {
    for (let i = 0; i < value.length; i++) text += `,${writeOut(value[i])}`;
    return `[${text.slice(1)}]`;
  }
  const record = value as Record<string, unknown>;
  for (const key of keys(record)) {
    if (record[key] === undefined) continue;
    text += `,${stringify(key)}:${writeOut(record[key])}`;
  }
  return `{${text.slice(1)}}`;
}
