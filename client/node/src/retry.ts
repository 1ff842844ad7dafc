/** When a call is sent again, and after which pause. */
import { shown } from "./check.js";
import { DropoutError } from "./errors.js";

export interface RetryOptions {
  /** Milliseconds that one call may take, retries and pauses included: how long a server may be
   * away. Above 0 and at most 2^31 - 1, about 25 days. Default 60,000. */
  timeout?: number;
  /** How often a call that is safe to repeat is sent at most; 1: no retries. Default Infinity:
   * until the timeout. */
  maxAttempts?: number;
  /** Milliseconds before the second attempt; doubles up to maxBackoff. Default 50. */
  initialBackoff?: number;
  /** Default 2,000. */
  maxBackoff?: number;
}

/** Node's timers, which gRPC uses, go no further. */
const LONGEST_TIMEOUT = 2 ** 31 - 1;

function checkNumber(
  value: unknown, isAllowed: (value: number) => boolean, path: string, allowed: string,
): void {
  const message = `${path}: ${shown(value)}, must be ${allowed}`;
  if (typeof value !== "number") throw new TypeError(message);
  if (!isAllowed(value)) throw new RangeError(message);
}

/** Throws TypeError or RangeError for what is not a timeout. */
export function checkTimeout(timeout: unknown): void {
  checkNumber(timeout, (ms) => ms > 0 && ms <= LONGEST_TIMEOUT, "timeout",
    `a number above 0 and at most ${LONGEST_TIMEOUT} ms`);
}

/** Throws TypeError or RangeError, which names the option. */
export function checkRetryOptions(options: Required<RetryOptions>): void {
  checkTimeout(options.timeout);
  checkNumber(options.maxAttempts,
    (count) => count >= 1 && (Number.isInteger(count) || count === Infinity), "maxAttempts",
    "a whole number of 1 or more, or Infinity");
  for (const name of ["initialBackoff", "maxBackoff"] as const) {
    checkNumber(options[name], (ms) => ms >= 0, name, "a number of 0 ms or more");
  }
}

/** "deletion": NOT_FOUND to a repeated call means that it is done. */
export type Idempotency = "safe" | "deletion" | "unsafe";

/** Runs `attempt`, which sends the call once before a deadline, until its answer is final. The first
 * attempt fails at once where there is no connection, later ones wait for it. */
export async function withRetries<T>(
  options: Required<RetryOptions>,
  idempotency: Idempotency,
  attempt: (deadline: Date, waitForReady: boolean) => Promise<T>,
  sleep: (ms: number) => Promise<void> = (ms) => new Promise((done) => setTimeout(done, ms)),
): Promise<T | undefined> {
  const start = Date.now();
  const end = start + options.timeout;
  let failure: DropoutError | undefined; // of the attempt before
  for (let sent = 1; ; ++sent) {
    try {
      return await attempt(new Date(end), sent > 1);
    } catch (error) {
      if (!(error instanceof DropoutError)) throw error;
      if (sent > 1 && idempotency === "deletion" && error.code === "NOT_FOUND") return undefined;
      if (failure !== undefined && error.code === "DEADLINE_EXCEEDED") {
        throw gaveUp(failure, sent, start);
      }
      // CANCELLED too: a server that shuts down answers it to calls that it has not begun.
      const wentAway = error.code === "UNAVAILABLE" || error.code === "CANCELLED";
      if (!wentAway || idempotency === "unsafe" || sent >= options.maxAttempts) throw error;
      failure = error;
      const longest = Math.min(
        options.initialBackoff * 2 ** Math.min(sent - 1, 100), options.maxBackoff);
      // A random share, so that many clients do not come back at once.
      const pause = longest * (0.5 + 0.5 * Math.random());
      if (Date.now() + pause >= end) throw sent > 1 ? gaveUp(error, sent, start) : error;
      await sleep(pause);
    }
  }
}

/** The failure, which says why, with how often and how long the call was tried. */
function gaveUp(failure: DropoutError, sent: number, start: number): DropoutError {
  const seconds = ((Date.now() - start) / 1000).toFixed(1);
  return new DropoutError(
    failure.code, failure.reason, `${failure.message} (tried ${sent} times in ${seconds} s)`);
}
