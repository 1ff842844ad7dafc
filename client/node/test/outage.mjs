// The Node.js client for tests/clients/outage.py and connections.py: prints "ready" after a first
// call, then for each line of standard input makes as many calls at once as it says, and prints "ok"
// or why one failed.
import { createInterface } from "node:readline";

import { Client } from "dropout-client";

const client = new Client(process.argv[2]);
const session = await client.createSession();
const layer = await session.createLayer({ layerId: "hidden", p: 0.5, dropout: {} });
const x = { shape: [2], data: new Float32Array([1, 2]) };
let step = 0;
await layer.forward(x, { step });
console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
  try {
    await Promise.all(Array.from({ length: Number(line) }, () => layer.forward(x, { step: ++step })));
    console.log("ok");
  } catch (error) {
    console.log(`failed: ${error.code} ${error.message}`);
  }
}
client.close();
