/** Errors of calls, by their reason; docs/api.md lists the reasons. */
import { status, type ServiceError } from "@grpc/grpc-js";

export type Reason =
  | "INVALID_LAYER" | "INVALID_TENSOR" | "INVALID_SESSION" | "INVALID_REQUEST" | "STEP_REQUIRED"
  | "SEQUENCE_REQUIRED" | "SHAPE_MISMATCH" | "PARAMETERS_REQUIRED"
  | "SESSION_NOT_FOUND" | "LAYER_NOT_FOUND" | "STEP_NOT_FOUND" | "REGION_NOT_FOUND"
  | "SESSION_EXISTS" | "LAYER_EXISTS"
  | "QUOTA_SESSIONS" | "QUOTA_LAYERS" | "QUOTA_STEPS" | "QUOTA_MASK_CACHE"
  | "QUOTA_PARAMETER_BYTES" | "QUOTA_BYTES_IN_FLIGHT" | "QUOTA_MESSAGE_BYTES"
  | "STORE_UNAVAILABLE" | "STORE_CORRUPT" | "STORE_FORMAT_NEWER" | "DRAINING"
  | "VARIANT_UNSUPPORTED" | "RPC_UNSUPPORTED" | "COMPRESSION_UNSUPPORTED" | "INTERNAL";

/** A call failed. */
export class DropoutError extends Error {
  override readonly name = "DropoutError";

  /**
   * @param code the status code's name, as "NOT_FOUND"
   * @param reason the server's reason, or "" where it gave none; a newer server's may be one that
   *   this version does not know
   */
  constructor(
    readonly code: keyof typeof status,
    readonly reason: Reason | "" | (string & {}),
    message: string,
  ) {
    super(message);
  }
}

export function errorOf(error: ServiceError): DropoutError {
  const [reason] = error.metadata?.get("dropout-error-reason") ?? [];
  const code = (status[error.code] ?? "UNKNOWN") as keyof typeof status;
  return new DropoutError(code, reason?.toString() ?? "", error.details || error.message);
}
