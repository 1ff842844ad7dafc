/** Between the contract's messages and the client's values. */
import { checkNames, requireObject, shown } from "./check.js";
import type { Message } from "./connection.js";
import { fromMessage, toMessage, type Tensor, type TensorMessage, type TypedTensor } from "./tensor.js";
import type {
  BackwardResult, ForwardResult, LayerInfo, LayerOptions, Mask, Place, ServerInfo, SessionInfo,
} from "./types.js";

/** At p = 0 nothing is dropped, so nothing would be learned. */
const FIRST_LEARNED_P = 0.1;

/**
 * A layer that is made or replaced. Throws TypeError for one with neither p nor a schedule, which
 * would drop nothing; concrete learns p, from FIRST_LEARNED_P by default.
 */
export function layerMessage(layer: LayerOptions): Message {
  if (layer.p === undefined && layer.schedule === undefined && layer.concrete !== undefined) {
    return { ...layer, p: FIRST_LEARNED_P };
  }
  if (layer.p === undefined && layer.schedule === undefined) {
    throw new TypeError(`p: not given for layer ${JSON.stringify(layer.layerId)}; give p, the ` +
      "probability that an element is dropped, in [0, 1), or schedule");
  }
  return layer;
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

/** Milliseconds, rounded to a nanosecond. */
export function durationMessage(ms: number, path: string): Message {
  if (typeof ms !== "number") throw new TypeError(`${path}: ${shown(ms)}, must be a number of ms`);
  // A negative one is the server's to refuse.
  if (!(Math.abs(ms) <= Number.MAX_SAFE_INTEGER)) {
    throw new RangeError(`${path}: ${ms}, must be at most 2^53 - 1 ms`);
  }
  const seconds = Math.trunc(ms / 1000);
  const nanos = Math.round((ms - seconds * 1000) * 1e6);
  return nanos === 1e9 ? { seconds: seconds + 1, nanos: 0 } : { seconds, nanos };
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

/** One object serves forward, backward and mask: each takes what the others take too. */
const PLACE_FIELDS = ["step", "sampleOffset", "sequenceId", "returnMask", "release",
  "weightSquaredNorm", "timeout"];

/** @param path the argument's name */
export function placeMessage(place: Place, path: string): Message {
  checkNames(requireObject(place, path), PLACE_FIELDS, "");
  const { step, sampleOffset, sequenceId } = place;
  return { step, sampleOffset, sequenceId };
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
  return Object.entries(requireObject(values, "values")).map(
    ([name, value]) => ({ name, value: toMessage(value, `values.${name}`) }));
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
