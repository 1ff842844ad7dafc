package dropout.client;

import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;

/** A call failed. */
public final class DropoutException extends RuntimeException {
  private static final long serialVersionUID = 1;
  private static final Metadata.Key<String> REASON =
      Metadata.Key.of("dropout-error-reason", Metadata.ASCII_STRING_MARSHALLER);

  private final Status.Code code;
  private final String reason;

  DropoutException(StatusRuntimeException cause) {
    super(cause.getStatus().getDescription(), cause);
    code = cause.getStatus().getCode();
    String given = cause.getTrailers() == null ? null : cause.getTrailers().get(REASON);
    reason = given == null ? "" : given;
  }

  /** The status code. */
  public Status.Code code() {
    return code;
  }

  /** As "SESSION_NOT_FOUND" (docs/api.md lists them); "" where the server gave none. */
  public String reason() {
    return reason;
  }

  @Override
  public String toString() {
    return (reason.isEmpty() ? code.name() : reason) + ": " + getMessage();
  }
}
