/** When a call is sent again, and after which pause. */
import { DropoutError } from "./errors.js";

export interface RetryOptions {
  /** Milliseconds that one call may take, retries and pauses included. Default 60,000. */
  timeout?: number;
  /** How often a call that is safe to repeat is sent at most; 1: no retries. Default 8. */
  maxAttempts?: number;
  /** Milliseconds before the second attempt; doubles up to maxBackoff. Default 50. */
  initialBackoff?: number;
  /** Default 2,000. */
  maxBackoff?: number;
}

/** "deletion": NOT_FOUND to a repeated call means that it is done. */
export type Idempotency = "safe" | "deletion" | "unsafe";

/** Runs `attempt`, which sends the call once before a deadline, until its answer is final. */
export async function withRetries<T>(
  options: Required<RetryOptions>,
  idempotency: Idempotency,
  attempt: (deadline: Date) => Promise<T>,
  sleep: (ms: number) => Promise<void> = (ms) => new Promise((done) => setTimeout(done, ms)),
): Promise<T | undefined> {
  const end = Date.now() + options.timeout;
  for (let sent = 1; ; ++sent) {
    try {
      return await attempt(new Date(end));
    } catch (error) {
      if (!(error instanceof DropoutError)) throw error;
      if (sent > 1 && idempotency === "deletion" && error.code === "NOT_FOUND") return undefined;
      // CANCELLED too: a server that shuts down answers it to calls that it has not begun.
      const wentAway = error.code === "UNAVAILABLE" || error.code === "CANCELLED";
      const repeatable = wentAway && idempotency !== "unsafe";
      const longest = Math.min(options.initialBackoff * 2 ** (sent - 1), options.maxBackoff);
      // A random share, so that many clients do not come back at once.
      const pause = longest * (0.5 + 0.5 * Math.random());
      if (!repeatable || sent >= options.maxAttempts || Date.now() + pause >= end) throw error;
      await sleep(pause);
    }
  }
}
