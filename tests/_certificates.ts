/** Certificates of the tests' own, made by openssl in a temporary folder. */

/** Whether there is no openssl to make any. */
export const withoutOpenssl: boolean = (() => {
  try {
    return !new Deno.Command("openssl", { args: ["version"] }).outputSync()
      .success;
  } catch {
    return true;
  }
})();

if (withoutOpenssl) {
  console.error("openssl is missing, so what needs certificates is not tested");
}

/** A certificate and its key, as PEM files have them. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
  /** Where they are. */
  readonly certFile: string;
  readonly keyFile: string;
}

/** An authority, and what it has signed. */
export class Authority implements Disposable {
  readonly #folder = Deno.makeTempDirSync({ prefix: "certificates-" });
  #count = 0;
  readonly root: Certificate;

  constructor() {
    const [certFile, keyFile] = this.#files();
    this.#run(
      ...["req", "-x509", ...NEW_KEY, "-keyout", keyFile, "-out", certFile],
      ...["-days", "30", "-subj", `/CN=authority ${Math.random()}`],
      ...["-addext", "basicConstraints=critical,CA:TRUE"],
    );
    this.root = read(certFile, keyFile);
  }

  #files(): [string, string] {
    const path = `${this.#folder}/${this.#count++}`;
    return [`${path}.pem`, `${path}.key`];
  }

  #run(...args: string[]): void {
    const { success, stderr } = new Deno.Command("openssl", { args })
      .outputSync();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
  }

  /** Signs a certificate for names, as `DNS:localhost`; an expired one, if that is wanted. */
  sign(names: string, isExpired = false): Certificate {
    const [certFile, keyFile] = this.#files();
    const request = `${certFile}.request`;
    const more = `${certFile}.more`;
    this.#run(
      ...["req", ...NEW_KEY, "-keyout", keyFile, "-out", request],
      ...["-subj", "/CN=of the tests"],
    );
    Deno.writeTextFileSync(
      more,
      `subjectAltName=${names}\nextendedKeyUsage=serverAuth,clientAuth\n`,
    );
    this.#run(
      ...["x509", "-req", "-in", request, "-out", certFile, "-extfile", more],
      ...["-CA", this.root.certFile, "-CAkey", this.root.keyFile],
      ...["-CAcreateserial", "-days", isExpired ? "-1" : "20"],
    );
    return read(certFile, keyFile);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.#folder, { recursive: true });
  }
}

const NEW_KEY = [
  ...["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
];

function read(certFile: string, keyFile: string): Certificate {
  return {
    cert: Deno.readTextFileSync(certFile),
    key: Deno.readTextFileSync(keyFile),
    certFile,
    keyFile,
  };
}
