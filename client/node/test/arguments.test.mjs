// Wrong arguments are errors that name them, before anything is sent; the server at
// DROPOUT_TEST_ADDRESS answers the right ones.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Client } from "dropout-client";

const ADDRESS = process.env.DROPOUT_TEST_ADDRESS;
const LONGEST = 2 ** 31 - 1;

let client, session, hidden;

before(async () => {
  client = new Client(ADDRESS);
  session = await client.createSession({ seed: 1 });
  hidden = await session.createLayer({ layerId: "hidden", p: 0.5, dropout: {} });
});

after(async () => {
  await session.delete();
  client.close();
});

const x = { shape: [4], data: Float32Array.of(1, 2, 3, 4) };

// An error of this kind with a text that begins with the argument's name and has these parts.
function names(Kind, path, ...parts) {
  return (error) => {
    assert.equal(error.constructor, Kind, String(error));
    assert.ok(error.message.startsWith(`${path}: `), error.message);
    for (const part of parts) assert.ok(error.message.includes(part), error.message);
    return true;
  };
}

const refuses = (call, ...named) => assert.rejects(async () => call(), names(...named));

const ALLOWED = ["Float32Array", "DATA_TYPE_FLOAT32", "Float64Array", "DATA_TYPE_FLOAT64",
  "Uint16Array", "DATA_TYPE_FLOAT16", "DATA_TYPE_BFLOAT16", "Uint8Array", "Buffer"];

// As a tensor of every call that takes one.
async function refusesTensor(tensor, field, ...parts) {
  await refuses(() => hidden.forward(tensor, { step: 0 }), TypeError, `input${field}`, ...parts);
  await refuses(() => hidden.backward(tensor, { step: 0 }),
    TypeError, `outputGradient${field}`, ...parts);
  await refuses(() => hidden.setParameters({ weight: tensor }),
    TypeError, `values.weight${field}`, ...parts);
}

test("an array whose elements are not of the dtype", async () => {
  const all = ["FLOAT32", "FLOAT64", "FLOAT16", "BFLOAT16"].map((type) => `DATA_TYPE_${type}`);
  const own = new Map([
    [Float32Array, ["DATA_TYPE_FLOAT32"]], [Float64Array, ["DATA_TYPE_FLOAT64"]],
    [Uint16Array, ["DATA_TYPE_FLOAT16", "DATA_TYPE_BFLOAT16"]],
    [Int8Array, []], [Uint8ClampedArray, []], [Int16Array, []], [Int32Array, []],
    [Uint32Array, []], [BigInt64Array, []], [BigUint64Array, []],
  ]);
  const others = ["DATA_TYPE_UNSPECIFIED", "float64", "", 1, null];
  for (const [Elements, types] of own) {
    for (const dtype of [...all, ...others]) {
      const tensor = { shape: [8], data: new Elements(8), dtype };
      if (types.includes(dtype)) {
        assert.equal((await hidden.forward(tensor, { step: 0 })).output.dtype, dtype);
      } else {
        await refusesTensor(tensor, ".data", Elements.name, String(dtype), ...ALLOWED);
      }
    }
  }
});

test("an array without a dtype that needs one", async () => {
  for (const Elements of [Int32Array, BigInt64Array, Uint16Array, Uint8Array]) {
    await refusesTensor({ shape: [8], data: new Elements(8) },
      ".data", Elements.name, "no dtype", ...ALLOWED);
  }
});

test("raw bytes are of any dtype", async () => {
  for (const [type, size] of [["FLOAT32", 4], ["FLOAT64", 8], ["FLOAT16", 2], ["BFLOAT16", 2]]) {
    for (const data of [new Uint8Array(4 * size), Buffer.alloc(4 * size)]) {
      const dtype = `DATA_TYPE_${type}`;
      const { output } = await hidden.forward({ shape: [4], data, dtype }, { step: 0 });
      assert.deepEqual([output.dtype, output.data.length], [dtype, 4]);
    }
  }
});

test("data that are no array of numbers", async () => {
  const wrong = [
    [undefined, "undefined"], [null, "null"], [[1, 2, 3, 4], "Array"], [{}, "Object"], [4, "4"],
    ["AAAA", '"AAAA"'], [new ArrayBuffer(16), "ArrayBuffer"],
    [new DataView(new ArrayBuffer(16)), "DataView"], [Object.create(null), "Object"],
  ];
  for (const [data, kind] of wrong) {
    await refusesTensor({ shape: [4], data }, ".data", kind, "no dtype", ...ALLOWED);
    await refusesTensor({ shape: [4], data, dtype: "DATA_TYPE_FLOAT32" }, ".data", kind, ...ALLOWED);
  }
});

test("shapes and tensors that are none", async () => {
  for (const shape of [undefined, null, 4, "4", "22", {}, Int32Array.of(4), new Set([4])]) {
    await refusesTensor({ ...x, shape }, ".shape", "must be an array");
    if (shape === undefined) continue;
    await refuses(() => hidden.mask({ step: 0 }, shape), TypeError, "shape", "must be an array");
  }
  for (const tensor of [undefined, null, 5, "x", [1, 2], () => x]) {
    await refusesTensor(tensor, "", "must be an object");
  }
});

