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

// What a uint64 cannot be, and what protobuf.js would make another number of.
const WRONG_STEPS = [
  -1, 1.5, 0.1, -0.5, NaN, Infinity, -Infinity, 2 ** 53, 2 ** 60, 2 ** 64, 1e300, -1n, 2n ** 64n,
  2n ** 70n, "abc", "", " 7", "1.5", "1e3", "0x10", "-1", "18446744073709551616", null, true, {}, [],
  [7], new Date(0), () => 7, Symbol.iterator,
];

async function named(call, path) {
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof TypeError || error instanceof RangeError, String(error));
    assert.ok(error.message.startsWith(`${path}: `), error.message);
    return true;
  });
}

test("what is not a 64-bit integer is refused and named", async () => {
  const x = ones([4]);
  await hidden.train();
  for (const wrong of WRONG_STEPS) {
    await named(() => hidden.forward(x, { step: wrong }), "step");
    await named(() => hidden.backward(x, { step: wrong }), "step");
    await named(() => hidden.mask({ step: wrong }, [4]), "step");
    await named(() => session.releaseSteps(wrong), "throughStep");
    await named(() => client.createSession({ seed: wrong }), "seed");
    await named(() => hidden.forward(x, { step: 7, sequenceId: wrong }), "sequenceId");
    if (wrong !== -1 && wrong !== -1n && wrong !== "-1") {
      await named(() => hidden.forward(x, { step: 7, sampleOffset: wrong }), "sampleOffset");
      await named(() => hidden.mask({ step: 7 }, [2, wrong]), "shape[1]");
    }
  }
  await refused(hidden.backward(x, { step: 7 }), "NOT_FOUND", "STEP_NOT_FOUND");
  for (const right of [0, 2 ** 53 - 1, 2n ** 53n, 2n ** 64n - 1n, "18446744073709551615"]) {
    await hidden.forward(x, { step: right });
    await hidden.backward(x, { step: right, release: true });
  }
});

test("every other integer is checked too", async () => {
  const layer = (fields) => () => session.createLayer({ layerId: "new", p: 0.5, ...fields });
  for (const wrong of [1.5, NaN, 2 ** 53, "abc", 2n ** 63n]) {
    await named(layer({ dropout: { broadcastAxes: [0, wrong] } }), "layer.dropout.broadcastAxes[1]");
    await named(layer({ spatial: { channelAxis: wrong } }), "layer.spatial.channelAxis");
    await named(layer({ dropBlock: { blockSize: [wrong] } }), "layer.dropBlock.blockSize[0]");
    await named(layer({ dropConnect: { inFeatures: wrong } }), "layer.dropConnect.inFeatures");
    await named(layer({ variational: { timeAxis: wrong } }), "layer.variational.timeAxis");
    await named(layer({ stochasticDepth: { depthCount: wrong } }), "layer.stochasticDepth.depthCount");
    const pages = client.sessions(wrong);
    await named(() => pages.next(), "pageSize");
    await named(() => hidden.forward({ shape: [wrong], data: Float32Array.of(1) }, { step: 1 }),
      "input.shape[0]");
  }
  for (const wrong of [-1, 1.5, 2 ** 53, 2n ** 64n]) {
    await named(layer({ schedule: { linear: { endStep: wrong } } }), "layer.schedule.linear.endStep");
    await named(layer({ schedule: { piecewise: { boundaries: [wrong] } } }),
      "layer.schedule.piecewise.boundaries[0]");
  }
  for (const wrong of [NaN, 2 ** 54, Infinity, "5s", 5n]) {
    await named(() => client.createSession({ ttl: wrong }), "ttl");
  }
  await named(layer({ spatial: { channelAxis: 2 ** 31 } }), "layer.spatial.channelAxis");
});

test("unknown fields and words are refused and named", async () => {
  const layer = (fields) => () => session.createLayer({ layerId: "new", p: 0.5, ...fields });
  await named(layer({ prob: 0.5 }), "layer.prob");
  await named(layer({ dropblock: {} }), "layer.dropblock");
  await named(layer({ dropBlock: { block_size: [7] } }), "layer.dropBlock.block_size");
  await named(layer({ schedule: { step: {} } }), "layer.schedule.step");
  await named(layer({ mode: "trian" }), "layer.mode");
  await named(layer({ dropBlock: { gamma: "EXACT" } }), "layer.dropBlock.gamma");
  await named(layer({ p: "0.5" }), "layer.p");
  await named(layer({ dropBlock: { shareChannels: 1 } }), "layer.dropBlock.shareChannels");
  await named(() => session.setMode("trian"), "mode");
  await named(() => client.createSession({ mode: "train" }), "mode");
  await named(() => client.createSession({ layers: [{ layerId: "a", p: 0.5, prob: 1 }] }),
    "layers[0].prob");
  await named(() => client.createSession({ sead: 1 }), "sead");
  await named(() => hidden.forward(ones([4]), { stepp: 1 }), "stepp");
  await named(() => hidden.forward(ones([4]), { step: 1, timeout: NaN }), "timeout");
  assert.throws(() => new Client("x:1", { timout: 5 }), /^TypeError: timout: /);
});

test("a layer needs p or a schedule", async () => {
  for (const make of [
    () => session.createLayer({ layerId: "new", dropout: {} }),
    () => session.updateLayer({ layerId: "hidden", dropBlock: {} }),
    () => client.createSession({ layers: [{ layerId: "new", alpha: {} }] }),
  ]) {
    await assert.rejects(make, /^TypeError: p: not given for layer/);
  }
  await session.createLayer({ layerId: "zero", p: 0, dropout: {} });
  await session.createLayer({ layerId: "learns", concrete: {} });
  await session.createLayer(
    { layerId: "scheduled", dropout: {}, schedule: { curriculum: { endP: 0.5, gamma: 0.01 } } });
  const learns = (await session.info()).layers.find(({ layerId }) => layerId === "learns");
  assert.equal(learns.p, 0.1);
  // What a server sent is a layer.
  for (const layer of (await session.info()).layers) {
    const updated = await session.updateLayer(layer);
    assert.deepEqual(await session.updateLayer(updated), updated);
  }
});
