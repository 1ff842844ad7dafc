/** The contract's values, with the names of proto/dropout/v1 in camel case. */
import type { TypedTensor } from "./tensor.js";

export type Mode = "MODE_UNSPECIFIED" | "MODE_TRAIN" | "MODE_EVAL";
export type Generator = "GENERATOR_UNSPECIFIED" | "GENERATOR_PHILOX" | "GENERATOR_NUMPY_LEGACY";
export type Scaling =
  | "SCALING_UNSPECIFIED" | "SCALING_INVERTED" | "SCALING_NONE" | "SCALING_EVAL";
export type MaskScope =
  | "MASK_SCOPE_UNSPECIFIED" | "MASK_SCOPE_SAMPLE" | "MASK_SCOPE_BATCH" | "MASK_SCOPE_SEQUENCE"
  | "MASK_SCOPE_STEP";

/** An unsigned 64-bit integer. Past 2^53 - 1, where numbers are no longer exact, it must be a bigint:
 * anything that is not such an integer is a RangeError or a TypeError. Plain JavaScript may also give
 * its decimal text, as protobuf's JSON has it. */
export type Uint64 = bigint | number;

/** A layer: p and one of the variants. layer.proto says what each field means. */
export interface LayerOptions {
  layerId: string;
  /** In [0, 1). Given, also where it is 0, unless `schedule` is: TypeError without both. */
  p?: number;
  mode?: Mode;
  generator?: Generator;
  scaling?: Scaling;
  schedule?: Schedule;
  dropout?: { broadcastAxes?: number[] };
  gaussian?: { broadcastAxes?: number[] };
  alpha?: Record<string, never>;
  featureAlpha?: { channelAxis?: number };
  spatial?: { channelAxis?: number };
  dropBlock?: {
    blockSize?: number[];
    channelAxis?: number;
    gamma?: "GAMMA_UNSPECIFIED" | "GAMMA_EXACT" | "GAMMA_PAPER";
    normalization?: "NORMALIZATION_UNSPECIFIED" | "NORMALIZATION_SAMPLE" | "NORMALIZATION_BATCH";
    shareChannels?: boolean;
  };
  concrete?: {
    temperature?: number;
    weightRegularizer?: number;
    dropoutRegularizer?: number;
    spatial?: boolean;
  };
  dropConnect?: {
    inFeatures?: number;
    outFeatures?: number;
    bias?: boolean;
    maskScope?: MaskScope;
    target?: "CONNECT_TARGET_UNSPECIFIED" | "CONNECT_TARGET_LINEAR" | "CONNECT_TARGET_WEIGHTS";
  };
  variational?: { timeAxis?: number };
  recurrent?: { maskScope?: MaskScope };
  stochasticDepth?: {
    mode?: "DEPTH_MODE_UNSPECIFIED" | "DEPTH_MODE_ROW" | "DEPTH_MODE_BATCH";
    depthIndex?: number;
    depthCount?: number;
  };
}

export interface Schedule {
  linear?: { startP?: number; endP?: number; startStep?: Uint64; endStep?: Uint64 };
  cosine?: { startP?: number; endP?: number; startStep?: Uint64; endStep?: Uint64 };
  curriculum?: { endP?: number; gamma?: number };
  piecewise?: { boundaries?: Uint64[]; values?: number[] };
}

/** A layer as the server has it. */
export interface LayerInfo extends LayerOptions {
  p: number;
  mode: Mode;
  revision: bigint;
}

export interface SessionInfo {
  sessionId: string;
  seed: bigint;
  mode: Mode;
  layers: LayerInfo[];
  /** Milliseconds from the last call to the session's end. */
  ttl: number;
  createTime: Date;
  expireTime: Date;
}

export interface SessionOptions {
  /** Unset: one is picked. With an id, a session with the same contents is shared. */
  sessionId?: string;
  /** Unset: the server draws one. */
  seed?: Uint64;
  layers?: LayerOptions[];
  mode?: Mode;
  /** Milliseconds; unset: the server's default. */
  ttl?: number;
}

/** Which mask: the training step, the batch's first row, the sequence. */
export interface Place {
  step?: Uint64;
  sampleOffset?: Uint64;
  sequenceId?: Uint64;
}

/** A mask: bits (one an element, least significant first, 1 = kept), or multipliers. */
export interface Mask {
  shape: number[];
  scale: number;
  sampleScales: number[];
  bits?: Buffer;
  multipliers?: TypedTensor;
}

/** Whether element `index` (row-major in the mask's shape) is kept; for masks of bits. */
export function isKept(mask: Mask, index: number): boolean {
  if (mask.bits === undefined) throw new TypeError("this mask is not of bits");
  return ((mask.bits[index >> 3] ?? 0) >> (index & 7) & 1) === 1;
}

export interface ForwardResult {
  output: TypedTensor;
  mask?: Mask;
  mode: Mode;
  p: number;
}

export interface BackwardResult {
  inputGradient: TypedTensor;
  parameterGradients: Record<string, TypedTensor>;
}

export interface ServerInfo {
  version: string;
  simdTarget: string;
  simdTargets: string[];
  store: string;
  variants: string[];
  schedules: string[];
  unsupportedRpcs: string[];
  generators: Generator[];
  dataTypes: string[];
  /** By the names of the message Limits; durations in milliseconds. */
  limits: Record<string, number>;
}
