package dropout.client;

import io.grpc.Deadline;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.nio.channels.ClosedChannelException;
import java.time.Duration;
import java.util.Locale;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;

/**
 * Limits of one call.
 *
 * @param timeout time that a call may take, retries and pauses included: how long a server may be
 *     away; above 0
 * @param maxAttempts how often a call that is safe to repeat is sent at most; 1: no retries
 * @param initialBackoff pause before the second attempt; it doubles up to maxBackoff, and each is
 *     shortened by a random share of up to a half
 * @param maxBackoff the longest pause
 */
public record RetryPolicy(
    Duration timeout, int maxAttempts, Duration initialBackoff, Duration maxBackoff) {
  /** The policy of a client that was given none: calls are repeated until the timeout. */
  public static final RetryPolicy DEFAULT =
      new RetryPolicy(
          Duration.ofMinutes(1), Integer.MAX_VALUE, Duration.ofMillis(50), Duration.ofSeconds(1));

  /** Throws IllegalArgumentException where a limit is out of range. */
  public RetryPolicy {
    if (timeout.isNegative() || timeout.isZero() || maxAttempts < 1
        || initialBackoff.isNegative() || maxBackoff.isNegative()) {
      throw new IllegalArgumentException(
          "timeout must be above 0, maxAttempts 1 or more, the pauses 0 or more");
    }
  }

  enum Idempotency {
    SAFE,
    /** Sent again: NOT_FOUND then means done. */
    DELETION,
    /** Never sent again. */
    UNSAFE
  }

  /** Sends a call once. */
  interface Attempt<T> {
    /** isRepeated: an attempt failed before, because the server went away. */
    T send(Deadline deadline, boolean isRepeated);
  }

  /** Makes attempts until one succeeds or the failure is final; null for a deletion that is done. */
  <T> T run(Idempotency idempotency, Attempt<T> attempt) {
    long start = System.nanoTime();
    Deadline deadline = Deadline.after(timeout.toNanos(), TimeUnit.NANOSECONDS);
    long backoff = initialBackoff.toNanos();
    StatusRuntimeException before = null; // the failure of the attempt before
    for (int sent = 1; ; sent++) {
      try {
        return attempt.send(deadline, sent > 1);
      } catch (StatusRuntimeException thrown) {
        StatusRuntimeException failure = withLossesOfConnection(thrown);
        Status.Code code = failure.getStatus().getCode();
        if (sent > 1 && idempotency == Idempotency.DELETION && code == Status.Code.NOT_FOUND) {
          return null;
        }
        if (before != null && code == Status.Code.DEADLINE_EXCEEDED) {
          throw gaveUp(before, sent, start);
        }
        // CANCELLED too: a server that shuts down answers it to calls that it has not begun.
        boolean wentAway = code == Status.Code.UNAVAILABLE
            || code == Status.Code.CANCELLED && !Thread.currentThread().isInterrupted();
        if (!wentAway || idempotency == Idempotency.UNSAFE || sent == maxAttempts) {
          throw new DropoutException(failure);
        }
        before = failure;
        backoff = Math.min(backoff, maxBackoff.toNanos());
        long pause = (long) (backoff * (0.5 + 0.5 * ThreadLocalRandom.current().nextDouble()));
        if (deadline.timeRemaining(TimeUnit.NANOSECONDS) <= pause) {
          throw sent > 1 ? gaveUp(failure, sent, start) : new DropoutException(failure);
        }
        sleep(pause, failure);
        backoff *= 2;
      }
    }
  }

  /**
   * UNAVAILABLE in place of the UNKNOWN that gRPC for Java 1.41 makes of a connection that ends while
   * the call is on its way to it.
   */
  private static StatusRuntimeException withLossesOfConnection(StatusRuntimeException failure) {
    Status status = failure.getStatus();
    if (status.getCode() != Status.Code.UNKNOWN
        || !(status.getCause() instanceof ClosedChannelException)) {
      return failure;
    }
    return Status.UNAVAILABLE.withDescription(status.getDescription())
        .withCause(status.getCause()).asRuntimeException(failure.getTrailers());
  }

  /** The failure, which says why, with how often and how long the call was tried. */
  private static DropoutException gaveUp(StatusRuntimeException failure, int sent, long start) {
    double seconds = (System.nanoTime() - start) / 1e9;
    return new DropoutException(
        failure, String.format(Locale.ROOT, " (tried %d times in %.1f s)", sent, seconds));
  }

  private static void sleep(long nanoseconds, StatusRuntimeException failure) {
    try {
      TimeUnit.NANOSECONDS.sleep(nanoseconds);
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      throw new DropoutException(failure);
    }
  }
}
