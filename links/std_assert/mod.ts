/**
 * Stands in for the JSR package `@std/assert` where JSR is out of reach: the
 * same code, from npm. Each subpath gives the whole package.
 *
 * @module
 */

// @ts-types="./mod.d.ts"
export * from "npm:deno-std@1.4.0/assert/mod.js";
