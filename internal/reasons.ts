/** Why calls were cancelled, where it is known: the `cause` of their `CancelledError`. */
export const cancelReasons: WeakMap<object, unknown> = new WeakMap();
