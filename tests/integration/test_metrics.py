"""/metrics, /healthz, /readyz and /statusz, and what docs/operations.md says of them."""

import pathlib
import re
import tempfile
import unittest

import grpc
import harness
import numpy as np
from client_helpers import Client, dropout_layer, pb, to_tensor
from pages import fetch

LAYER = pb.Layer(layer_id="l", p=0.25, dropout=pb.Dropout())
X = np.ones((64, 1024), np.float32)
DOCS = pathlib.Path(__file__).parents[2] / "docs" / "operations.md"
ALERTS = pathlib.Path(__file__).parents[2] / "docker" / "alerts.yml"
DASHBOARD = pathlib.Path(__file__).parents[2] / "docker" / "grafana-dashboard.json"
SERIES = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")


def metrics(server):
    """Values by name and labels, as ("name", "a=b,c=d")."""
    _, text = fetch(server, "/metrics")
    values = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, labels, value = SERIES.match(line).groups()
            pairs = re.findall(r'(\w+)="([^"]*)"', labels or "")
            values[name, ",".join(sorted(f"{k}={v}" for k, v in pairs))] = float(value)
    return values


def names_exposed(server):
    _, text = fetch(server, "/metrics")
    return set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))


class MetricsServer:
    """A server with metrics and a client that has made one call of each kind."""

    def __init__(self, *flags):
        self.server = harness.Server("--metrics_listen=127.0.0.1:0", *flags)

    def __enter__(self):
        self.server.__enter__()
        self.client = Client(self.server.address).__enter__()
        return self.server, self.client

    def __exit__(self, *args):
        self.client.__exit__(*args)
        self.server.__exit__(*args)


class PagesTest(unittest.TestCase):

    def test_health_and_readiness(self):
        with MetricsServer() as (server, _):
            self.assertEqual(fetch(server, "/healthz"), (200, "alive\n"))
            self.assertEqual(fetch(server, "/readyz"), (200, "ready\n"))
            self.assertEqual(fetch(server, "/readyz", "HEAD"), (200, ""))
            for path in ("/", "/metrics/more", "/../etc/passwd", "/%2e%2e/etc/passwd"):
                self.assertEqual(fetch(server, path)[0], 404, path)
            self.assertEqual(fetch(server, "/metrics", "POST")[0], 405)

    def test_the_status_page_is_for_people_and_shows_no_secrets(self):
        with MetricsServer() as (server, client):
            client.create_session("a-session-with-a-long-name", [LAYER], seed=1234567891011)
            with self.assertRaises(grpc.RpcError):
                client.get_session("<script>alert(1)</script>")
            code, page = fetch(server, "/statusz")
            self.assertEqual(code, 200)
            for text in ("<html", server.address, "GetSession", "SESSION_NOT_FOUND"):
                self.assertIn(text, page)
            # How many sessions there are, and not which.
            self.assertNotIn("none", page)
            self.assertRegex(page, r"<h2>Sessions</h2>\s*<table>")
            self.assertRegex(page, r"sessions in memory\D+1\D")
            self.assertRegex(page, r"layers in train\D+1\D")
            for text in ("<script", "1234567891011", "a-session-with-a-long-name"):
                self.assertNotIn(text, page)

    def test_an_address_that_cannot_be_used(self):
        with MetricsServer() as (server, _):
            done = harness.run_server("--listen=127.0.0.1:0",
                                      f"--metrics_listen={server.metrics_address}")
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn(server.metrics_address, done.stderr)
        done = harness.run_server("--listen=127.0.0.1:0", "--metrics_listen=0.0.0.0:0")
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("--insecure", done.stderr)


