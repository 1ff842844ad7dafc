package dropout.client;

import io.grpc.Deadline;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;

/**
 * Limits of one call.
 *
 * @param timeout time that a call may take, retries and pauses included; above 0
 * @param maxAttempts how often a call that is safe to repeat is sent at most; 1: no retries
 * @param initialBackoff pause before the second attempt; it doubles up to maxBackoff, and each is
 *     shortened by a random share of up to a half
 * @param maxBackoff the longest pause
 */
public record RetryPolicy(
    Duration timeout, int maxAttempts, Duration initialBackoff, Duration maxBackoff) {
  /** The policy of a client that was given none. */
  public static final RetryPolicy DEFAULT =
      new RetryPolicy(Duration.ofMinutes(1), 8, Duration.ofMillis(50), Duration.ofSeconds(2));

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

  /** Makes attempts until one succeeds or the failure is final; null for a deletion that is done. */
  <T> T run(Idempotency idempotency, Function<Deadline, T> attempt) {
    Deadline deadline = Deadline.after(timeout.toNanos(), TimeUnit.NANOSECONDS);
    long backoff = initialBackoff.toNanos();
    for (int sent = 1; ; sent++) {
      try {
        return attempt.apply(deadline);
      } catch (StatusRuntimeException failure) {
        Status.Code code = failure.getStatus().getCode();
        if (sent > 1 && idempotency == Idempotency.DELETION && code == Status.Code.NOT_FOUND) {
          return null;
        }
        backoff = Math.min(backoff, maxBackoff.toNanos());
        long pause = (long) (backoff * (0.5 + 0.5 * ThreadLocalRandom.current().nextDouble()));
        // CANCELLED too: a server that shuts down answers it to calls that it has not begun.
        boolean wentAway = code == Status.Code.UNAVAILABLE
            || code == Status.Code.CANCELLED && !Thread.currentThread().isInterrupted();
        if (!wentAway || idempotency == Idempotency.UNSAFE
            || sent >= maxAttempts || deadline.timeRemaining(TimeUnit.NANOSECONDS) <= pause) {
          throw new DropoutException(failure);
        }
        sleep(pause, failure);
        backoff *= 2;
      }
    }
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
