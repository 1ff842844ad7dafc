/** Between the contract's messages and the client's values. */
import type { Message } from "./connection.js";
import { fromMessage, toMessage, type Tensor, type TensorMessage, type TypedTensor } from "./tensor.js";
import type {
  BackwardResult, ForwardResult, LayerInfo, LayerOptions, Mask, Place, ServerInfo, SessionInfo,
} from "./types.js";

/** int64 and uint64 go out as decimal texts, which are exact. */
function longs(value: any): any {
  if (typeof value === "bigint") return value.toString();
  if (Array.isArray(value)) return value.map(longs);
  if (value === null || typeof value !== "object" || Buffer.isBuffer(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, longs(field)]));
}

export function layerMessage(layer: LayerOptions): Message {
  return longs(layer);
}

const LONG_FIELDS = new Set(["blockSize", "inFeatures", "outFeatures", "depthIndex", "depthCount"]);

function withNumbers(options: Message): Message {
  return Object.fromEntries(Object.entries(options).map(([name, value]) => [
    name,
    !LONG_FIELDS.has(name) ? value : Array.isArray(value) ? value.map(Number) : Number(value),
  ]));
}

export function layerInfo(message: Message): LayerInfo {
  const { revision, schedule, ...fields } = message;
  const layer: Message = { revision: BigInt(revision) };
  for (const [name, value] of Object.entries(fields)) {
    layer[name] = value !== null && typeof value === "object" ? withNumbers(value) : value;
  }
  if (schedule) layer["schedule"] = scheduleOf(schedule);
  return layer as LayerInfo;
}

function scheduleOf(message: Message): Message {
  const [[kind, fields]] = Object.entries(message) as [[string, Message]];
  const steps = (value: any): any => (Array.isArray(value) ? value.map(BigInt) : BigInt(value));
  return {
    [kind]: Object.fromEntries(Object.entries(fields).map(([name, value]) => [
      name, ["startStep", "endStep", "boundaries"].includes(name) ? steps(value) : value,
    ])),
  };
}

export function durationMessage(ms: number): Message {
  const seconds = Math.trunc(ms / 1000);
  return { seconds, nanos: Math.round((ms - seconds * 1000) * 1e6) };
}

function milliseconds(message: Message): number {
  return Number(message["seconds"]) * 1000 + message["nanos"] / 1e6;
}

export function sessionInfo(message: Message): SessionInfo {
  return {
    sessionId: message["sessionId"],
    seed: BigInt(message["seed"]),
    mode: message["mode"],
    layers: message["layers"].map(layerInfo),
    ttl: milliseconds(message["ttl"]),
    createTime: new Date(milliseconds(message["createTime"])),
    expireTime: new Date(milliseconds(message["expireTime"])),
  };
}

export function placeMessage(place: Place): Message {
  const { step, sampleOffset, sequenceId } = place;
  return longs({
    ...(step !== undefined && { step }),
    ...(sampleOffset !== undefined && { sampleOffset }),
    ...(sequenceId !== undefined && { sequenceId }),
  });
}

export function maskOf(message: Message): Mask {
  return {
    shape: message["shape"].map(Number),
    scale: message["scale"],
    sampleScales: message["sampleScales"],
    ...(message["multipliers"]
      ? { multipliers: fromMessage(message["multipliers"]) }
      : { bits: message["bits"] ?? Buffer.alloc(0) }),
  };
}

export function forwardResult(message: Message): ForwardResult {
  return {
    output: fromMessage(message["output"] as TensorMessage),
    mode: message["mode"],
    p: message["p"],
    ...(message["mask"] && { mask: maskOf(message["mask"]) }),
  };
}

export function parameters(messages: Message[]): Record<string, TypedTensor> {
  return Object.fromEntries(
    messages.map(({ name, value }) => [name as string, fromMessage(value as TensorMessage)]));
}

export function parameterMessages(values: Record<string, Tensor>): Message[] {
  return Object.entries(values).map(([name, value]) => ({ name, value: toMessage(value) }));
}

export function backwardResult(message: Message): BackwardResult {
  return {
    inputGradient: fromMessage(message["inputGradient"] as TensorMessage),
    parameterGradients: parameters(message["parameterGradients"]),
  };
}

export function serverInfo(message: Message): ServerInfo {
  const { limits, ...fields } = message;
  const numbers = Object.entries(limits as Message).map(([name, value]) => [
    name, value !== null && typeof value === "object" ? milliseconds(value) : Number(value),
  ]);
  return { ...fields, limits: Object.fromEntries(numbers) } as ServerInfo;
}
