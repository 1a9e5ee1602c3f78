/** Who a client says it is to a NATS server, and how it proves that. */

import { show } from "../base/checks.ts";

/**
 * What a program shows to NATS servers. A file is one of `nats` and `nsc`, with
 * a JWT and a seed (`.creds`), one with a seed alone, or one of JSON that has
 * `user` and `password`, `token`, or `nkey`. It is read at each connection, so
 * that it can be renewed; that needs `--allow-read`.
 */
export type NatsCredentials =
  | { readonly user: string; readonly password: string }
  | { readonly token: string }
  /** The seed of an nkey: it begins with `SU`. */
  | { readonly nkey: string }
  /** The text of a `.creds` file. */
  | { readonly creds: string }
  | { readonly file: string | URL };

/** What a client says of itself, as the protocol names it. */
export type Proof = Readonly<
  Record<string, string | undefined>
>;

const KINDS: readonly (readonly string[])[] = [
  ["user", "password"],
  ["token"],
  ["nkey"],
  ["creds"],
  ["file"],
];
const TAKES =
  "{ user, password }, { token }, { nkey }, { creds } or { file }, of texts";

/** Credentials that were checked, and that nothing shows. */
export class Credentials {
  readonly #given: NatsCredentials;

  /** @throws {TypeError} when they are none; the error shows nothing of them. */
  constructor(given: unknown) {
    if (typeof given !== "object" || given === null) {
      throw new TypeError(
        `credentials must be ${TAKES}: received ${
          typeof given === "string" ? "a text" : show(given)
        }`,
      );
    }
    const keys = Object.keys(given).sort();
    const kind = KINDS.find((kind) => `${[...kind].sort()}` === `${keys}`);
    if (kind === undefined) {
      throw new TypeError(
        `credentials must be ${TAKES}: received an object with ${
          keys.map((key) => `"${key}"`).join(", ") || "nothing"
        }`,
      );
    }
    const fields = given as Record<string, unknown>;
    for (const key of kind) {
      const value = fields[key];
      const isGood = typeof value === "string" && value !== "" ||
        key === "file" && value instanceof URL;
      if (isGood) continue;
      throw new TypeError(
        `credentials.${key} must be a text${
          value === "" ? ": it is empty" : `: received a ${typeof value}`
        }`,
      );
    }
    this.#given = Object.freeze({ ...fields }) as NatsCredentials;
    const { nkey, creds } = fields as { nkey?: string; creds?: string };
    if (nkey !== undefined) seedOf(nkey, "credentials.nkey");
    if (creds !== undefined) readCreds(creds, "credentials.creds");
  }

  /**
   * What to say to a server that wants `nonce` to be signed.
   *
   * @throws where a file can't be read, or is none of credentials.
   */
  async prove(nonce: string): Promise<Proof> {
    const given = this.#given;
    if (!("file" in given)) return await prove(given, nonce, "credentials");
    const { file } = given;
    const name = `the credentials file ${file}`;
    return await prove(
      readCredentials(await Deno.readTextFile(file), name),
      nonce,
      name,
    );
  }

  /** What `JSON.stringify` shows; `Deno.inspect` shows no private field. */
  toJSON(): string {
    return "credentials";
  }
}

/** The credentials in a file's text. What is wrong with it is told without a word of it. */
export function readCredentials(text: string, name: string): NatsCredentials {
  const trimmed = text.trim();
  if (trimmed.startsWith("{")) {
    let given: unknown;
    try {
      given = JSON.parse(trimmed);
    } catch {
      // The parser's own words show what stands there.
      throw new TypeError(`${name} is no JSON, though it begins with "{"`);
    }
    const isFile = typeof given === "object" && given !== null &&
      "file" in given;
    try {
      if (isFile) throw new TypeError('it names another "file"');
      new Credentials(given);
    } catch (error) {
      throw new TypeError(
        `${name} has no credentials: ${(error as Error).message}`,
      );
    }
    return given as NatsCredentials;
  }
  if (trimmed.includes("-----BEGIN NATS USER JWT-----")) {
    readCreds(trimmed, name);
    return { creds: trimmed };
  }
  // Comments, as some tools write them, and the seed.
  const [seed = ""] = /^SU[A-Z2-7]+$/m.exec(trimmed) ?? [];
  seedOf(seed, name);
  return { nkey: seed };
}

