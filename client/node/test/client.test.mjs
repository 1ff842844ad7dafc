// The client against the server at DROPOUT_TEST_ADDRESS: what its user sees.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Client, DropoutError, isKept } from "dropout-client";

let client, session, hidden;

before(async () => {
  client = new Client(process.env.DROPOUT_TEST_ADDRESS);
  session = await client.createSession({ seed: 2n ** 64n - 1n });
  hidden = await session.createLayer({ layerId: "hidden", p: 0.5, dropout: {} });
});

after(async () => {
  await session.delete();
  client.close();
});

const ones = (shape, Elements = Float32Array) => ({
  shape, data: new Elements(shape.reduce((a, b) => a * b, 1)).fill(1),
});

async function refused(promise, code, reason) {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof DropoutError);
    assert.equal(error.code, code);
    assert.equal(error.reason, reason);
    return true;
  });
}

test("forward, backward and mask agree", async () => {
  for (const Elements of [Float32Array, Float64Array]) {
    const x = ones([4, 8], Elements);
    const { output, mask, mode, p } = await hidden.forward(x, { step: 0, returnMask: true });
    assert.ok(output.data instanceof Elements);
    assert.deepEqual([mode, p, output.shape, mask.scale], ["MODE_TRAIN", 0.5, [4, 8], 2]);
    const { inputGradient } = await hidden.backward(x, { step: 0 });
    const expected = x.data.map((_, i) => (isKept(mask, i) ? 2 : 0));
    assert.deepEqual(output.data, expected);
    assert.deepEqual(inputGradient.data, expected);
    assert.deepEqual((await hidden.mask({ step: 0 }, [4, 8])).bits, mask.bits);
  }
});

test("half types are bits and must be named", async () => {
  const data = new Uint16Array(8).fill(0x3c00);
  const { output } = await hidden.forward({ dtype: "DATA_TYPE_FLOAT16", shape: [8], data }, { step: 0 });
  assert.ok(output.data.every((bits) => bits === 0 || bits === 0x4000));
  await assert.rejects(hidden.forward({ shape: [8], data }, { step: 0 }), TypeError);
});

test("views of part of an array go out as that part", async () => {
  const whole = new Float64Array([9, 1, 2, 9]);
  const { output } = await hidden.forward({ shape: [2], data: whole.subarray(1, 3) }, { step: 5 });
  assert.ok([...output.data].every((value, i) => value === 0 || value === 2 * whole[i + 1]));
});

test("rows of a batch", async () => {
  const whole = (await hidden.forward(ones([8, 5]), { step: 1 })).output.data;
  const part = await hidden.forward(ones([5, 5]), { step: 1, sampleOffset: 3 });
  assert.deepEqual(part.output.data, whole.slice(15));
});

test("steps beyond 2^53 and larger messages than grpc's default", async () => {
  const { output } = await hidden.forward(ones([1024, 2048]), { step: 2n ** 64n - 1n });
  assert.equal(output.data.length, 1024 * 2048);
  assert.equal(await session.releaseSteps(2n ** 64n - 2n), 4);
});

test("modes", async () => {
  await session.setMode("MODE_EVAL");
  const x = ones([16]);
  assert.deepEqual((await hidden.forward(x)).output.data, x.data);
  await hidden.train();
  await refused(hidden.forward(x), "INVALID_ARGUMENT", "STEP_REQUIRED");
});

test("sessions", async () => {
  const other = await client.createSession({ sessionId: "node-test", ttl: 1500, seed: 7 });
  const info = await other.info();
  assert.deepEqual([info.seed, info.ttl, info.mode], [7n, 1500, "MODE_TRAIN"]);
  assert.equal(info.expireTime - info.createTime > 0, true);
  await refused(client.createSession({ sessionId: "node-test", seed: 8 }),
    "ALREADY_EXISTS", "SESSION_EXISTS");
  const ids = [];
  for await (const { sessionId } of client.sessions(1)) ids.push(sessionId);
  assert.deepEqual(ids, [...ids].sort());
  assert.ok(ids.includes("node-test") && ids.includes(session.sessionId));
  await other.delete();
  await refused(client.session("node-test"), "NOT_FOUND", "SESSION_NOT_FOUND");
});

test("server info", async () => {
  const info = await client.serverInfo();
  assert.ok(info.variants.includes("dropout"));
  assert.equal(info.limits.maxMessageBytes, 64 << 20);
  assert.equal(info.limits.defaultTtl, 3_600_000);
});

test("wrong options", () => {
  assert.throws(() => new Client(""), TypeError);
  assert.throws(() => new Client("x:1", { timeout: 0 }), RangeError);
});
