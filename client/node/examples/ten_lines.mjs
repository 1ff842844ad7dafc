import { Client } from "dropout-client";

const client = new Client(process.argv[2]);
const session = await client.createSession({ seed: 1 });
const layer = await session.createLayer({ layerId: "hidden", p: 0.5, dropout: {} });
const x = { shape: [16], data: new Float32Array(16).fill(1) };
const { output } = await layer.forward(x, { step: 0 });
const { inputGradient } = await layer.backward(x, { step: 0 });
console.log(...output.data, inputGradient.data.every((value, i) => value === output.data[i]));
await session.delete();
client.close();
