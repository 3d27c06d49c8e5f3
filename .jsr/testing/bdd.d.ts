type Body = () => void | Promise<void>;

interface Block<F> {
  (name: string, fn: F): void;
  only(name: string, fn: F): void;
  skip(name: string, fn: F): void;
}

export const describe: Block<() => void>;
export const it: Block<Body>;
export const test: Block<Body>;
export function before(fn: Body): void;
export function beforeAll(fn: Body): void;
export function beforeEach(fn: Body): void;
export function after(fn: Body): void;
export function afterAll(fn: Body): void;
export function afterEach(fn: Body): void;