async function prove(
  given: NatsCredentials,
  nonce: string,
  name: string,
): Promise<Proof> {
  if ("user" in given) return { user: given.user, pass: given.password };
  if ("token" in given) return { auth_token: given.token };
  if ("nkey" in given) {
    const { sig, nkey } = await sign(seedOf(given.nkey, name), nonce);
    return { sig, nkey };
  }
  const { jwt, seed } = readCreds((given as { creds: string }).creds, name);
  const { sig } = await sign(seedOf(seed, name), nonce);
  return { jwt, sig };
}

function readCreds(text: string, name: string): { jwt: string; seed: string } {
  const part = (what: string) =>
    new RegExp(`-+BEGIN ${what}-+\\s+(\\S+)\\s+-+END ${what}-+`).exec(text)
      ?.[1];
  const jwt = part("NATS USER JWT");
  const seed = part("USER NKEY SEED");
  if (jwt === undefined || seed === undefined) {
    throw new TypeError(
      `${name} has not both a user's JWT and its seed, as a .creds file has`,
    );
  }
  seedOf(seed, name);
  return { jwt, seed };
}

// ---- nkeys ---------------------------------------------------------------------

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/** The first byte of a user's public key, and what its seed begins with: "U", and "SU". */
const USER = 20 << 3;
const SEED = 18 << 3;
/** An Ed25519 key of PKCS #8, up to the seed. */
const PKCS8 = Uint8Array.of(
  ...[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70],
  ...[4, 0x22, 4, 0x20],
);

/**
 * The bytes of a user's seed.
 *
 * @throws {TypeError} when it is none.
 */
function seedOf(text: string, name: string): Uint8Array {
  const bytes = fromBase32(text.trim());
  if (bytes?.length === 36) {
    const view = new DataView(bytes.buffer);
    const isSeed = (bytes[0] & 0xf8) === SEED &&
      ((bytes[0] & 7) << 5 | bytes[1] >> 3) === USER &&
      view.getUint16(34, true) === checksum(bytes.subarray(0, 34));
    if (isSeed) return bytes.slice(2, 34);
  }
  throw new TypeError(
    `${name} has no seed of a user's nkey: 58 letters and digits that begin with "SU"`,
  );
}

async function sign(
  seed: Uint8Array,
  nonce: string,
): Promise<{ sig: string; nkey: string }> {
  const der = new Uint8Array(48);
  der.set(PKCS8);
  der.set(seed, PKCS8.length);
  const key = await crypto.subtle.importKey("pkcs8", der, "Ed25519", true, [
    "sign",
  ]);
  const { x = "" } = await crypto.subtle.exportKey("jwk", key);
  const signature = await crypto.subtle.sign(
    "Ed25519",
    key,
    new TextEncoder().encode(nonce),
  );
  const base64 = x.replaceAll("-", "+").replaceAll("_", "/");
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const named = new Uint8Array(35);
  named[0] = USER;
  named.set(bytes, 1);
  new DataView(named.buffer)
    .setUint16(33, checksum(named.subarray(0, 33)), true);
  return {
    sig: btoa(String.fromCharCode(...new Uint8Array(signature))),
    nkey: toBase32(named),
  };
}

function fromBase32(text: string): Uint8Array<ArrayBuffer> | undefined {
  const bytes = new Uint8Array(text.length * 5 >> 3);
  let bits = 0;
  let held = 0;
  let at = 0;
  for (const letter of text) {
    const value = ALPHABET.indexOf(letter);
    if (value < 0) return undefined;
    held = held << 5 | value;
    bits += 5;
    if (bits >= 8) bytes[at++] = held >> (bits -= 8);
    held &= (1 << bits) - 1;
  }
  return bytes;
}

function toBase32(bytes: Uint8Array): string {
  let text = "";
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    held = held << 8 | byte;
    for (bits += 8; bits >= 5; held &= (1 << bits) - 1) {
      text += ALPHABET[held >> (bits -= 5)];
    }
  }
  return bits === 0 ? text : text + ALPHABET[held << 5 - bits];
}

/** CRC-16 of CCITT, as nkeys have it. */
function checksum(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let i = 0; i < 8; i++) {
      crc = (crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1) & 0xffff;
    }
  }
  return crc;
}
