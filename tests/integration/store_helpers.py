"""Stores of the server's for tests, and what is in them."""

import pathlib
import shutil
import sqlite3
import tempfile

from redis_server import Redis

# Fields of sessions, and their bytes; no tombstone of a removed field is longer than 17 bytes.
COUNT_IN_REDIS = """
local count, bytes = 0, 0
for _, key in ipairs(redis.call('KEYS', 'dropout:*:f')) do
  if redis.call('TYPE', key).ok == 'hash' then
    for _, value in ipairs(redis.call('HVALS', key)) do
      if #value > 17 then count = count + 1 end
      bytes = bytes + #value
    end
  end
end
return count .. ' ' .. bytes
"""


class SqliteFile:
    """A file for a server to keep sessions in."""

    kind = "sqlite"

    def __init__(self, test):
        folder = test.enterContext(tempfile.TemporaryDirectory(prefix="dropout-sqlite-"))
        self.path = pathlib.Path(folder) / "sessions.db"
        self.flag = f"--store=sqlite:{self.path}"

    def execute(self, statement, *arguments):
        """Rows of a statement, which a server may run beside."""
        database = sqlite3.connect(self.path, timeout=60)
        try:
            with database:
                return database.execute(statement, arguments).fetchall()
        finally:
            database.close()

    def count(self):
        """How many values are there, and of how many bytes."""
        return self.execute("SELECT count(*), total(length(value)) FROM fields "
                            "WHERE length(value) > 0")[0]


class RedisServer(Redis):
    """A Redis for servers to share."""

    kind = "redis"

    def __init__(self, test, *flags):
        super().__init__(pathlib.Path(test.enterContext(tempfile.TemporaryDirectory())),
                         flags=flags)
        self.start()
        test.addCleanup(self.kill)
        self.flag = f"--store=redis://127.0.0.1:{self.port}"

    def count(self):
        """How many values are there, and of how many bytes."""
        return [int(word) for word in self.run("eval", COUNT_IN_REDIS, "0").split()]


def each_store(test):
    """A SQLite file and, where there is one, a Redis."""
    yield SqliteFile(test)
    if shutil.which("redis-server"):
        yield RedisServer(test)
