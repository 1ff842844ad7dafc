/** The client of dropoutd, a server that holds dropout layers. */
export { Client, Layer, Session, type BackwardOptions, type ForwardOptions } from "./client.js";
export type { ClientOptions, TlsOptions } from "./connection.js";
export { DropoutError, type Reason } from "./errors.js";
export type { RetryOptions } from "./retry.js";
export type { DataType, Tensor, TypedTensor } from "./tensor.js";
export * from "./types.js";
