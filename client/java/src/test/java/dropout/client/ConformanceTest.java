package dropout.client;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNotEquals;
import static org.junit.Assert.assertTrue;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dropout.v1.ServerInfo;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.UUID;
import org.junit.Test;

/** The conformance suite (tests/conformance) against the server at DROPOUT_TEST_ADDRESS. */
public final class ConformanceTest {
  private static List<JsonObject> loadCases() throws IOException {
    List<JsonObject> cases = new ArrayList<>();
    Path folder = Path.of(System.getenv("DROPOUT_CONFORMANCE_DIR"));
    try (DirectoryStream<Path> files = Files.newDirectoryStream(folder, "*.json")) {
      for (Path file : files) {
        JsonObject content = JsonParser.parseString(Files.readString(file)).getAsJsonObject();
        content.getAsJsonArray("cases").forEach(one -> cases.add(one.getAsJsonObject()));
      }
    }
    return cases;
  }

  private static List<String> needs(JsonObject one, String what) {
    List<String> names = new ArrayList<>();
    if (one.has("needs") && one.getAsJsonObject("needs").has(what)) {
      for (JsonElement name : one.getAsJsonObject("needs").getAsJsonArray(what)) {
        names.add(name.getAsString());
      }
    }
    return names;
  }

  private static boolean isMissing(JsonObject one, ServerInfo info) {
    Collection<String> without = info.getUnsupportedRpcsList();
    return !info.getVariantsList().containsAll(needs(one, "variants"))
        || !info.getSchedulesList().containsAll(needs(one, "schedules"))
        || needs(one, "rpcs").stream().anyMatch(without::contains);
  }

  /** What goes wrong in a case, or "". */
  private static String run(JsonObject one, DropoutClient client) {
    ConformanceDriver driver = new ConformanceDriver(client);
    String sessionId = "conformance-" + UUID.randomUUID();
    try {
      JsonObject create = one.getAsJsonObject("session").deepCopy();
      create.addProperty("session_id", sessionId);
      driver.call("CreateSession", create);
      JsonArray calls = one.getAsJsonArray("calls");
      for (int number = 0; number < calls.size(); number++) {
        JsonObject call = calls.get(number).getAsJsonObject();
        String found = runCall(call, driver, sessionId);
        if (!found.isEmpty()) {
          return "call " + number + ", " + call.get("rpc").getAsString() + ": " + found;
        }
      }
      return "";
    } finally {
      try {
        client.deleteSession(sessionId);
      } catch (DropoutException gone) {
        assertEquals("SESSION_NOT_FOUND", gone.reason()); // the case may have deleted it
      }
    }
  }

  private static String runCall(JsonObject call, ConformanceDriver driver, String sessionId) {
    JsonObject request = ConformanceJson.expanded(call.getAsJsonObject("request"));
    request.addProperty("session_id", sessionId);
    JsonObject answer;
    try {
      answer = driver.call(call.get("rpc").getAsString(), request);
    } catch (DropoutException refusal) {
      if (!call.has("error")) {
        return refusal.toString();
      }
      JsonObject outcome = new JsonObject();
      outcome.addProperty("code", refusal.code().name());
      outcome.addProperty("reason", refusal.reason());
      return ConformanceJson.difference(call.get("error"), outcome, "error");
    }
    if (call.has("error")) {
      return "succeeded, not " + call.get("error");
    }
    JsonElement expected = call.has("response") ? call.get("response") : new JsonObject();
    return ConformanceJson.difference(expected, answer, "response");
  }

  @Test
  public void everyCase() throws IOException {
    try (DropoutClient client =
        DropoutClient.connect(System.getenv("DROPOUT_TEST_ADDRESS"))) {
      ServerInfo info = client.serverInfo();
      List<JsonObject> cases = loadCases();
      assertTrue(cases.size() > 90);
      int ran = 0;
      for (JsonObject one : cases) {
        if (!isMissing(one, info)) {
          assertEquals(one.get("name").getAsString(), "", run(one, client));
          ran++;
        }
      }
      System.out.println(ran + " of " + cases.size() + " cases");
    }
  }

  @Test
  public void theComparisonFindsDifferences() {
    JsonElement expected =
        JsonParser.parseString("{'scale': 2.0, 'shape': [2, 3], 'bits': 'AA=='}");
    String equal = "{'scale': 2, 'shape': ['2', '3'], 'bits': 'AA==', 'p': 1}";
    assertEquals("", ConformanceJson.difference(expected, JsonParser.parseString(equal), ""));
    for (String wrong : List.of(
        "{'scale': 3, 'shape': [2, 3], 'bits': 'AA=='}",
        "{'scale': 2, 'shape': [3, 2], 'bits': 'AA=='}", "{'scale': 2, 'shape': [2, 3]}",
        "{'scale': 2, 'shape': [2], 'bits': 'AA=='}",
        "{'scale': 'x', 'shape': [2, 3], 'bits': 'AA=='}")) {
      assertNotEquals(
          wrong, "", ConformanceJson.difference(expected, JsonParser.parseString(wrong), ""));
    }
  }
}
