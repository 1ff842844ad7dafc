/** Tensors: typed arrays with a shape, row-major. */
import { endianness } from "node:os";

import { kindOf, requireArray, requireObject, shown } from "./check.js";

export type DataType =
  | "DATA_TYPE_UNSPECIFIED" | "DATA_TYPE_FLOAT32" | "DATA_TYPE_FLOAT64" | "DATA_TYPE_FLOAT16"
  | "DATA_TYPE_BFLOAT16";

/**
 * A tensor. float16 and bfloat16 are their bits in a Uint16Array and must name their type; bytes
 * in a Uint8Array or Buffer go out as they are, of the type that they name. An array whose elements
 * are not of the dtype is a TypeError.
 */
export interface Tensor {
  dtype?: DataType;
  shape: readonly number[];
  data: Float32Array | Float64Array | Uint16Array | Uint8Array;
}

/** A tensor as it comes from the server. */
export interface TypedTensor extends Tensor {
  dtype: DataType;
  data: Float32Array | Float64Array | Uint16Array;
}

export interface TensorMessage {
  dtype: DataType;
  shape: (number | string)[];
  data?: Buffer;
}

const ARRAYS = {
  DATA_TYPE_FLOAT32: Float32Array,
  DATA_TYPE_FLOAT64: Float64Array,
  DATA_TYPE_FLOAT16: Uint16Array,
  DATA_TYPE_BFLOAT16: Uint16Array,
} as const;

if (endianness() !== "LE") throw new Error("dropout-client needs a little-endian machine");

/** The types that an array's elements can be of, by the array's kind. */
const TYPES: Record<string, readonly DataType[]> = {
  Float32Array: ["DATA_TYPE_FLOAT32"],
  Float64Array: ["DATA_TYPE_FLOAT64"],
  Uint16Array: ["DATA_TYPE_FLOAT16", "DATA_TYPE_BFLOAT16"],
};

const ALLOWED = [
  ...Object.entries(TYPES).map(([kind, types]) => `${kind} with ${types.join(" or ")}`),
  "bytes (Uint8Array, Buffer) with any dtype",
].join(", ");

function typeOf({ dtype, data }: Tensor, path: string): DataType {
  const kind = kindOf(data);
  if (kind === "Uint8Array" && dtype !== undefined) return dtype;
  const types = TYPES[kind] ?? [];
  const type = dtype === undefined && types.length === 1 ? types[0] : dtype;
  if (type !== undefined && types.includes(type)) return type;
  const given = dtype === undefined ? "no dtype" : `dtype ${shown(dtype)}`;
  throw new TypeError(`${path}.data: ${shown(data)} with ${given}, must be one of: ${ALLOWED}`);
}

/** Throws TypeError, which names the field of the tensor at `path`. */
export function toMessage(tensor: Tensor, path: string): TensorMessage {
  const dtype = typeOf(requireObject(tensor, path), path);
  const { buffer, byteOffset, byteLength } = tensor.data;
  return {
    dtype,
    shape: [...requireArray(tensor.shape, `${path}.shape`)],
    data: Buffer.from(buffer, byteOffset, byteLength),
  };
}

/** Elements as a typed array: the message's own memory where that is aligned, else a copy. */
export function fromMessage(message: TensorMessage): TypedTensor {
  const { dtype } = message;
  const shape = message.shape.map(Number);
  if (dtype === "DATA_TYPE_UNSPECIFIED" || !(dtype in ARRAYS)) {
    throw new TypeError(`the server sent a tensor of an unknown type, ${dtype}`);
  }
  const Elements = ARRAYS[dtype];
  const bytes = message.data ?? Buffer.alloc(0);
  const count = shape.reduce((product, size) => product * size, 1);
  if (bytes.length !== count * Elements.BYTES_PER_ELEMENT) {
    throw new RangeError(`the server sent ${bytes.length} bytes of shape [${shape.join(", ")}]`);
  }
  const aligned = bytes.byteOffset % Elements.BYTES_PER_ELEMENT === 0;
  const memory = aligned ? bytes : new Uint8Array(bytes);
  return { dtype, shape, data: new Elements(memory.buffer as ArrayBuffer, memory.byteOffset, count) };
}
