// @ts-types="./bdd.d.ts"
export { after, afterEach, before, beforeEach, describe, it } from "node:test";
export { after as afterAll, before as beforeAll, it as test } from "node:test";
