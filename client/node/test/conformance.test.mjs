// The conformance suite against the server at DROPOUT_TEST_ADDRESS.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Client } from "dropout-client";

import { difference, isMissing, loadCases, run } from "./conformance.mjs";
import { Driver } from "./conformance_driver.mjs";

test("every case", async () => {
  const client = new Client(process.env.DROPOUT_TEST_ADDRESS);
  try {
    const info = await client.serverInfo();
    const cases = loadCases();
    assert.ok(cases.length > 90);
    const possible = cases.filter((one) => !isMissing(one, info));
    for (const one of possible) {
      assert.equal(await run(one, new Driver(client)), "", one.name);
    }
    console.log(`${possible.length} of ${cases.length} cases`);
  } finally {
    client.close();
  }
});

test("the comparison finds differences", () => {
  const expected = { scale: 2, shape: [2, 3], bits: "AA==" };
  assert.equal(difference(expected, { scale: 2, shape: ["2", 3], bits: "AA==", p: 1 }, ""), "");
  for (const wrong of [{ scale: 3 }, { shape: [3, 2] }, { shape: [2] }, { bits: "AQ==" },
    { bits: undefined }]) {
    assert.notEqual(difference(expected, { ...expected, ...wrong }, ""), "");
  }
});