test("two members of a oneof", async () => {
  const line = { startP: 0, endP: 0.5, startStep: 0, endStep: 10 };
  const two = { layerId: "two", p: 0.5, dropout: {}, gaussian: {} };
  await refuses(() => session.createLayer(two), TypeError, "layer", "dropout and gaussian");
  await refuses(() => session.updateLayer(two), TypeError, "layer", "dropout and gaussian");
  const one = { layerId: "one", p: 0.5, dropout: {}, gaussian: undefined };
  await refuses(() => client.createSession({ layers: [one, two] }),
    TypeError, "layers[1]", "dropout and gaussian", "stochasticDepth");
  await refuses(() => session.createLayer({ ...two, spatial: {} }),
    TypeError, "layer", "dropout and gaussian and spatial");
  const scheduled = { layerId: "two", dropout: {}, schedule: { linear: line, cosine: line } };
  await refuses(() => session.createLayer(scheduled),
    TypeError, "layer.schedule", "linear and cosine", "piecewise");
  // Fields beside a oneof, and optional ones, which are oneofs of one.
  await session.createLayer({
    layerId: "two", mode: "MODE_TRAIN", scaling: "SCALING_NONE", spatial: { channelAxis: 1 },
    gaussian: undefined, schedule: { linear: line, cosine: undefined },
  });
  await hidden.forward(x, { step: 1, sequenceId: 2 });
});

const WRONG_TIMEOUTS = [
  [RangeError, [0, -0, -1, NaN, Infinity, -Infinity, LONGEST + 1, 1e13, 1e15, Number.MAX_VALUE]],
  [TypeError, ["1", "", true, 10n, null, {}, [5], new Date(0), Symbol("s")]],
];

test("timeouts", async () => {
  for (const [Kind, values] of WRONG_TIMEOUTS) {
    for (const timeout of values) {
      const named = [Kind, "timeout", `${LONGEST} ms`];
      assert.throws(() => new Client(ADDRESS, { timeout }), names(...named));
      await refuses(() => hidden.forward(x, { step: 0, timeout }), ...named);
      await refuses(() => hidden.backward(x, { step: 0, timeout }), ...named);
    }
  }
  const patient = new Client(ADDRESS, { timeout: LONGEST });
  await patient.serverInfo();
  patient.close();
  for (const timeout of [undefined, 5000.5, LONGEST]) await hidden.forward(x, { step: 0, timeout });
});

test("numbers of attempts and pauses", () => {
  const made = (options) => () => new Client(ADDRESS, options).close();
  for (const maxAttempts of [0, -1, 1.5, NaN, -Infinity]) {
    assert.throws(made({ maxAttempts }), names(RangeError, "maxAttempts", "or Infinity"));
  }
  for (const name of ["maxAttempts", "initialBackoff", "maxBackoff"]) {
    for (const wrong of ["3", null, true, 3n, []]) {
      assert.throws(made({ [name]: wrong }), names(TypeError, name));
    }
  }
  for (const name of ["initialBackoff", "maxBackoff"]) {
    for (const wrong of [-1, NaN]) assert.throws(made({ [name]: wrong }), names(RangeError, name));
  }
  for (const maxAttempts of [undefined, 1, 7, Infinity]) made({ maxAttempts })();
  made({ initialBackoff: 0, maxBackoff: 0 })();
});

test("addresses, tokens and TLS files", () => {
  for (const address of [undefined, null, "", 5, {}]) {
    assert.throws(() => new Client(address), names(TypeError, "address"));
  }
  for (const token of [null, 5, {}]) {
    assert.throws(() => new Client(ADDRESS, { token }), names(TypeError, "token"));
  }
  for (const tls of [null, true, "ca.pem", []]) {
    assert.throws(() => new Client(ADDRESS, { tls }), names(TypeError, "tls", "must be an object"));
  }
  assert.throws(() => new Client(ADDRESS, { tls: { cert: "a.pem" } }), names(TypeError, "tls.cert"));
});

test("options, places and layers that are no objects", async () => {
  for (const wrong of [null, 5, "0", true, [], [0], () => 0]) {
    const no = (path) => [TypeError, path, "must be an object"];
    assert.throws(() => new Client(ADDRESS, wrong), names(...no("options")));
    await refuses(() => client.createSession(wrong), ...no("options"));
    await refuses(() => hidden.forward(x, wrong), ...no("options"));
    await refuses(() => hidden.backward(x, wrong), ...no("options"));
    await refuses(() => hidden.mask(wrong), ...no("place"));
    await refuses(() => hidden.setParameters(wrong), ...no("values"));
    await refuses(() => session.createLayer(wrong), ...no("layer"));
    await refuses(() => session.updateLayer(wrong), ...no("layer"));
    await refuses(() => client.createSession({ layers: [wrong] }), ...no("layers[0]"));
  }
  await refuses(() => session.createLayer(), TypeError, "layer");
  await refuses(() => hidden.mask(), TypeError, "place");
  for (const layers of [null, {}, "a", 5, new Set()]) {
    await refuses(() => client.createSession({ layers }), TypeError, "layers", "must be an array");
  }
  for (const ids of [null, "hidden", {}]) {
    await refuses(() => session.setMode("MODE_EVAL", ids), TypeError, "layerIds", "must be an array");
  }
});

test("decimal text is an integer, and errors say so", async () => {
  const { data } = (await hidden.forward(x, { step: 3 })).output;
  assert.deepEqual((await hidden.forward(x, { step: "3" })).output.data, data);
  for (const step of ["0x10", "1e3", "", " 3", null, true]) {
    await refuses(() => hidden.forward(x, { step }), TypeError, "step", "decimal text");
  }
});
