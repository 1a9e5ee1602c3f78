// The types of the part of sinon that `mock.ts` uses.

export interface SinonSpyCall {
  args: unknown[];
  returnValue: unknown;
  exception: unknown;
  thisValue: unknown;
}

export interface SinonSpy {
  getCalls(): SinonSpyCall[];
  restore(): void;
}

export interface SinonStub extends SinonSpy {
  callsFake(func: unknown): SinonStub;
}

declare const sinon: {
  spy(target: unknown, property?: PropertyKey): SinonSpy;
  stub(target: unknown, property: PropertyKey): SinonStub;
};
export default sinon;
