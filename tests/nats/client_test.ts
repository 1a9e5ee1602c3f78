/** What NATS servers are told, and what they say: without a queue, and mostly without a server. */

import { nkeys } from "@nats-io/nats-core";
import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import fc from "fast-check";
import {
  Credentials,
  type NatsCredentials,
  readCredentials,
} from "../../internal/nats/credentials.ts";
import { MsgHdrs, Parser } from "../../internal/nats/protocol.ts";
import { redacted, redactedUrl } from "../../internal/nats/redacted.ts";
import { checkServers } from "../../internal/nats/servers.ts";
import { upgrade } from "../../internal/nats/websocket.ts";
import type { Wire } from "../../internal/nats/wire.ts";
import { NatsExecutor, type NatsExecutorOptions } from "../../nats.ts";
import { within } from "../_helpers.ts";
import { connectClient, NatsServer, withoutNats } from "../_nats.ts";
import { infoOf, Tap } from "../_tap.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const SECRET = "s3cret-of-the-tests";

// ---- Options -------------------------------------------------------------------------

Deno.test("nats options: none, or one of another name, is refused in words that say what there is", () => {
  const wrong: [unknown, string][] = [
    [undefined, "needs options"],
    [null, "needs options"],
    [`nats://${SECRET}@a`, "received a text"],
    [{ servers: "nats://a", queue: "q", maxWorkers: 2 }, '"maxWorkers"'],
    [{ server: "nats://a", queue: "q" }, '"server"'],
  ];
  for (const [options, words] of wrong) {
    const error = assertThrows(
      () => new NatsExecutor(options as NatsExecutorOptions),
      TypeError,
      words,
    );
    assert(!error.message.includes(SECRET));
  }
});

Deno.test("nats options: credentials and tls that are none are refused, and nothing of them is shown", () => {
  const pem = `-----BEGIN CERTIFICATE-----${SECRET}`;
  const wrong: [Record<string, unknown>, string][] = [
    [{ credentials: SECRET }, "received a text"],
    [{ credentials: null }, "credentials must be"],
    [{ credentials: {} }, "with nothing"],
    [{ credentials: { user: SECRET } }, '"user"'],
    [{ credentials: { user: SECRET, pass: SECRET } }, '"pass", "user"'],
    [{ credentials: { user: "a", password: 5 } }, "credentials.password"],
    [{ credentials: { token: "" } }, "credentials.token"],
    [{ credentials: { nkey: SECRET } }, "credentials.nkey"],
    [{ credentials: { creds: SECRET } }, "credentials.creds"],
    [{ credentials: { file: 5 } }, "credentials.file"],
    [{ tls: SECRET }, "received a text"],
    [{ tls: { ca: [pem] } }, '"ca"'],
    [{ tls: { caCerts: pem } }, "a list of texts"],
    [{ tls: { caCerts: [SECRET] } }, "tls.caCerts[]"],
    [{ tls: { cert: pem } }, "go together"],
    [{ tls: { cert: pem, key: SECRET } }, "tls.key"],
    [{ tls: { handshakeFirst: 1 } }, "tls.handshakeFirst"],
    [{ tls: {}, servers: "ws://a" }, "wss://"],
    [{ servers: `nats://a%zz:${SECRET}@a` }, "nats://…@a"],
    [{ servers: `nats://a:${SECRET}` }, "nats://…"],
    [{ servers: `nats:/a:${SECRET}@a:1` }, "…@a:1"],
  ];
  for (const [options, words] of wrong) {
    const error = assertThrows(
      () =>
        new NatsExecutor(
          {
            servers: "nats://a",
            queue: "q",
            ...options,
          } as NatsExecutorOptions,
        ),
      TypeError,
      words,
    );
    assert(!Deno.inspect(error).includes(SECRET), error.message);
  }
});

Deno.test("nats options: neither an executor nor what it is made of shows what it was told", () => {
  const servers = checkServers(
    `tls://ada:${SECRET}@a`,
    { token: SECRET },
    {
      cert: "-----BEGIN CERTIFICATE-----",
      key: `-----BEGIN PRIVATE KEY-----${SECRET}`,
    },
  );
  const executor = new NatsExecutor({
    ...{ servers: `nats://ada:${SECRET}@a`, queue: "q" },
    credentials: { token: SECRET },
  });
  for (const shown of [servers, executor, new Credentials({ token: SECRET })]) {
    assert(
      !Deno.inspect(shown, { depth: 10, showHidden: true }).includes(SECRET),
    );
    assert(!JSON.stringify(shown).includes(SECRET));
  }
});

