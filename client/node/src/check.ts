/**
 * Requests against the contract: what protobuf.js would round, wrap, or leave out in silence is an
 * error that names the field.
 */
import descriptors from "protobufjs/ext/descriptor/index.js";

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

const LONGEST_TEXT = 100;

/** What an object is, as "Array" or "Int32Array"; of a Buffer it is "Uint8Array". */
export function kindOf(value: unknown): string {
  return Object.prototype.toString.call(value).slice("[object ".length, -1);
}

/** A value as an error's text shows it: an object by its type alone. */
export function shown(value: unknown): string {
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "string") {
    return JSON.stringify(value.length > LONGEST_TEXT ? `${value.slice(0, LONGEST_TEXT)}...` : value);
  }
  const isSimple = value === null || (typeof value !== "object" && typeof value !== "function");
  return isSimple ? String(value) : kindOf(value);
}

function integer(value: unknown, type: string, path: string): number | string {
  const [least, most] = RANGES[type]!;
  const range = `an integer in [${least}, ${most}]`;
  const isText = typeof value === "string" && DECIMAL.test(value);
  if (typeof value !== "number" && typeof value !== "bigint" && !isText) {
    throw new TypeError(
      `${path}: ${shown(value)}, must be ${range}: a number, a bigint or a decimal text`);
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

/** The value, which must be of the type, else TypeError. */
export function typed(
  value: unknown, type: "number" | "boolean" | "string", path: string,
): unknown {
  if (typeof value === type) return value;
  throw new TypeError(`${path}: ${shown(value)}, must be a ${type}`);
}

/** The value, which must be an object and no array, else TypeError. */
export function requireObject<T>(value: T, path: string): T & object {
  if (value !== null && typeof value === "object" && !Array.isArray(value)) return value;
  throw new TypeError(`${path}: ${shown(value)}, must be an object`);
}

/** The value, which must be an array, else TypeError. */
export function requireArray<T>(value: readonly T[], path: string): readonly T[] {
  if (Array.isArray(value)) return value;
  throw new TypeError(`${path}: ${shown(value)}, must be an array`);
}

/** Throws TypeError for a name that is none of `names`. */
export function checkNames(value: object, names: readonly string[], path: string): void {
  for (const name of Object.keys(value)) {
    if (names.includes(name)) continue;
    throw new TypeError(`${path ? `${path}.` : ""}${name}: not a field; there are ${
      names.join(", ")}`);
  }
}

/** Of several members of a oneof that are given, all but one would be left out. */
function checkOneof(value: Message, members: string[], path: string): void {
  const given = members.filter((name) => value[name] !== undefined);
  if (given.length < 2) return;
  throw new TypeError(
    `${path}: ${given.join(" and ")} are given, must be only one of ${members.join(", ")}`);
}

/**
 * The members of each oneof, by the message's full name. From the encoded descriptors: in
 * proto-loader's decoded ones a field of no oneof has the index 0 too.
 */
function oneofsOf(definition: Definition): Map<string, string[][]> {
  const files: Uint8Array[] =
    Object.values(definition).find((one) => one.fileDescriptorProtos).fileDescriptorProtos;
  return new Map(files.flatMap((bytes) => {
    const file: Message = descriptors.FileDescriptorProto.decode(bytes);
    return file["messageType"].map((message: Message) =>
      [`${file["package"]}.${message["name"]}`, oneofMembers(message)]);
  }));
}

function oneofMembers({ oneofDecl, field }: Message): string[][] {
  return oneofDecl.map((_: unknown, index: number) => field
    .filter((one: Message) => Object.hasOwn(one, "oneofIndex") && one["oneofIndex"] === index)
    .map((one: Message) => one["name"]));
}

/** The contract's messages by their names. */
export class Contract {
  readonly #definition: Definition;
  readonly #oneofs: Map<string, string[][]>;

  constructor(definition: Definition) {
    this.#definition = definition;
    this.#oneofs = oneofsOf(definition);
  }

  /**
   * The message `value` of type `name` as it can be sent: 64-bit integers are decimal texts.
   * Throws TypeError or RangeError, which name the field.
   */
  message(value: unknown, name: string, path = ""): Message {
    const given: Message = requireObject(value, path);
    const fields = this.#descriptor(name).field as Field[];
    checkNames(given, fields.map((field) => field.name), path);
    for (const members of this.#oneofs.get(this.#fullName(name)) ?? []) {
      checkOneof(given, members, path);
    }
    const message: Message = {};
    for (const field of fields) {
      const one = given[field.name];
      if (one === undefined) continue;
      message[field.name] = this.#field(one, field, path ? `${path}.${field.name}` : field.name);
    }
    return message;
  }

  #field(value: unknown, field: Field, path: string): unknown {
    if (field.label !== "LABEL_REPEATED") return this.#value(value, field, path);
    return Array.from(
      requireArray(value as unknown[], path),
      (one, i) => this.#value(one, field, `${path}[${i}]`));
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

  #fullName(name: string): string {
    const names = [`dropout.v1.${name}`, `google.protobuf.${name}`, name.replace(/^\./, "")];
    return names.find((one) => one in this.#definition)!;
  }

  #descriptor(name: string): any {
    return this.#definition[this.#fullName(name)].type;
  }
}
