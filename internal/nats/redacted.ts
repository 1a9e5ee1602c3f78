/** What errors show of URLs: never what only a server is to know. */

/** All that stands before the last `@` of a word, but for a scheme. */
const USERINFO = /([a-z][\w+.-]*:\/+)?[^\s"'`<>]*@/gi;
/** Nothing, or a scheme and a host, with nothing in it that could be a secret. */
const HARMLESS =
  /^(?:(?:[a-z][\w+.-]*:\/+)?(?:[\w.-]+|\[[\da-f:.]+\])(?::\d+)?\/?)?$/i;

/** A text with no user, password or token in the URLs that stand in it. */
export function redacted(text: string): string {
  return text.replace(USERINFO, (_all, scheme = "") => `${scheme}…@`);
}

/**
 * What was given for a URL, whatever it is. What is left out of one that is not
 * well formed may be a password: only what is certainly none is shown.
 */
export function redactedUrl(text: string): string {
  if (HARMLESS.test(text)) return text;
  const [scheme = ""] = /^[a-z][\w+.-]*:\/+/i.exec(text) ?? [];
  const host = text.includes("@") ? text.slice(text.lastIndexOf("@") + 1) : "";
  return host !== "" && HARMLESS.test(host)
    ? `${scheme}…@${host}`
    : `${scheme}…`;
}
