/**
 * Where NATS servers are, and what each of them may be told.
 *
 * ## Who gets which credentials
 *
 * What stands in a server's URL is for that server alone; what the `credentials`
 * option has is for those whose URLs have nothing. No server is connected to that
 * was not named: what a server says of others of its cluster, which over TCP
 * anybody on the way could say, is passed over.
 *
 * ## What is encrypted
 *
 * `tls:` and `wss:` are, `nats:` with the `tls` option too. A server that has once
 * spoken TLS is told nothing in the clear from then on, whoever answers there.
 */

import { checkNames, optionNames, show } from "../base/checks.ts";
import {
  Credentials,
  type NatsCredentials,
  type Proof,
} from "./credentials.ts";
import { redactedUrl } from "./redacted.ts";

/** How connections are encrypted. All of it is text as PEM files have it. */
export interface NatsTls {
  /**
   * Certificates of authorities to trust besides those that the runtime knows.
   * @default {undefined} none
   */
  caCerts?: readonly string[];
  /**
   * The certificate that a server which asks for one is shown.
   * @default {undefined} none
   */
  cert?: string;
  /** The private key of `cert`. */
  key?: string;
  /**
   * Whether the server wants to hear nothing before TLS (`handshake_first`).
   * @default {false}
   */
  handshakeFirst?: boolean;
}

const TLS_OPTIONS = optionNames<NatsTls>({
  caCerts: true,
  cert: true,
  key: true,
  handshakeFirst: true,
});

const PORTS: Record<string, number> = {
  "nats:": 4222,
  "tls:": 4222,
  "ws:": 80,
  "wss:": 443,
};

/** A server, as it was named. */
export class Server {
  readonly hostname: string;
  readonly port: number;
  /** What to call it, in messages and permissions. */
  readonly address: string;
  readonly isWebSocket: boolean;
  /** What is asked for by a WebSocket. */
  readonly path: string;
  /** Whether it is told nothing before the connection is encrypted. */
  mustEncrypt: boolean;
  /** How often it has refused in a row, and when it was last tried. */
  refusals = 0;
  tried = -Infinity;
  readonly #credentials: Credentials | undefined;
  readonly #tls: NatsTls | undefined;

  constructor(
    url: URL,
    credentials: Credentials | undefined,
    tls: NatsTls | undefined,
  ) {
    const { protocol, hostname } = url;
    this.hostname = hostname.replace(/^\[(.*)\]$/, "$1");
    this.port = url.port === "" ? PORTS[protocol] : Number(url.port);
    this.address = `${hostname}:${this.port}`;
    this.isWebSocket = protocol === "ws:" || protocol === "wss:";
    this.path = `${url.pathname || "/"}${url.search}`;
    this.#tls = tls;
    this.mustEncrypt = protocol === "tls:" || protocol === "wss:" ||
      tls !== undefined;
    this.#credentials = credentialsIn(url) ?? credentials;
  }

  /** It has a key, so nothing that shows a server shows it. */
  get tls(): NatsTls | undefined {
    return this.#tls;
  }

  /** Whether TLS begins before anything is said. */
  get beginsWithTls(): boolean {
    return this.isWebSocket
      ? this.mustEncrypt
      : this.tls?.handshakeFirst === true;
  }

  /** Whether there is anything to prove with. */
  get hasCredentials(): boolean {
    return this.#credentials !== undefined;
  }

  /** What it is told of who is there. */
  async prove(nonce: string): Promise<Proof> {
    return await this.#credentials?.prove(nonce) ?? {};
  }
}

/** @throws {URIError} when they are encoded in a wrong way. */
function credentialsIn({ username, password }: URL): Credentials | undefined {
  const [user, pass] = [username, password].map(decodeURIComponent);
  if (user === "") return undefined;
  return new Credentials(
    pass === "" ? { token: user } : { user, password: pass },
  );
}

/**
 * Checks where the servers are, and what they are told.
 *
 * @throws {TypeError} when something of it is wrong; it shows no secret.
 */
export function checkServers(
  servers: unknown,
  credentials?: NatsCredentials,
  tls?: NatsTls,
): Server[] {
  const list = (Array.isArray(servers) ? servers : [servers]) as unknown[];
  if (list.length === 0) {
    throw new TypeError("servers must name at least one server");
  }
  const forAll = credentials === undefined
    ? undefined
    : new Credentials(credentials);
  const checked = checkTls(tls);
  return list.map((server) => {
    const url = typeof server === "string" && URL.canParse(server)
      ? new URL(server)
      : undefined;
    if (url && url.protocol in PORTS && url.hostname !== "") {
      const scheme = `${url.protocol}//`;
      if (scheme === "ws://" && checked) {
        throw new TypeError(
          `servers must be encrypted where tls is given, wss:// and not ws://: received ${
            show(redactedUrl(server as string))
          }`,
        );
      }
      try {
        return new Server(url, forAll, checked);
      } catch {
        // A user or a password that can't be decoded.
      }
    }
    throw new TypeError(
      `servers must be URLs such as nats://127.0.0.1:4222, tls://, ws:// or wss://: received ${
        show(typeof server === "string" ? redactedUrl(server) : server)
      }`,
    );
  });
}

function checkTls(tls: unknown): NatsTls | undefined {
  if (tls === undefined) return undefined;
  if (typeof tls !== "object" || tls === null) {
    throw new TypeError(
      `tls must be an object such as { caCerts: […] }: received ${
        typeof tls === "string" ? "a text" : show(tls)
      }`,
    );
  }
  checkNames(tls, TLS_OPTIONS, "tls");
  const { caCerts, cert, key, handshakeFirst } = tls as Record<string, unknown>;
  if (caCerts !== undefined && !Array.isArray(caCerts)) {
    throw new TypeError("tls.caCerts must be a list of texts");
  }
  for (const one of (caCerts ?? []) as unknown[]) {
    checkPem(one, "tls.caCerts[]", "CERTIFICATE");
  }
  if (cert !== undefined) checkPem(cert, "tls.cert", "CERTIFICATE");
  if (key !== undefined) checkPem(key, "tls.key", "PRIVATE KEY");
  if ((cert === undefined) !== (key === undefined)) {
    throw new TypeError("tls.cert and tls.key go together: one is missing");
  }
  if (handshakeFirst !== undefined && typeof handshakeFirst !== "boolean") {
    throw new TypeError(
      `tls.handshakeFirst must be true or false: received ${
        show(handshakeFirst)
      }`,
    );
  }
  return {
    ...(caCerts !== undefined && { caCerts: [...caCerts as string[]] }),
    ...(cert !== undefined && { cert: cert as string, key: key as string }),
    handshakeFirst: handshakeFirst === true,
  };
}

function checkPem(value: unknown, name: string, what: string): void {
  const isPem = typeof value === "string" &&
    new RegExp(`-----BEGIN [A-Z ]*${what}-----`).test(value);
  if (isPem) return;
  throw new TypeError(
    `${name} must be the text of a PEM file, with "-----BEGIN ${what}-----" in it, and not its path`,
  );
}
