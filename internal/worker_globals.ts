/** Functions of this library that each worker has as a global, by the name it has there. */
export const workerGlobals: WeakMap<object, string> = new WeakMap();
