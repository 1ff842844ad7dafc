/** A channel to a server, and calls by their names. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

import { checkNames, Contract, requireObject, shown, typed } from "./check.js";
import { errorOf } from "./errors.js";
import {
  checkRetryOptions, checkTimeout, withRetries, type Idempotency, type RetryOptions,
} from "./retry.js";

export interface TlsOptions {
  /** PEM files' names: whom to trust (unset: what gRPC trusts), the client's own certificate and
   * its key where the server asks for one. */
  ca?: string;
  certificate?: string;
  key?: string;
}

export interface ClientOptions extends RetryOptions {
  tls?: TlsOptions;
  /** Sent as "authorization: Bearer". */
  token?: string;
}

/** A message as proto-loader reads and writes it. */
export type Message = Record<string, any>;

const SESSION_ID = /^[A-Za-z0-9._-]{1,128}$/;

const definition = loadSync("dropout/v1/dropout_service.proto", {
  longs: String,
  enums: String,
  defaults: true,
  includeDirs: [fileURLToPath(new URL("../proto", import.meta.url))],
});
const service = definition["dropout.v1.DropoutService"] as grpc.ServiceDefinition;
const contract = new Contract(definition);

const OPTIONS = ["timeout", "maxAttempts", "initialBackoff", "maxBackoff", "tls", "token"];

function credentials(tls: TlsOptions | undefined): grpc.ChannelCredentials {
  if (tls === undefined) return grpc.credentials.createInsecure();
  checkNames(requireObject(tls, "tls"), ["ca", "certificate", "key"], "tls");
  const [ca, key, certificate] = [tls.ca, tls.key, tls.certificate].map((file) =>
    file === undefined ? null : readFileSync(file));
  return grpc.credentials.createSsl(ca, key, certificate);
}

export class Connection {
  readonly #client: grpc.Client;
  readonly #retry: Required<RetryOptions>;
  readonly #token: string | undefined;

  constructor(address: string, options: ClientOptions) {
    if (typeof address !== "string" || !address) {
      throw new TypeError(`address: ${shown(address)}, must be HOST:PORT or unix:/path`);
    }
    checkNames(requireObject(options, "options"), OPTIONS, "");
    const { timeout = 60_000, maxAttempts = Infinity, initialBackoff = 50, maxBackoff = 2_000 } = options;
    this.#retry = { timeout, maxAttempts, initialBackoff, maxBackoff };
    checkRetryOptions(this.#retry);
    this.#token = options.token;
    if (this.#token !== undefined) typed(this.#token, "string", "token");
    this.#client = new grpc.Client(address, credentials(options.tls), {
      // gRPC's own default, 4 MiB, is smaller than what a server with default flags sends.
      "grpc.max_receive_message_length": -1,
      "grpc.max_send_message_length": -1,
      // A server that is back is found within about a second.
      "grpc.initial_reconnect_backoff_ms": 100,
      "grpc.max_reconnect_backoff_ms": 1000,
    });
  }

  close(): void {
    this.#client.close();
  }

  /**
   * Sends a call, again where that is safe. Throws DropoutError, or TypeError or RangeError for
   * a field of the request that has a value it cannot have.
   */
  async call(
    rpc: string,
    request: Message,
    idempotency: Idempotency = "safe",
    timeout = this.#retry.timeout,
  ): Promise<Message> {
    checkTimeout(timeout);
    const message = contract.message(request, `${rpc}Request`);
    const answer = await withRetries(
      { ...this.#retry, timeout }, idempotency,
      (deadline, waitForReady) => this.#send(rpc, message, deadline, waitForReady));
    return answer ?? {};
  }

  #send(
    rpc: string, request: Message, deadline: Date, waitForReady: boolean,
  ): Promise<Message> {
    const method = service[rpc] as grpc.MethodDefinition<Message, Message>;
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        method.path, method.requestSerialize, method.responseDeserialize, request,
        this.#metadata(request, waitForReady), { deadline },
        (error, answer) => (error ? reject(errorOf(error)) : resolve(answer as Message)));
    });
  }

  #metadata(request: Message, waitForReady: boolean): grpc.Metadata {
    const metadata = new grpc.Metadata({ waitForReady });
    // Only what the server would take: a header cannot have other bytes.
    if (SESSION_ID.test(request["sessionId"] ?? "")) {
      metadata.set("x-session-id", request["sessionId"]);
    }
    if (this.#token !== undefined) metadata.set("authorization", `Bearer ${this.#token}`);
    return metadata;
  }
}