Deno.test("nats options: whatever stands before the last @ of a URL is not shown", () => {
  fc.assert(
    fc.property(
      fc.constantFrom("nats://", "tls:/", "wss://", "http://", ""),
      fc.string().map((text) => text.replace(/[\s"'`<>]/g, "")),
      (scheme, before) => {
        const url = `${scheme}${before}:${SECRET}@host:4222`;
        assertMatch(redactedUrl(url), /^[a-z]*:?\/*…@host:4222$/);
        assert(!redacted(`Cannot "${url}": no`).includes(SECRET));
      },
    ),
  );
  assertEquals(redactedUrl("nats://[::1]:4222"), "nats://[::1]:4222");
  assertEquals(redacted("nothing secret: a.b:1"), "nothing secret: a.b:1");
});

// ---- Credentials ---------------------------------------------------------------------

Deno.test("nats credentials: an nkey signs as the clients of others do, and says the same of itself", async () => {
  for (let i = 0; i < 20; i++) {
    const pair = nkeys.createUser();
    const nkey = decoder.decode(pair.getSeed());
    const proof = await new Credentials({ nkey }).prove("a nonce");
    assertEquals(proof.nkey, pair.getPublicKey());
    const signature = Uint8Array.from(
      atob(proof.sig!),
      (letter) => letter.charCodeAt(0),
    );
    assert(pair.verify(encoder.encode("a nonce"), signature));
    // One letter that is another one is seen.
    const other = nkey.slice(0, 20) + (nkey[20] === "A" ? "B" : "A") +
      nkey.slice(21);
    assertThrows(() => new Credentials({ nkey: other }), TypeError);
  }
});

Deno.test("nats credentials: a file may be of each kind, and one that is none is not quoted", () => {
  const seed = decoder.decode(nkeys.createUser().getSeed());
  const creds =
    `-----BEGIN NATS USER JWT-----\nabc.def\n------END NATS USER JWT------\n\n*** IMPORTANT ***\n-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------\n`;
  const good: [string, NatsCredentials][] = [
    [creds, { creds: creds.trim() }],
    [creds.replaceAll("\n", "\r\n"), {
      creds: creds.replaceAll("\n", "\r\n").trim(),
    }],
    [`# of ada\n${seed}\n`, { nkey: seed }],
    ['{ "user": "a", "password": "b" }', { user: "a", password: "b" }],
    [' {"token":"t"}\n', { token: "t" }],
  ];
  for (const [text, found] of good) {
    assertEquals(readCredentials(text, "x"), found);
  }
  const wrong = [
    "",
    SECRET,
    `{ "token": ${SECRET} }`,
    `{ "token": "${SECRET}", "more": 1 }`,
    `{ "file": "${SECRET}" }`,
    creds.replace(seed, SECRET),
    seed.replace("SU", "SA"),
  ];
  for (const text of wrong) {
    const error = assertThrows(
      () => readCredentials(text, "the file"),
      TypeError,
      "the file",
    );
    assert(!Deno.inspect(error).includes(SECRET), Deno.inspect(error));
  }
});

Deno.test("nats credentials: each server is told what its own URL has, and what was given for all only where it has nothing", async () => {
  const told = async (servers: string, credentials?: NatsCredentials) => {
    const [server] = checkServers(servers, credentials);
    return await server.prove("");
  };
  const forAll = { token: "t" };
  assertEquals(await told("nats://a:b@h", forAll), { user: "a", pass: "b" });
  assertEquals(await told("nats://a%40:b%3A@h"), { user: "a@", pass: "b:" });
  assertEquals(await told("nats://x@h", forAll), { auth_token: "x" });
  assertEquals(await told("nats://h", forAll), { auth_token: "t" });
  assertEquals(await told("nats://h"), {});
  // And on the wire, whichever is tried first.
  await using first = new Tap("nats://127.0.0.1:1");
  await using second = new Tap("nats://127.0.0.1:1");
  await using third = new Tap("nats://127.0.0.1:1");
  const all = [first, second, third];
  for (const tap of all) {
    tap.impostor = infoOf({ connect_urls: ["127.0.0.1:9"] });
  }
  const executor = new NatsExecutor({
    servers: [
      first.urlOf("nats").replace("//", "//ada:of-ada@"),
      second.urlOf("nats").replace("//", "//bob:of-bob@"),
      third.urlOf("nats"),
    ],
    queue: "q",
    credentials: { token: "of-all" },
  });
  // They say nothing more, and so are given up one after the other.
  for (const tap of all) {
    tap.onSeen = (text) => {
      if (text.includes("PING")) tap.cut();
    };
  }
  await within(executor.submit(Math.sqrt, 4).exception());
  const secrets = ["of-ada", "of-bob", "of-all"];
  assertEquals(
    all.map(({ seen }) => secrets.filter((secret) => seen.includes(secret))),
    [["of-ada"], ["of-bob"], ["of-all"]],
  );
  await executor.shutdown();
});

/** A JWT as NATS has them. */
function jwt(
  issuer: ReturnType<typeof nkeys.createUser>,
  subject: string,
  nats: object,
): string {
  const part = (value: object) =>
    btoa(JSON.stringify(value)).replaceAll("+", "-").replaceAll("/", "_")
      .replaceAll("=", "");
  const claims = {
    ...{ jti: crypto.randomUUID(), iat: Math.floor(Date.now() / 1000) },
    ...{ iss: issuer.getPublicKey(), name: "of the tests", sub: subject },
    nats: { version: 2, ...nats },
  };
  const text = `${part({ typ: "JWT", alg: "ed25519-nkey" })}.${part(claims)}`;
  const signature = issuer.sign(encoder.encode(text));
  const base64 = btoa(String.fromCharCode(...signature)).replaceAll("+", "-")
    .replaceAll("/", "_").replaceAll("=", "");
  return `${text}.${base64}`;
}

Deno.test({
  name:
    "nats credentials: servers let in who has a token, an nkey, or a JWT with its seed, renewed or not, and nobody else",
  ignore: withoutNats,
  async fn() {
    const file = await Deno.makeTempFile();
    const seedOf = (pair: ReturnType<typeof nkeys.createUser>) =>
      decoder.decode(pair.getSeed());
    const enter = async (url: string, credentials: NatsCredentials) => {
      const client = await connectClient(url, { credentials });
      await client.flush();
      await client.close();
    };
    const refuses = (url: string, credentials: NatsCredentials) =>
      assertRejects(() => enter(url, credentials), Error, "Authorization");
    const user = nkeys.createUser();
    const stranger = nkeys.createUser();
    {
      await using server = await NatsServer.start({
        config: 'authorization { token: "t-1" }',
      });
      await enter(server.url, { token: "t-1" });
      await refuses(server.url, { token: "t-2" });
      await refuses(server.url, { nkey: seedOf(user) });
    }
    {
      await using server = await NatsServer.start({
        config: `authorization { users: [{ nkey: ${user.getPublicKey()} }] }`,
      });
      await enter(server.url, { nkey: seedOf(user) });
      await refuses(server.url, { nkey: seedOf(stranger) });
      await Deno.writeTextFile(file, seedOf(stranger));
      await refuses(server.url, { file });
      // It is read again.
      await Deno.writeTextFile(file, seedOf(user));
      await enter(server.url, { file });
    }
    {
      const operator = nkeys.createOperator();
      const account = nkeys.createAccount();
      const limits = {
        ...{ subs: -1, data: -1, payload: -1, imports: -1, exports: -1 },
        ...{ wildcards: true, conn: -1, leaf: -1 },
      };
      await using server = await NatsServer.start({
        jetstream: false,
        config: `
          operator: ${
          jwt(operator, operator.getPublicKey(), { type: "operator" })
        }
          resolver: MEMORY
          resolver_preload: { ${account.getPublicKey()}: ${
          jwt(operator, account.getPublicKey(), { type: "account", limits })
        } }`,
      });
      const creds = (
        issuer: ReturnType<typeof nkeys.createUser>,
        signer = user,
      ) =>
        `-----BEGIN NATS USER JWT-----\n${
          jwt(issuer, user.getPublicKey(), {
            ...{ type: "user", subs: -1, data: -1, payload: -1 },
          })
        }\n------END NATS USER JWT------\n-----BEGIN USER NKEY SEED-----\n${
          seedOf(signer)
        }\n------END USER NKEY SEED------\n`;
      await enter(server.url, { creds: creds(account) });
      await Deno.writeTextFile(file, creds(account));
      await enter(server.url, { file });
      await refuses(server.url, { creds: creds(account, stranger) });
      await refuses(server.url, { creds: creds(nkeys.createAccount()) });
    }
    await Deno.remove(file);
  },
});

// ---- The protocol --------------------------------------------------------------------

/** What a parser makes of bytes that come in pieces of these lengths, again and again. */
function parsed(bytes: Uint8Array, lengths: readonly number[]): string[] {
  const told: string[] = [];
  const parser = new Parser({
    onMessage: ({ subject, sid, reply, headers, data }) =>
      told.push(
        [subject, sid, reply, headers?.code, headers?.get("a"), data.join()]
          .join(),
      ),
    onPing: () => told.push("ping"),
    onPong: () => told.push("pong"),
    onInfo: (line) => told.push(line),
    onError: (text) => told.push(text),
  });
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const length = lengths[i % lengths.length];
    parser.push(bytes.slice(at, at += length));
  }
  return told;
}

const message = fc.record({
  reply: fc.boolean(),
  headers: fc.constantFrom(
    "",
    "NATS/1.0\r\na: b\r\n\r\n",
    "NATS/1.0 503\r\n\r\n",
  ),
  data: fc.uint8Array({ maxLength: 50 }),
});

Deno.test("nats protocol: messages are the same in whatever pieces they come", () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(
        message,
        fc.constantFrom("PING\r\n", "PONG\r\n", "+OK\r\n", "-ERR 'no'\r\n"),
      )),
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
      (messages, lengths) => {
        const parts = messages.flatMap((one) => {
          if (typeof one === "string") return [encoder.encode(one)];
          const { reply, headers, data } = one;
          const size = headers.length + data.length;
          const line = `${headers ? "HMSG" : "MSG"} a.b 7 ${
            reply ? "in.box " : ""
          }${headers ? `${headers.length} ` : ""}${size}\r\n`;
          return [
            encoder.encode(line + headers),
            data,
            encoder.encode("\r\n"),
          ];
        });
        const bytes = Uint8Array.from(parts.flatMap((part) => [...part]));
        assertEquals(
          parsed(bytes, lengths),
          parsed(bytes, [Math.max(1, bytes.length)]),
        );
        assertEquals(
          parsed(bytes, lengths).length,
          messages.filter((one) => one !== "+OK\r\n").length,
        );
      },
    ),
  );
});

Deno.test("nats protocol: what no server says ends the connection, and nothing else is made of it", () => {
  const wrong = [
    "HELLO\r\n",
    "MSG a 1\r\n",
    "MSG a 1 -5\r\n",
    "MSG a 1 x\r\n",
    "MSG a 1 99999999999\r\n",
    "MSG a 1 b c 5\r\n",
    "HMSG a 1 5\r\n",
    "HMSG a 1 9 5\r\nhello\r\n",
    "HMSG a 1 x 5\r\nhello\r\n",
  ];
  for (const text of wrong) {
    assertThrows(
      () => parsed(encoder.encode(text), [text.length]),
      Error,
      "can't be read",
      text,
    );
  }
});

Deno.test("nats protocol: headers that were set are read as they were", () => {
  const headers = new MsgHdrs();
  headers.set("a", "b: c");
  headers.set("Nats-Msg-Id", "x y");
  const read = MsgHdrs.read(headers.encode());
  assertEquals([read.get("a"), read.get("Nats-Msg-Id"), read.get("no")], [
    "b: c",
    "x y",
    "",
  ]);
  assertEquals(read.code, 0);
});

// ---- WebSockets ------------------------------------------------------------------------

/** A wire of which the test is the other end. */
class TestWire implements Wire {
  readonly written: number[] = [];
  readonly #incoming: Uint8Array[] = [];
  #wake: () => void = () => {};
  #isAtEnd = false;

  comes(bytes: Uint8Array | string): void {
    this.#incoming.push(
      typeof bytes === "string" ? encoder.encode(bytes) : bytes,
    );
    this.#wake();
  }

  async read(into: Uint8Array): Promise<number | null> {
    while (this.#incoming.length === 0) {
      if (this.#isAtEnd) return null;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    const [bytes] = this.#incoming;
    const length = Math.min(bytes.length, into.length);
    into.set(bytes.subarray(0, length));
    if (length < bytes.length) this.#incoming[0] = bytes.subarray(length);
    else this.#incoming.shift();
    return length;
  }

  // A piece at a time, as sockets that are busy do.
  write(bytes: Uint8Array): Promise<number> {
    const length = Math.min(bytes.length, 1000);
    this.written.push(...bytes.subarray(0, length));
    return Promise.resolve(length);
  }

  close(): void {
    this.#isAtEnd = true;
    this.#wake();
  }
}

/** A WebSocket that has begun. */
async function begun(): Promise<{ wire: TestWire; socket: Wire }> {
  const wire = new TestWire();
  const upgrading = upgrade(wire, "a:1", "/path?x=y");
  while (wire.written.length === 0) await Promise.resolve();
  const asked = String.fromCharCode(...wire.written);
  assertStringIncludes(asked, "GET /path?x=y HTTP/1.1\r\nHost: a:1\r\n");
  const [, key] = /Sec-WebSocket-Key: (\S+)/.exec(asked)!;
  const digest = await crypto.subtle.digest(
    "SHA-1",
    encoder.encode(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`),
  );
  const accept = btoa(String.fromCharCode(...new Uint8Array(digest)));
  wire.written.length = 0;
  wire.comes(
    `HTTP/1.1 101 Switching\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
  );
  return { wire, socket: await upgrading };
}

async function readAll(socket: Wire, length: number): Promise<string> {
  let text = "";
  const chunk = new Uint8Array(7);
  while (text.length < length) {
    const n = await socket.read(chunk);
    if (n === null) break;
    text += decoder.decode(chunk.subarray(0, n));
  }
  return text;
}

Deno.test("nats websocket: bytes of frames, whole or in parts, come in order, and a ping is answered between them", async () => {
  const { wire, socket } = await begun();
  wire.comes(Uint8Array.of(0x02, 2, 65, 66)); // more to come
  wire.comes(Uint8Array.of(0x89, 1, 99)); // a ping
  wire.comes(Uint8Array.of(0x80, 1)); // the rest, in parts
  wire.comes(Uint8Array.of(67));
  wire.comes(
    Uint8Array.of(0x82, 126, 1, 0, ...new Array(256).fill(68)),
  );
  assertEquals(await readAll(socket, 259), "ABC" + "D".repeat(256));
  assertEquals(wire.written.slice(0, 2), [0x8a, 0x81]);
  const [, , a, , , , byte] = wire.written;
  assertEquals(a ^ byte, 99);
  wire.comes(Uint8Array.of(0x88, 0));
  assertEquals(await socket.read(new Uint8Array(5)), null);
});

Deno.test("nats websocket: what is written goes as one masked frame, of any length", async () => {
  for (const length of [0, 1, 125, 126, 65_535, 65_536]) {
    const { wire, socket } = await begun();
    const bytes = new Uint8Array(length).map((_, i) => i);
    assertEquals(await socket.write(bytes), length);
    const head = length > 65_535 ? 10 : length > 125 ? 4 : 2;
    const mask = wire.written.slice(head, head + 4);
    assertEquals(wire.written.length, head + 4 + length);
    assert((wire.written[1] & 0x80) !== 0);
    assert(
      wire.written.slice(head + 4).every((byte, i) =>
        (byte ^ mask[i & 3]) === (i & 255)
      ),
    );
  }
});

Deno.test("nats websocket: an answer that is none, and frames that are none, end it", async () => {
  for (
    const answer of [
      "HTTP/1.1 200 OK\r\n\r\n",
      "HTTP/1.1 101 Switching\r\n\r\n",
      "HTTP/1.1 101 Switching\r\nsec-websocket-accept: x\r\n\r\n",
    ]
  ) {
    const wire = new TestWire();
    wire.comes(answer);
    await assertRejects(
      () => upgrade(wire, "a:1", "/"),
      Error,
      "speaks no WebSocket",
    );
  }
  for (
    const frame of [
      [0x82, 0x81, 0, 0, 0, 0, 65],
      [0xc2, 1, 65],
      [0x83, 1, 65],
      [0x89, 126, 1, 0],
    ]
  ) {
    const { wire, socket } = await begun();
    wire.comes(Uint8Array.from(frame));
    await assertRejects(
      () => socket.read(new Uint8Array(5)),
      Error,
      "frames that are none",
    );
  }
});