class CountsTest(unittest.TestCase):

    def test_calls_are_counted_by_method_and_code(self):
        with MetricsServer() as (server, client):
            client.create_session("s", [LAYER])
            for step in range(3):
                client.forward("s", "l", X, step=step)
            with self.assertRaises(grpc.RpcError):
                client.get_session("other")
            values = metrics(server)
            self.assertEqual(values["dropoutd_calls_total", "code=OK,method=Forward"], 3)
            self.assertEqual(values["dropoutd_calls_total", "code=NOT_FOUND,method=GetSession"], 1)
            self.assertEqual(values["dropoutd_errors_total", "reason=SESSION_NOT_FOUND"], 1)
            self.assertEqual(values["dropoutd_call_seconds_count", "method=Forward"], 3)
            self.assertGreaterEqual(values["dropoutd_request_bytes_total", "method=Forward"],
                                    3 * X.nbytes)
            self.assertGreaterEqual(values["dropoutd_response_bytes_total", "method=Forward"],
                                    3 * X.nbytes)
            self.assertEqual(values["dropoutd_ready", ""], 1)
            self.assertEqual(values["dropoutd_bytes_in_flight", ""], 0)
            self.assertGreater(values["process_resident_memory_bytes", ""], 1 << 20)


    def test_sessions_layers_and_steps(self):
        with MetricsServer() as (server, client):
            client.create_session("s", [LAYER, dropout_layer("m", mode=pb.MODE_EVAL)])
            for step in range(3):
                client.forward("s", "l", X, step=step)
            values = metrics(server)
            self.assertEqual(values["dropoutd_sessions", ""], 1)
            self.assertEqual(values["dropoutd_layers", "mode=train"], 1)
            self.assertEqual(values["dropoutd_layers", "mode=eval"], 1)
            self.assertEqual(values["dropoutd_steps", ""], 3)
            self.assertGreater(values["dropoutd_cache_bytes", "cache=mask"], 0)
            self.assertGreater(values["dropoutd_kernel_seconds_total", "direction=forward"], 0)
            _, page = fetch(server, "/statusz")
            self.assertRegex(page, r"sessions in memory\D+1\D")

    def test_masks_that_were_evicted_and_drawn_again(self):
        with MetricsServer("--mask_cache_bytes=4096") as (server, client):
            client.create_session("s", [dropout_layer("l", p=0.5)])
            x = np.ones(8 * 1024, np.float32)  # A mask of 1 KiB: three fit, with what they cost.
            for step in range(10):
                client.forward("s", "l", x, step=step)
            for step in (9, 0, 1):
                client.backward("s", "l", x, step=step)
            values = metrics(server)
            self.assertEqual(values["dropoutd_cache_hits_total", "cache=mask"], 1)
            self.assertEqual(values["dropoutd_cache_misses_total", "cache=mask"], 2)
            self.assertEqual(values["dropoutd_masks_regenerated_total", ""], 2)
            self.assertEqual(values["dropoutd_cache_evictions_total", "cache=mask"], 9)

    def test_the_realised_drop_rate_is_p(self):
        with MetricsServer() as (server, client):
            client.create_session("s", [
                dropout_layer("l", p=0.25),
                pb.Layer(layer_id="a", p=0.5, alpha=pb.Alpha()),
                pb.Layer(layer_id="g", p=0.25, gaussian=pb.Gaussian()),
                pb.Layer(layer_id="c", p=0.25, concrete=pb.Concrete()),
                pb.Layer(layer_id="w", p=0.25, drop_connect=pb.DropConnect(
                    in_features=20, out_features=50, bias=False))], seed=1)
            client.call("SetParameters", pb.SetParametersRequest(
                session_id="s", layer_id="w", parameters=[pb.Parameter(
                    name="weight", value=to_tensor(np.ones((50, 20), np.float32)))]))
            x = np.ones(1 << 20, np.float32)
            for step in range(4):
                client.forward("s", "l", x, step=step)
                for layer in "agc":
                    client.forward("s", layer, x[:64000], step=step)
                client.forward("s", "w", x[:20], step=step)  # A mask of 50 x 20.
            values = metrics(server)
            for variant, p, count in [("dropout", 0.25, 4 * 65536), ("alpha", 0.5, 4 * 64000),
                                      ("gaussian", 0.5, 4000), ("concrete", 0.25, 4000),
                                      ("drop_connect", 0.25, 4 * 16)]:
                label = f"variant={variant}"
                self.assertEqual(values["dropoutd_mask_elements_total", label], count)
                self.assertAlmostEqual(values["dropoutd_mask_dropped_expected_total", label],
                                       p * count, places=3)
                five_sigma = 5 * (count * p * (1 - p)) ** 0.5
                self.assertLess(abs(values["dropoutd_mask_dropped_total", label] - p * count),
                                five_sigma)

    def test_the_store_is_timed(self):
        with tempfile.TemporaryDirectory() as folder, MetricsServer(
                f"--store=sqlite:{folder}/db") as (server, client):
            client.create_session("s", [LAYER])
            client.forward("s", "l", X, step=1)
            values = metrics(server)
            self.assertGreaterEqual(values["dropoutd_store_seconds_count", "operation=commit"], 2)
            self.assertEqual(values["dropoutd_store_failures_total", "operation=commit"], 0)


class DocumentationTest(unittest.TestCase):

    def test_docs_list_what_is_exposed_and_nothing_else(self):
        documented = set(re.findall(r"^\| `((?:dropoutd|process)_\w+)`", DOCS.read_text(),
                                    re.MULTILINE))
        with tempfile.TemporaryDirectory() as folder, MetricsServer(
                f"--store=sqlite:{folder}/db", "--shared_memory") as (server, client):
            client.create_session("s", [LAYER])
            client.forward("s", "l", X, step=1)
            with self.assertRaises(grpc.RpcError):
                client.get_session("other")
            self.assertEqual(names_exposed(server), documented)

    def test_alerts_and_dashboard_use_what_is_documented(self):
        documented = set(re.findall(r"^\| `((?:dropoutd|process)_\w+)`", DOCS.read_text(),
                                    re.MULTILINE))
        for file in (ALERTS, DASHBOARD):
            for name in re.findall(r"\b(?:dropoutd|process)_\w+", file.read_text()):
                base = re.sub(r"_(bucket|sum|count)$", "", name)
                self.assertTrue({name, base} & documented, f"{name} of {file.name}")

    def test_every_alert_has_a_runbook(self):
        alerts = re.findall(r"alert: (\w+)", ALERTS.read_text())
        self.assertGreater(len(alerts), 5)
        for alert in alerts:
            self.assertRegex(DOCS.read_text(), rf"(?m)^### {alert}$")

    def test_docs_list_every_flag_and_nothing_else(self):
        help_text = harness.run_server("--help").stdout
        flags = set(re.findall(r"^\s+(?:-h,)?--(\w+)", help_text, re.MULTILINE)) - {
            "help", "version"}
        documented = set(re.findall(r"^\| `--(\w+)`", DOCS.read_text(), re.MULTILINE))
        self.assertEqual(flags, documented)


if __name__ == "__main__":
    unittest.main()
