/** A client opens sessions, a session holds layers, a layer masks tensors. */
import { randomBytes } from "node:crypto";

import { checkNames, requireArray, requireObject } from "./check.js";
import { Connection, type ClientOptions } from "./connection.js";
import {
  backwardResult, durationMessage, forwardResult, layerInfo, layerMessage, maskOf,
  parameterMessages, parameters, placeMessage, serverInfo, sessionInfo,
} from "./convert.js";
import { toMessage, type Tensor, type TypedTensor } from "./tensor.js";
import type {
  BackwardResult, ForwardResult, LayerInfo, LayerOptions, Mask, Mode, Place, ServerInfo,
  SessionInfo, SessionOptions, Uint64,
} from "./types.js";

/**
 * A connection to a server. Calls throw DropoutError; those that are safe to repeat are repeated
 * when the server went away.
 */
export class Client {
  readonly #connection: Connection;

  /** @param address HOST:PORT or unix:/path; the first call connects */
  constructor(address: string, options: ClientOptions = {}) {
    this.#connection = new Connection(address, options);
  }

  /** Ends the connection. Sessions stay until they expire. */
  close(): void {
    this.#connection.close();
  }

  async createSession(options: SessionOptions = {}): Promise<Session> {
    checkNames(requireObject(options, "options"), ["sessionId", "seed", "layers", "mode", "ttl"], "");
    const { sessionId = randomBytes(16).toString("hex"), seed, layers = [], mode, ttl } = options;
    const answer = await this.#connection.call("CreateSession", {
      sessionId,
      layers: requireArray(layers, "layers").map(
        (layer, i) => layerMessage(requireObject(layer, `layers[${i}]`))),
      seed,
      mode,
      ...(ttl !== undefined && { ttl: durationMessage(ttl, "ttl") }),
    });
    return new Session(this.#connection, sessionInfo(answer));
  }

  /** A session that exists. */
  async session(sessionId: string): Promise<Session> {
    const answer = await this.#connection.call("GetSession", { sessionId });
    return new Session(this.#connection, sessionInfo(answer));
  }

  /** All sessions that can be read, sorted by their ids, page after page. */
  async *sessions(pageSize = 0): AsyncGenerator<SessionInfo> {
    for await (const page of this.#pages(pageSize)) yield* page["sessions"].map(sessionInfo);
  }

  /** The ids of sessions that are there and cannot be read; session() says why. */
  async *corruptSessionIds(pageSize = 0): AsyncGenerator<string> {
    for await (const page of this.#pages(pageSize)) yield* page["corruptSessionIds"] as string[];
  }

  async *#pages(pageSize: number) {
    let pageToken = "";
    do {
      const page = await this.#connection.call("ListSessions", { pageSize, pageToken });
      yield page;
      pageToken = page["nextPageToken"];
    } while (pageToken);
  }

  async deleteSession(sessionId: string): Promise<void> {
    await this.#connection.call("DeleteSession", { sessionId }, "deletion");
  }

  async serverInfo(): Promise<ServerInfo> {
    return serverInfo(await this.#connection.call("GetServerInfo", {}));
  }
}

/** A session on the server. */
export class Session {
  readonly sessionId: string;
  readonly seed: bigint;
  readonly #connection: Connection;

  /** Made by Client. */
  constructor(connection: Connection, info: SessionInfo) {
    this.#connection = connection;
    this.sessionId = info.sessionId;
    this.seed = info.seed;
  }

  /** The session as it is now. */
  async info(): Promise<SessionInfo> {
    return sessionInfo(await this.#connection.call("GetSession", { sessionId: this.sessionId }));
  }

  async delete(): Promise<void> {
    await this.#connection.call("DeleteSession", { sessionId: this.sessionId }, "deletion");
  }

  /** A new layer, or the one that exists with the same contents. */
  async createLayer(layer: LayerOptions): Promise<Layer> {
    await this.#connection.call(
      "CreateLayer",
      { sessionId: this.sessionId, layer: layerMessage(requireObject(layer, "layer")) });
    return this.layer(layer.layerId);
  }

  /** A layer that exists; nothing is asked of the server. */
  layer(layerId: string): Layer {
    return new Layer(this.#connection, this, layerId);
  }

  /** Replaces the whole layer with this id. */
  async updateLayer(layer: LayerOptions): Promise<LayerInfo> {
    return layerInfo(await this.#connection.call(
      "UpdateLayer",
      { sessionId: this.sessionId, layer: layerMessage(requireObject(layer, "layer")) }));
  }

  async deleteLayer(layerId: string): Promise<void> {
    await this.#connection.call(
      "DeleteLayer", { sessionId: this.sessionId, layerId }, "deletion");
  }

  /** No ids: all layers, and later ones too. Returns the ids of the layers that were set. */
  async setMode(mode: Mode, layerIds: string[] = []): Promise<string[]> {
    const answer = await this.#connection.call(
      "SetMode", { sessionId: this.sessionId, mode, layerIds });
    return answer["layerIds"];
  }

  /** Forgets steps up to and including this one, of all layers if none is named; returns how many
   * records there were. */
  async releaseSteps(throughStep: Uint64, layerId = ""): Promise<number> {
    const answer = await this.#connection.call(
      "ReleaseSteps", { sessionId: this.sessionId, layerId, throughStep });
    return Number(answer["releasedCount"]);
  }
}

