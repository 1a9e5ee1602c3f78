/** Why calls were stopped before they started: what their futures reject with. */
export const cancelReasons: WeakMap<object, unknown> = new WeakMap();
