// The teaching notebook's cells over gRPC, with its printed results beside the server's.
//
//   node examples/notebook.mjs [ADDRESS]
import { Client, isKept } from "dropout-client";

const KEPT = ["01000", "00001", "01010", "10100"]; // np.random.seed(1); rand(4, 5) > 0.5

const shape = [4, 5];
const arange = (divisor) => ({ shape, data: Float64Array.from({ length: 20 }, (_, i) => i / divisor) });
const multipliers = Float64Array.from(KEPT.join(""), (digit) => (digit === "1" ? 2 : 0));

const client = new Client(process.argv[2] ?? "127.0.0.1:50051");
const session = await client.createSession({ seed: 1, ttl: 60_000 });
const layer = await session.createLayer(
  { layerId: "dropout", p: 0.5, generator: "GENERATOR_NUMPY_LEGACY", dropout: {} });

const [x, gradient] = [arange(20), arange(50)];
const { output, mask } = await layer.forward(x, { step: 0, returnMask: true });
const { inputGradient } = await layer.backward(gradient, { step: 0 });
await session.setMode("MODE_EVAL");
const evaluated = await layer.forward(x);
await session.delete();
client.close();

const masked = ({ data }) => data.map((value, i) => value * multipliers[i]);
const cells = [
  ["the mask", multipliers, Float64Array.from(x.data, (_, i) => (isKept(mask, i) ? mask.scale : 0))],
  ["the output", masked(x), output.data],
  ["the gradient with respect to the input", masked(gradient), inputGradient.data],
  ["the output in eval, which is the input", x.data, evaluated.output.data],
];
let allEqual = true;
for (const [name, notebook, server] of cells) {
  const equal = notebook.every((value, i) => Object.is(value, server[i]));
  allEqual &&= equal;
  console.log(`${name}: ${equal ? "equal to the last bit" : `differs\n${notebook}\n${server}`}`);
}
process.exitCode = allEqual ? 0 : 1;
