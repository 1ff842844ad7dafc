// When calls are sent again, against a server of this process that refuses.
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { test } from "node:test";

import grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { Client } from "dropout-client";

const FAST = { initialBackoff: 1, maxBackoff: 1 };
const proto = loadSync("dropout/v1/dropout_service.proto", {
  includeDirs: [fileURLToPath(new URL("../proto", import.meta.url))],
});

const refusal = (code, reason) => {
  const metadata = new grpc.Metadata();
  metadata.set("dropout-error-reason", reason);
  return { code, details: "refused", metadata };
};
const DRAINING = refusal(grpc.status.UNAVAILABLE, "DRAINING");
const CANCELLED = refusal(grpc.status.CANCELLED, "");
const GONE = refusal(grpc.status.NOT_FOUND, "SESSION_NOT_FOUND");
const SESSION = { sessionId: "s", seed: 1, ttl: {}, createTime: {}, expireTime: {} };
const TENSOR = { dtype: 1, shape: [1], data: Buffer.alloc(4) };
const X = { shape: [1], data: new Float32Array([1]) };

// Runs `act` with a client of a server with these answers, in turn; the last one stays. Returns
// the calls: {rpc, request, metadata}.
async function calls(answers, act, options = FAST) {
  const seen = [];
  const server = new grpc.Server();
  const handlers = Object.keys(proto["dropout.v1.DropoutService"]).map((rpc) => [rpc, (call, done) => {
    seen.push({ rpc, request: call.request, metadata: call.metadata.getMap() });
    const left = answers[rpc];
    const answer = left.length > 1 ? left.shift() : left[0];
    if (answer === undefined) return; // no answer at all
    if (answer.code) done(answer);
    else done(null, answer);
  }]);
  server.addService(proto["dropout.v1.DropoutService"], Object.fromEntries(handlers));
  const port = await new Promise((resolve, reject) => server.bindAsync(
    "127.0.0.1:0", grpc.ServerCredentials.createInsecure(),
    (error, bound) => (error ? reject(error) : resolve(bound))));
  const client = new Client(`127.0.0.1:${port}`, options);
  try {
    await act(client);
  } finally {
    client.close();
    server.forceShutdown();
  }
  return seen;
}

const countOf = (seen, rpc) => seen.filter((call) => call.rpc === rpc).length;

test("safe calls are repeated, with a session id of the client's own", async () => {
  const seen = await calls({
    CreateSession: [DRAINING, SESSION], Forward: [DRAINING, CANCELLED, { output: TENSOR }],
  }, async (client) => {
    const session = await client.createSession();
    await session.layer("l").forward(X, { step: 0 });
  });
  assert.equal(countOf(seen, "Forward"), 3);
  const ids = seen.filter(({ rpc }) => rpc === "CreateSession").map((call) => call.request.sessionId);
  assert.equal(ids.length, 2);
  assert.match(ids[0], /^[0-9a-f]{32}$/);
  assert.equal(ids[0], ids[1]);
});

test("attempts are limited", async () => {
  const seen = await calls({ GetSession: [DRAINING] }, (client) =>
    assert.rejects(client.session("s"), { code: "UNAVAILABLE", reason: "DRAINING" }),
  { ...FAST, maxAttempts: 3 });
  assert.equal(seen.length, 3);
});

test("time alone ends attempts", async () => {
  const seen = await calls({ GetSession: [...Array(30).fill(DRAINING), SESSION] },
    (client) => client.session("s"));
  assert.equal(seen.length, 31);
});

test("backward with release is not repeated", async () => {
  const seen = await calls({
    GetSession: [SESSION], Backward: [DRAINING, DRAINING, { inputGradient: TENSOR }],
  }, async (client) => {
    const layer = (await client.session("s")).layer("l");
    await assert.rejects(layer.backward(X, { step: 0, release: true }), { reason: "DRAINING" });
    await layer.backward(X, { step: 0 });
  });
  assert.equal(countOf(seen, "Backward"), 3);
});

test("a repeated deletion that finds nothing is done", async () => {
  const seen = await calls({ DeleteSession: [DRAINING, GONE] },
    (client) => client.deleteSession("s"));
  assert.equal(seen.length, 2);
  await calls({ DeleteSession: [GONE] }, (client) =>
    assert.rejects(client.deleteSession("s"), { reason: "SESSION_NOT_FOUND" }));
});

test("deadlines", async () => {
  await calls({ GetSession: [undefined] }, (client) =>
    assert.rejects(client.session("s"), { code: "DEADLINE_EXCEEDED" }), { timeout: 100 });
});

test("metadata", async () => {
  const seen = await calls({ GetSession: [SESSION], GetServerInfo: [{ limits: {} }] },
    async (client) => {
      await client.session("s");
      await client.session("a b");
      await client.serverInfo();
    }, { ...FAST, token: "secret" });
  assert.deepEqual(seen.map(({ metadata }) => metadata["x-session-id"]), ["s", undefined, undefined]);
  assert.deepEqual(seen.map(({ metadata }) => metadata.authorization), Array(3).fill("Bearer secret"));
});

test("nobody there", async () => {
  const client = new Client("127.0.0.1:1", { ...FAST, timeout: 500 });
  await assert.rejects(client.serverInfo(), {
    code: "UNAVAILABLE", message: /onnect.* \(tried \d+ times in \d\.\d s\)/,
  });
  client.close();
});
