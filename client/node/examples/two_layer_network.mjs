// A two-layer network with dropout between its layers, trained by hand to tell the two halves of
// a ring apart. The masks come from the server; the rest is plain JavaScript.
//
//   node examples/two_layer_network.mjs [ADDRESS]
import { Client } from "dropout-client";

const [SAMPLES, HIDDEN, STEPS, RATE] = [64, 32, 200, 0.5];

// A fixed sequence of numbers in [-1, 1), so that every run is the same.
let state = 1;
const random = () => {
  state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
  return state / 0x40000000 - 1;
};
const matrix = (rows, columns, fill) => Array.from({ length: rows }, () =>
  Array.from({ length: columns }, fill));
const multiply = (a, b) => a.map((row) => b[0].map((_, j) =>
  row.reduce((sum, value, k) => sum + value * b[k][j], 0)));
const transpose = (a) => a[0].map((_, j) => a.map((row) => row[j]));
const tensor = (a) => ({ shape: [a.length, a[0].length], data: Float32Array.from(a.flat()) });
const rows = ({ data, shape: [n, width] }) => Array.from({ length: n }, (_, i) =>
  [...data.subarray(i * width, (i + 1) * width)]);
const descend = (weights, gradient) => weights.forEach((row, i) => row.forEach((_, j) => {
  row[j] -= RATE * gradient[i][j];
}));

const x = Array.from({ length: SAMPLES }, (_, i) => {
  const angle = (2 * Math.PI * (i + 0.5)) / SAMPLES;
  return [Math.cos(angle), Math.sin(angle), 1];
});
const target = x.map(([, sine]) => (sine > 0 ? 1 : 0));
const [first, second] = [matrix(3, HIDDEN, random), matrix(HIDDEN, 1, random)];

const client = new Client(process.argv[2] ?? "127.0.0.1:50051");
const session = await client.createSession({ seed: 1, ttl: 60_000 });
const dropout = await session.createLayer({ layerId: "hidden", p: 0.5, dropout: {} });

// The network's answers; in train the mask is that of the step.
async function predict(step) {
  const hidden = multiply(x, first).map((row) => row.map((value) => Math.max(0, value)));
  const { output } = await dropout.forward(tensor(hidden), step === undefined ? {} : { step });
  const masked = rows(output);
  const answers = multiply(masked, second).map(([value]) => 1 / (1 + Math.exp(-value)));
  return { hidden, masked, answers };
}

for (let step = 0; step < STEPS; ++step) {
  const { hidden, masked, answers } = await predict(step);
  const error = answers.map((answer, i) => [(answer - target[i]) / SAMPLES]);
  const upstream = multiply(error, transpose(second));
  const { inputGradient } = await dropout.backward(tensor(upstream), { step, release: true });
  const gradient = rows(inputGradient).map((row, i) =>
    row.map((value, j) => (hidden[i][j] > 0 ? value : 0)));
  descend(second, multiply(transpose(masked), error));
  descend(first, multiply(transpose(x), gradient));
}

await dropout.eval();
const { answers } = await predict();
const right = answers.filter((answer, i) => (answer > 0.5) === (target[i] === 1)).length;
await session.delete();
client.close();
console.log(`${right} of ${SAMPLES} right after ${STEPS} steps`);
process.exitCode = right >= 0.95 * SAMPLES ? 0 : 1;
