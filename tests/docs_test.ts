/** The papers: that their links lead somewhere, and what of their examples `deno test --doc` can't run. */

import { assert, assertEquals } from "@std/assert";
import { deno } from "./_programs.ts";

const ROOT = new URL("../", import.meta.url);
const ROOM = 250;

/** A page, by its path from the root. */
interface Page {
  readonly path: string;
  readonly text: string;
}

function read(path: string): Page {
  return { path, text: Deno.readTextFileSync(new URL(path, ROOT)) };
}

const readme = read("README.md");
const docs = [...Deno.readDirSync(new URL("docs/", ROOT))]
  .filter(({ name }) => name.endsWith(".md"))
  .map(({ name }) => read(`docs/${name}`));
const pages = [readme, read("CHANGELOG.md"), ...docs];

const FENCE = /^```.*\n[^]*?^```$/gm;

/** The anchors of a page's headings, as GitHub makes them. */
function anchorsOf(text: string): Set<string> {
  const anchors = new Set<string>();
  const prose = text.replaceAll(FENCE, "");
  for (const [, heading] of prose.matchAll(/^#+ (.+)$/gm)) {
    const plain = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1");
    const kept = plain.toLowerCase().replaceAll(/[^\p{L}\p{N}_ -]/gu, "");
    const anchor = kept.replaceAll(" ", "-");
    let name = anchor;
    for (let n = 1; anchors.has(name); n++) name = `${anchor}-${n}`;
    anchors.add(name);
  }
  return anchors;
}

/** What a page links to, as it is written. */
function linksOf(text: string): string[] {
  const prose = text.replaceAll(FENCE, "").replaceAll(/`[^`\n]*`/g, "code");
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link);
}

/** Why a link leads nowhere; `undefined`: it leads somewhere. */
function fault(page: Page, link: string): string | undefined {
  if (/^[a-z]+:/.test(link)) return undefined;
  const url = new URL(link, new URL(page.path, ROOT));
  const anchor = url.hash.slice(1);
  url.hash = "";
  let text: string;
  try {
    const isFolder = Deno.statSync(url).isDirectory;
    text = isFolder ? "" : Deno.readTextFileSync(url);
  } catch {
    return `${page.path}: ${link}: no such file`;
  }
  if (anchor === "" || anchorsOf(text).has(anchor)) return undefined;
  return `${page.path}: ${link}: no such heading`;
}

Deno.test("links within the README, the docs and the changelog lead to files and headings that are there", () => {
  const links = pages.flatMap((page) =>
    linksOf(page.text).map((link) => ({ page, link }))
  );
  assert(links.length > 0);
  assertEquals(links.flatMap(({ page, link }) => fault(page, link) ?? []), []);
});

Deno.test("a link to a file or a heading that is not there is found", () => {
  const page = { path: "docs/x.md", text: "" };
  assertEquals(fault(page, "../README.md#four-programs"), undefined);
  assertEquals(fault(page, "https://example.org/#nowhere"), undefined);
  assert(fault(page, "../README.md#no-such-heading"));
  assert(fault(page, "./no_such_file.md"));
  assertEquals(
    [...anchorsOf("# A `b()`, c?\n\n```sh\n# no heading\n```\n## A b c\n")],
    ["a-b-c", "a-b-c-1"],
  );
});

Deno.test(`the README has at most ${ROOM} lines`, () => {
  const lines = readme.text.trimEnd().split("\n").length;
  assert(lines <= ROOM, `it has ${lines}: move something to docs/`);
});

Deno.test("the README links to each page of the docs", () => {
  const linked = new Set(
    linksOf(readme.text).map((link) => link.replace("./", "").split("#")[0]),
  );
  const missing = docs.map(({ path }) => path).filter((p) => !linked.has(p));
  assertEquals(missing, []);
});

/** The examples of a page, with what follows the language of the fence. */
function examplesOf({ path, text }: Page) {
  return [...text.matchAll(/^```ts(.*)\n([^]*?)^```$/gm)].map(
    ([, flags, code]) => ({ path, flags: flags.trim(), code }),
  );
}

const ignored = pages.flatMap(examplesOf)
  .filter(({ flags }) => flags.includes("ignore"));

Deno.test("an example that is not run says why", () => {
  const silent = ignored.filter(({ code }) => !code.startsWith("// Not run"));
  assertEquals(silent.map(({ path, code }) => `${path}: ${code}`), []);
});

const declared = ignored.filter(({ code }) => code.includes("Deno.test"));

Deno.test("the tests that the docs show pass, with the sanitizers on", async () => {
  assert(declared.length > 0);
  const folder = await Deno.makeTempDir();
  try {
    for (const [i, { code }] of declared.entries()) {
      await Deno.writeTextFile(`${folder}/example_${i}_test.ts`, code);
    }
    const config = new URL("deno.json", ROOT).pathname;
    const ended = await deno(["test", "-A", "--config", config, folder]);
    const { code, stdout, stderr } = ended;
    assertEquals(code, 0, stdout + stderr);
    assert(!stdout.includes("no tests"), stdout);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
