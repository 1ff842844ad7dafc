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
    this(cause, "");
  }

  /** addition: what the message says after the cause's own. */
  DropoutException(StatusRuntimeException cause, String addition) {
    super(messageOf(cause) + addition, cause);
    code = cause.getStatus().getCode();
    String given = cause.getTrailers() == null ? null : cause.getTrailers().get(REASON);
    reason = given == null ? "" : given;
  }

  private static String messageOf(StatusRuntimeException failure) {
    String description = failure.getStatus().getDescription();
    Throwable origin = failure.getStatus().getCause();
    // "io exception" alone does not say that a connection was refused.
    String message = description == null ? failure.getStatus().getCode().name() : description;
    return origin == null || origin.getMessage() == null
        ? message : message + ": " + origin.getMessage();
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