export interface ForwardOptions extends Place {
  returnMask?: boolean;
  /** Milliseconds that this call may take. */
  timeout?: number;
}

export interface BackwardOptions extends Place {
  /** Forget the step afterwards; such a call is not repeated. */
  release?: boolean;
  weightSquaredNorm?: number;
  timeout?: number;
}

/** A layer of a session. */
export class Layer {
  readonly #connection: Connection;

  /** Made by Session. */
  constructor(connection: Connection, readonly session: Session, readonly layerId: string) {
    this.#connection = connection;
  }

  get #names(): { sessionId: string; layerId: string } {
    return { sessionId: this.session.sessionId, layerId: this.layerId };
  }

  /** Masks the input in train, where a step is required; passes it through in eval. */
  async forward(input: Tensor, options: ForwardOptions = {}): Promise<ForwardResult> {
    const place = placeMessage(options, "options");
    const { returnMask = false, timeout } = options;
    return forwardResult(await this.#connection.call("Forward", {
      ...this.#names, ...place, input: toMessage(input, "input"), returnMask,
    }, "safe", timeout));
  }

  /** Applies the step's mask to the gradient with respect to the output. */
  async backward(outputGradient: Tensor, options: BackwardOptions = {}): Promise<BackwardResult> {
    const place = placeMessage(options, "options");
    const { release = false, weightSquaredNorm, timeout } = options;
    return backwardResult(await this.#connection.call("Backward", {
      ...this.#names, ...place, outputGradient: toMessage(outputGradient, "outputGradient"), release,
      weightSquaredNorm,
    }, release ? "unsafe" : "safe", timeout));
  }

  /** The mask that forward and backward apply. Without a shape: that of the step's forward. */
  async mask(place: Place, shape: readonly number[] = []): Promise<Mask> {
    return maskOf(await this.#connection.call(
      "GetMask", { ...this.#names, ...placeMessage(place, "place"), shape }));
  }

  async train(): Promise<void> {
    await this.session.setMode("MODE_TRAIN", [this.layerId]);
  }

  async eval(): Promise<void> {
    await this.session.setMode("MODE_EVAL", [this.layerId]);
  }

  /** Sets what the server holds for the layer, as drop_connect's weight and bias. */
  async setParameters(values: Record<string, Tensor>): Promise<void> {
    await this.#connection.call(
      "SetParameters", { ...this.#names, parameters: parameterMessages(values) });
  }

  async parameters(): Promise<Record<string, TypedTensor>> {
    const answer = await this.#connection.call("GetParameters", this.#names);
    return parameters(answer["parameters"]);
  }
}
