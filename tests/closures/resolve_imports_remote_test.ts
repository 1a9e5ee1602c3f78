/** Imports from elsewhere than files: http, jsr and data URLs, also where the program or this library is on a server. */

import { deno } from "../_programs.ts";
import { assertSays, project, runIn } from "../_projects.ts";

const KEEPER = `
const own = new WeakMap<object, string>();
export const keep = (key: object): string => own.set(key, "kept").get(key)!;
export const list = { keep };
`;
const FAR = `
import { near } from "./near.js";
const own = new WeakMap();
export const hold = (key) => own.set(key, "held").get(key) + near();
export default { hold };
`;
const NEAR = `export const near = () => Symbol.for("near").description;`;
const LIBRARY = new URL("../../", import.meta.url);

/** A server of modules, of this library, and of packages as JSR has them. */
class Modules implements AsyncDisposable {
  readonly #files = new Map<string, string>();
  readonly #server = Deno.serve(
    { port: 0, onListen() {} },
    (request) => this.#answer(new URL(request.url).pathname),
  );
  readonly url = `http://localhost:${this.#server.addr.port}`;

  add(path: string, text: string): void {
    this.#files.set(path, text);
  }

  /** Adds a package of one module. */
  async addPackage(name: string, version: string, text: string): Promise<void> {
    const bytes = new TextEncoder().encode(text);
    const digest = await crypto.subtle.digest("SHA-256", bytes);
    const checksum = `sha256-${new Uint8Array(digest).toHex()}`;
    this.add(
      `/${name}/meta.json`,
      JSON.stringify({ latest: version, versions: { [version]: {} } }),
    );
    this.add(
      `/${name}/${version}_meta.json`,
      JSON.stringify({
        manifest: { "/mod.ts": { size: bytes.length, checksum } },
        exports: { ".": "./mod.ts" },
      }),
    );
    this.add(`/${name}/${version}/mod.ts`, text);
  }

  #answer(path: string): Response {
    if (path === "/moved.js") {
      return new Response(null, {
        status: 302,
        headers: { location: "/far.js" },
      });
    }
    const type = path.endsWith(".ts")
      ? "application/typescript"
      : path.endsWith(".json")
      ? "application/json"
      : "text/javascript";
    let text = this.#files.get(path);
    if (path.startsWith("/futures/")) {
      text = Deno.readTextFileSync(new URL(path.slice(9), LIBRARY));
    }
    return text === undefined
      ? new Response("not found", { status: 404 })
      : new Response(text, { headers: { "content-type": type } });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

const USES = (
  compare: string,
  { keeper, far, data, url }: Record<string, string>,
) => `
import { compare } from "${compare}";
import { keep, list } from "${keeper}";
import * as direct from "jsr:@example/keeper@1";
import far, { hold } from "${far}";
import moved from "${url}/moved.js";
import * as all from "${url}/far.js";
import { sign } from "${data}";
import { mark } from "data:text/javascript,const own = Symbol('mark'); export const mark = () => own.description;";
await compare({
  "of JSR": () => keep({}) + list.keep({}),
  "of JSR, by its name": () => direct.keep({}),
  "of a server": () => far.hold({}) + hold({}),
  "of a server that sends elsewhere": () => moved.hold({}),
  "all of it": () => all.hold({}),
  "of data": () => sign() + mark(),
  "of JSR, itself": [keep, {}],
  "of a server, itself": [hold, {}],
});`;

for (
  const place of [
    "in files",
    "in files, and the library on a server",
    "on a server",
  ]
) {
  Deno.test(`imports of other places than files are the same in workers, the program ${place}`, async () => {
    await using modules = new Modules();
    const { url } = modules;
    await modules.addPackage("@example/keeper", "1.2.0", KEEPER);
    modules.add("/far.js", FAR);
    modules.add("/near.js", NEAR);
    const data =
      "data:text/javascript,const own = Symbol('sign'); export const sign = () => own.description;";
    using made = project({
      "deno.json": {
        imports: {
          keeper: "jsr:@example/keeper@^1.0.0",
          far: `${url}/far.js`,
          data,
        },
        lock: false,
      },
      "main.js": USES("./compare.js", {
        keeper: "keeper",
        far: "far",
        data: "data",
        url,
      }),
    });
    const compare = Deno.readTextFileSync(`${made.path}/compare.js`);
    const served = compare.replace(
      new URL("mod.ts", LIBRARY).href,
      `${url}/futures/mod.ts`,
    );
    modules.add("/compare.js", served);
    modules.add(
      "/main.js",
      USES("./compare.js", {
        keeper: "jsr:@example/keeper@^1.1",
        far: "./far.js",
        data,
        url,
      }),
    );
    if (place !== "in files") {
      Deno.writeTextFileSync(`${made.path}/compare.js`, served);
    }
    const before = Deno.env.get("JSR_URL");
    Deno.env.set("JSR_URL", `${url}/`);
    try {
      const flags = ["-A", "--quiet"];
      assertSays(
        place === "on a server"
          ? await deno(["run", "--no-check", ...flags, `${url}/main.js`])
          : await runIn(made, "main.js", { flags }),
        "16 compared",
      );
    } finally {
      if (before === undefined) Deno.env.delete("JSR_URL");
      else Deno.env.set("JSR_URL", before);
    }
  });
}
