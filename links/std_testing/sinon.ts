// The part of sinon that `mock.ts` uses.

// @ts-types="./sinon.d.ts"
export { default as sinon } from "npm:sinon@22.1.0";
export type { SinonSpy } from "./sinon.d.ts";
