// Makes the conformance suite's calls through the client's own API. Requests and answers are
// in protobuf's JSON form with the proto's field names.
import { DropoutError } from "dropout-client";

const camel = (name) => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());
const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

// A value with every field's name changed.
function renamed(value, rename) {
  if (Array.isArray(value)) return value.map((one) => renamed(one, rename));
  if (value === null || typeof value !== "object" || Buffer.isBuffer(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, field]) => [rename(name), renamed(field, rename)]));
}

function tensor({ dtype = "DATA_TYPE_UNSPECIFIED", shape = [], data = "" }) {
  return { dtype, shape, data: new Uint8Array(Buffer.from(data, "base64")) };
}

function base64(array) {
  return Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString("base64");
}

function tensorJson({ dtype, shape, data }) {
  return { dtype, shape, data: base64(data) };
}

function maskJson({ shape, scale, sampleScales, bits, multipliers }) {
  const values = multipliers ? { multipliers: tensorJson(multipliers) } : { bits: base64(bits) };
  return { shape, scale, sample_scales: sampleScales, ...values };
}

function layer(json) {
  const { p, ...fields } = renamed(json, camel);
  return { ...fields, ...(p !== undefined && { p: Number(p) }) };
}

function layerJson(info) {
  return { ...renamed(info, snake), revision: info.revision.toString() };
}

function sessionJson(info) {
  return { seed: info.seed.toString(), mode: info.mode, layers: info.layers.map(layerJson) };
}

function parametersJson(values) {
  return Object.entries(values).map(([name, value]) => ({ name, value: tensorJson(value) }));
}

function place({ step, sample_offset, sequence_id }) {
  return {
    ...(step !== undefined && { step: BigInt(step) }),
    ...(sample_offset !== undefined && { sampleOffset: BigInt(sample_offset) }),
    ...(sequence_id !== undefined && { sequenceId: BigInt(sequence_id) }),
  };
}

export class CallError extends Error {
  constructor({ code, reason }) {
    super(`${code} ${reason}`);
    this.outcome = { code, reason };
  }
}

export class Driver {
  constructor(client) {
    this.client = client;
  }

  // Throws CallError where the server refuses.
  async call(rpc, request) {
    try {
      return await this[rpc](request);
    } catch (error) {
      throw error instanceof DropoutError ? new CallError(error) : error;
    }
  }

  layer({ layer_id }) {
    return this.session.layer(layer_id);
  }

  async CreateSession({ session_id, seed, layers = [], mode, ttl }) {
    this.session = await this.client.createSession({
      sessionId: session_id,
      layers: layers.map(layer),
      ...(seed !== undefined && { seed: BigInt(seed) }),
      ...(mode !== undefined && { mode }),
      ...(ttl !== undefined && { ttl: Number.parseFloat(ttl) * 1000 }),
    });
    return sessionJson(await this.session.info());
  }

  async GetSession() {
    return sessionJson(await this.session.info());
  }

  async DeleteSession({ session_id }) {
    await this.client.deleteSession(session_id);
    return {};
  }

  async CreateLayer(request) {
    await this.session.createLayer(layer(request.layer));
    const { layers } = await this.session.info();
    return layerJson(layers.find((one) => one.layerId === request.layer.layer_id));
  }

  async UpdateLayer(request) {
    return layerJson(await this.session.updateLayer(layer(request.layer)));
  }

  async DeleteLayer({ layer_id }) {
    await this.session.deleteLayer(layer_id);
    return {};
  }

  async SetMode({ mode, layer_ids }) {
    return { layer_ids: await this.session.setMode(mode, layer_ids), mode };
  }

  async Forward(request) {
    const answer = await this.layer(request).forward(
      tensor(request.input), { ...place(request), returnMask: request.return_mask });
    const { output, mask, mode, p } = answer;
    return { output: tensorJson(output), mode, p, ...(mask && { mask: maskJson(mask) }) };
  }

  async Backward(request) {
    const { release, weight_squared_norm } = request;
    const answer = await this.layer(request).backward(tensor(request.output_gradient), {
      ...place(request), release,
      ...(weight_squared_norm !== undefined && { weightSquaredNorm: weight_squared_norm }),
    });
    return {
      input_gradient: tensorJson(answer.inputGradient),
      parameter_gradients: parametersJson(answer.parameterGradients),
    };
  }

  async GetMask(request) {
    return maskJson(await this.layer(request).mask(place(request), request.shape));
  }

  async ReleaseSteps({ layer_id, through_step }) {
    return { released_count: String(await this.session.releaseSteps(through_step, layer_id)) };
  }

  async SetParameters(request) {
    const values = request.parameters.map(({ name, value }) => [name, tensor(value)]);
    await this.layer(request).setParameters(Object.fromEntries(values));
    return {};
  }

  async GetParameters(request) {
    return { parameters: parametersJson(await this.layer(request).parameters()) };
  }
}
