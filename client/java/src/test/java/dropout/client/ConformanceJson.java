package dropout.client;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.protobuf.MessageOrBuilder;
import com.google.protobuf.util.JsonFormat;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;

/** Messages in protobuf's JSON form, and what tells an answer from the one expected. */
final class ConformanceJson {
  private ConformanceJson() {}

  static JsonObject of(MessageOrBuilder message) {
    try {
      String text =
          JsonFormat.printer().preservingProtoFieldNames().includingDefaultValueFields()
              .print(message);
      return JsonParser.parseString(text).getAsJsonObject();
    } catch (InvalidProtocolBufferException problem) {
      throw new IllegalStateException(problem);
    }
  }

  /** Reads `json` into a builder, which is returned. */
  static <B extends Message.Builder> B read(JsonObject json, B builder) {
    try {
      JsonFormat.parser().merge(json.toString(), builder);
      return builder;
    } catch (InvalidProtocolBufferException problem) {
      throw new IllegalStateException(problem);
    }
  }

  /** The request with `repeat` written out. */
  static JsonObject expanded(JsonObject request) {
    JsonObject result = request.deepCopy();
    for (String name : List.of("input", "output_gradient")) {
      if (!result.has(name) || !result.getAsJsonObject(name).has("repeat")) {
        continue;
      }
      JsonObject tensor = result.getAsJsonObject(name);
      byte[] pattern = bytes(tensor.remove("repeat"));
      int size = elementSize(tensor);
      for (JsonElement n : tensor.getAsJsonArray("shape")) {
        size *= n.getAsInt();
      }
      byte[] data = new byte[size];
      for (int i = 0; i < size; i++) {
        data[i] = pattern[i % pattern.length];
      }
      tensor.addProperty("data", Base64.getEncoder().encodeToString(data));
    }
    return result;
  }

  /** What is wrong with the fields that `expected` names, or "". */
  static String difference(JsonElement expected, JsonElement actual, String path) {
    String both = path + " is " + actual + ", not " + expected;
    if (expected.isJsonObject()) {
      if (!actual.isJsonObject()) {
        return both;
      }
      return objectDifference(expected.getAsJsonObject(), actual.getAsJsonObject(), path);
    }
    if (expected.isJsonArray()) {
      if (!actual.isJsonArray() || actual.getAsJsonArray().size() != expected.getAsJsonArray().size()) {
        return both;
      }
      return arrayDifference(expected.getAsJsonArray(), actual.getAsJsonArray(), path);
    }
    if (expected.getAsJsonPrimitive().isNumber()) {
      // Numbers of 64 bits are strings in protobuf's JSON, and so are infinities.
      boolean equal =
          actual.isJsonPrimitive() && number(actual) == expected.getAsDouble();
      return equal ? "" : both;
    }
    return expected.equals(actual) ? "" : both;
  }

  private static double number(JsonElement value) {
    try {
      return Double.parseDouble(value.getAsString());
    } catch (NumberFormatException problem) {
      return Double.NaN;
    }
  }

  private static String arrayDifference(JsonArray expected, JsonArray actual, String path) {
    for (int i = 0; i < expected.size(); i++) {
      String found = difference(expected.get(i), actual.get(i), path + "[" + i + "]");
      if (!found.isEmpty()) {
        return found;
      }
    }
    return "";
  }

  private static String objectDifference(JsonObject expected, JsonObject actual, String path) {
    if (expected.has("tolerance")) {
      return tensorDifference(expected, actual, path);
    }
    for (Map.Entry<String, JsonElement> field : expected.entrySet()) {
      String found = fieldDifference(field.getKey(), field.getValue(), actual, path);
      if (!found.isEmpty()) {
        return found;
      }
    }
    return "";
  }

  private static JsonElement field(JsonObject object, String name) {
    return object.has(name) ? object.get(name) : JsonNull.INSTANCE;
  }

  private static String fieldDifference(
      String name, JsonElement expected, JsonObject actual, String path) {
    if (!name.endsWith("_sha256")) {
      return difference(expected, field(actual, name), path + "." + name);
    }
    String plain = name.substring(0, name.length() - "_sha256".length());
    JsonElement digest = new JsonPrimitive(sha256(bytes(field(actual, plain))));
    return difference(expected, digest, path + "." + name);
  }

  private static String tensorDifference(JsonObject expected, JsonObject actual, String path) {
    for (String name : List.of("dtype", "shape")) {
      String found = difference(expected.get(name), field(actual, name), path + "." + name);
      if (!found.isEmpty()) {
        return found;
      }
    }
    double[] want = elements(expected);
    double[] got = elements(actual);
    if (want.length != got.length) {
      return path + " has " + got.length + " elements, not " + want.length;
    }
    double tolerance = expected.get("tolerance").getAsDouble();
    for (int i = 0; i < want.length; i++) {
      if (!(Math.abs(want[i] - got[i]) <= tolerance * Math.max(1, Math.abs(want[i])))) {
        return path + ": element " + i + " is " + got[i] + ", not " + want[i];
      }
    }
    return "";
  }

  private static double[] elements(JsonObject tensor) {
    ByteBuffer data = ByteBuffer.wrap(bytes(field(tensor, "data"))).order(ByteOrder.LITTLE_ENDIAN);
    int size = elementSize(tensor);
    double[] values = new double[data.remaining() / size];
    for (int i = 0; i < values.length; i++) {
      values[i] = size == Double.BYTES ? data.getDouble() : data.getFloat();
    }
    return values;
  }

  private static int elementSize(JsonObject tensor) {
    return switch (tensor.get("dtype").getAsString()) {
      case "DATA_TYPE_FLOAT64" -> 8;
      case "DATA_TYPE_FLOAT32" -> 4;
      default -> 2;
    };
  }

  private static byte[] bytes(JsonElement base64) {
    return base64.isJsonNull() ? new byte[0] : Base64.getDecoder().decode(base64.getAsString());
  }

  private static String sha256(byte[] data) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(data));
    } catch (NoSuchAlgorithmException problem) {
      throw new IllegalStateException(problem);
    }
  }
}
