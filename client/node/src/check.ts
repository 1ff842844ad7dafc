/**
 * Requests against the contract: what protobuf.js would round, wrap, or leave out in silence is an
 * error that names the field.
 */
import type { Message } from "./connection.js";

/** Of a field, as proto-loader has it. */
interface Field {
  name: string;
  label: string;
  type: string;
  typeName: string;
}

/** What proto-loader makes of the contract: descriptors of messages and enumerations by name. */
export type Definition = Record<string, any>;

/** The least and the greatest number of each integer type. */
const RANGES: Record<string, [bigint, bigint]> = {
  TYPE_INT32: [-(2n ** 31n), 2n ** 31n - 1n],
  TYPE_UINT32: [0n, 2n ** 32n - 1n],
  TYPE_INT64: [-(2n ** 63n), 2n ** 63n - 1n],
  TYPE_UINT64: [0n, 2n ** 64n - 1n],
};

/** Also as protobuf's JSON has 64-bit integers. */
const DECIMAL = /^(0|-?[1-9][0-9]*)$/;

function shown(value: unknown): string {
  if (typeof value === "bigint") return `${value}n`;
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}

function integer(value: unknown, type: string, path: string): number | string {
  const [least, most] = RANGES[type]!;
  const range = `an integer in [${least}, ${most}]`;
  const isText = typeof value === "string" && DECIMAL.test(value);
  if (typeof value !== "number" && typeof value !== "bigint" && !isText) {
    throw new TypeError(`${path}: ${shown(value)}, must be ${range}, a number or a bigint`);
  }
  if (typeof value === "number" && !Number.isSafeInteger(value)) {
    const hint = Number.isInteger(value) ? "; past 2^53 - 1 give a bigint, which is exact" : "";
    throw new RangeError(`${path}: ${shown(value)}, must be ${range}${hint}`);
  }
  const exact = BigInt(value as number | bigint | string);
  if (exact < least || exact > most) {
    throw new RangeError(`${path}: ${shown(value)}, must be ${range}`);
  }
  return type.endsWith("32") ? Number(exact) : exact.toString();
}

function enumerator(value: unknown, words: string[], path: string): string | number {
  // A number is what a server with newer words than these sent.
  if (typeof value === "number") return integer(value, "TYPE_INT32", path) as number;
  if (typeof value === "string" && words.includes(value)) return value;
  throw new TypeError(`${path}: ${shown(value)}, must be one of ${words.join(", ")}`);
}

function typed(value: unknown, type: "number" | "boolean" | "string", path: string): unknown {
  if (typeof value === type) return value;
  throw new TypeError(`${path}: ${shown(value)}, must be a ${type}`);
}

/** Throws TypeError for a name that is none of `names`. */
export function checkNames(value: object, names: readonly string[], path: string): void {
  for (const name of Object.keys(value)) {
    if (names.includes(name)) continue;
    throw new TypeError(`${path ? `${path}.` : ""}${name}: not a field; there are ${
      names.join(", ")}`);
  }
}

/** The contract's messages by their names. */
export class Contract {
  readonly #definition: Definition;

  constructor(definition: Definition) {
    this.#definition = definition;
  }

  /**
   * The message `value` of type `name` as it can be sent: 64-bit integers are decimal texts.
   * Throws TypeError or RangeError, which name the field.
   */
  message(value: unknown, name: string, path = ""): Message {
    if (value === null || typeof value !== "object" || Array.isArray(value)) {
      throw new TypeError(`${path}: ${shown(value)}, must be an object`);
    }
    const fields = this.#descriptor(name).field as Field[];
    checkNames(value, fields.map((field) => field.name), path);
    const message: Message = {};
    for (const field of fields) {
      const given = (value as Message)[field.name];
      if (given === undefined) continue;
      message[field.name] = this.#field(given, field, path ? `${path}.${field.name}` : field.name);
    }
    return message;
  }

  #field(value: unknown, field: Field, path: string): unknown {
    if (field.label !== "LABEL_REPEATED") return this.#value(value, field, path);
    if (!Array.isArray(value)) throw new TypeError(`${path}: ${shown(value)}, must be an array`);
    return Array.from(value, (one, i) => this.#value(one, field, `${path}[${i}]`));
  }

  #value(value: unknown, { type, typeName }: Field, path: string): unknown {
    if (type in RANGES) return integer(value, type, path);
    switch (type) {
      case "TYPE_MESSAGE":
        return this.message(value, typeName, path);
      case "TYPE_ENUM":
        return enumerator(
          value, this.#descriptor(typeName).value.map((one: Field) => one.name), path);
      case "TYPE_BOOL":
        return typed(value, "boolean", path);
      case "TYPE_STRING":
        return typed(value, "string", path);
      case "TYPE_BYTES":
        if (value instanceof Uint8Array) return value;
        throw new TypeError(`${path}: ${shown(value)}, must be bytes`);
      default: // Of the contract's types only numbers are left.
        return typed(value, "number", path);
    }
  }

  #descriptor(name: string): any {
    const found = this.#definition[`dropout.v1.${name}`] ??
      this.#definition[`google.protobuf.${name}`] ?? this.#definition[name.replace(/^\./, "")];
    return found.type;
  }
}
