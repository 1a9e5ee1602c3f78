/** Paths of files, as permissions and the file system know them. */

/** The path of a file: URL. */
export function pathOf(url: URL): string {
  if (url.protocol !== "file:") {
    throw new TypeError(`A path must be a file: URL: received ${url}`);
  }
  const path = decodeURIComponent(url.pathname);
  return Deno.build.os === "windows"
    ? path.replace(/^\/(?=[A-Za-z]:)/, "").replaceAll("/", "\\")
    : path;
}
