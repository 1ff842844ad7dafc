// Cases and comparison of the conformance suite; its README says what they mean.
import { createHash, randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";

import { CallError } from "./conformance_driver.mjs";

const FOLDER = new URL("../../../tests/conformance/", import.meta.url);
const ELEMENT_SIZES = {
  DATA_TYPE_FLOAT32: 4, DATA_TYPE_FLOAT64: 8, DATA_TYPE_FLOAT16: 2, DATA_TYPE_BFLOAT16: 2,
};

export function loadCases() {
  return readdirSync(FOLDER).filter((name) => name.endsWith(".json")).sort()
    .flatMap((name) => JSON.parse(readFileSync(new URL(name, FOLDER), "utf8")).cases);
}

export function isMissing({ needs = {} }, info) {
  const { variants = [], schedules = [], rpcs = [] } = needs;
  return variants.some((name) => !info.variants.includes(name)) ||
    schedules.some((name) => !info.schedules.includes(name)) ||
    rpcs.some((name) => info.unsupportedRpcs.includes(name));
}

// Runs a case in a session of its own; returns what went wrong, or "".
export async function run(testCase, driver) {
  const session_id = `conformance-${randomBytes(8).toString("hex")}`;
  try {
    await driver.call("CreateSession", { ...testCase.session, session_id });
    for (const [number, call] of testCase.calls.entries()) {
      const difference = await runCall(call, driver, session_id);
      if (difference) return `call ${number}, ${call.rpc}: ${difference}`;
    }
    return "";
  } finally {
    await driver.call("DeleteSession", { session_id }).catch(() => {}); // it may be gone
  }
}

async function runCall(call, driver, session_id) {
  let answer;
  try {
    answer = await driver.call(call.rpc, { ...expanded(call.request), session_id });
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    return call.error ? difference(call.error, error.outcome, "error") : error.message;
  }
  if (call.error) return `succeeded, not ${JSON.stringify(call.error)}`;
  return difference(call.response ?? {}, answer, "response");
}

// The request with `repeat` written out.
function expanded(request) {
  const result = { ...request };
  for (const name of ["input", "output_gradient"]) {
    if (result[name]?.repeat === undefined) continue;
    const { dtype, shape, repeat } = result[name];
    const size = shape.reduce((product, n) => product * n, ELEMENT_SIZES[dtype]);
    const data = Buffer.alloc(size, repeat, "base64").toString("base64");
    result[name] = { dtype, shape, data };
  }
  return result;
}

// What is wrong with the fields that `expected` names, or "".
export function difference(expected, actual, path) {
  const both = () => `${path} is ${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`;
  if (Array.isArray(expected)) {
    if (!Array.isArray(actual) || actual.length !== expected.length) return both();
    return first(expected.map((value, i) => () => difference(value, actual[i], `${path}[${i}]`)));
  }
  if (expected !== null && typeof expected === "object") {
    if (actual === null || typeof actual !== "object") return both();
    if ("tolerance" in expected) return tensorDifference(expected, actual, path);
    return first(Object.entries(expected).map(([name, value]) => () =>
      fieldDifference(name, value, actual, path)));
  }
  if (typeof expected === "number") return Number(actual) === expected ? "" : both();
  return actual === expected ? "" : both();
}

function first(checks) {
  for (const check of checks) {
    const found = check();
    if (found) return found;
  }
  return "";
}

function fieldDifference(name, value, actual, path) {
  if (!name.endsWith("_sha256")) return difference(value, actual[name], `${path}.${name}`);
  const field = name.slice(0, -"_sha256".length);
  const bytes = Buffer.from(actual[field] ?? "", "base64");
  const digest = createHash("sha256").update(bytes).digest("hex");
  return digest === value ? "" : `${path}.${field} has the SHA-256 ${digest}, not ${value}`;
}

function elements({ dtype, data = "" }) {
  const bytes = new Uint8Array(Buffer.from(data, "base64"));
  return [...new (dtype === "DATA_TYPE_FLOAT64" ? Float64Array : Float32Array)(bytes.buffer)];
}

function tensorDifference(expected, actual, path) {
  const found = difference({ dtype: expected.dtype, shape: expected.shape }, actual, path);
  if (found) return found;
  const [wanted, got] = [elements(expected), elements(actual)];
  if (wanted.length !== got.length) return `${path} has ${got.length} elements`;
  const wrong = wanted.findIndex((value, i) =>
    !(Math.abs(value - got[i]) <= expected.tolerance * Math.max(1, Math.abs(value))));
  return wrong < 0 ? "" : `${path}: element ${wrong} is ${got[wrong]}, not ${wanted[wrong]}`;
}
