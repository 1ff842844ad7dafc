"""The conformance suite through both Python clients, over every store, with metrics on."""

import dataclasses
import unittest

import support
import conformance_driver
import runner
from store_helpers import each_store


class ConformanceTest(unittest.TestCase):

    def run_all(self, make_driver):
        for store in ("--store=memory", *(each.flag for each in each_store(self))):
            with self.subTest(store):
                self.run_over(store, make_driver)

    def run_over(self, store, make_driver):
        cases = runner.load_cases()
        self.assertGreater(len(cases), 90)
        ran = 0
        with support.harness.Server(store, "--metrics_listen=127.0.0.1:0") as server:
            driver, close = make_driver(server.address)
            info = dataclasses.asdict(driver.wait(driver.client.server_info()))
            for case in cases:
                if runner.missing(case, info):
                    continue
                ran += 1
                with self.subTest(case["name"]):
                    runner.run(case, driver)
            close()
        print(f"{store}: {ran} of {len(cases)} cases")

    def test_blocking(self):
        self.run_all(conformance_driver.blocking)

    def test_asyncio(self):
        self.run_all(conformance_driver.asynchronous)


if __name__ == "__main__":
    unittest.main()
