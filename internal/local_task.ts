/** Which call runs, where calls run on the event loop of their caller. */

import type { CurrentTask } from "./protocol.ts";

/** Set by the first executor of that kind. */
export const localTask: { current: () => CurrentTask | undefined } = {
  current: () => undefined,
};
