"""The Python clients for tests/clients/outage.py and connections.py: prints "ready" after a first
call, then for each line of standard input makes as many calls at once as it says, and prints "ok" or
why one failed.

    $ outage_client.py ADDRESS blocking|asyncio
"""

import asyncio
import concurrent.futures
import inspect
import sys

from dropout_client import AsyncClient, Client, DropoutError


async def main(address, kind):
    async def answer(value):
        return await value if inspect.isawaitable(value) else value

    client = {"blocking": Client, "asyncio": AsyncClient}[kind](address)
    session = await answer(client.create_session())
    layer = await answer(session.create_layer("hidden", p=0.5))
    await answer(layer.forward([1.0, 2.0], step=0))
    print("ready", flush=True)
    step = 1
    for line in sys.stdin:
        steps = range(step, step + int(line))
        step = steps.stop
        try:
            if kind == "asyncio":
                await asyncio.gather(*(layer.forward([1.0, 2.0], step=each) for each in steps))
            else:
                with concurrent.futures.ThreadPoolExecutor(len(steps)) as threads:
                    list(threads.map(lambda each: layer.forward([1.0, 2.0], step=each), steps))
            print("ok", flush=True)
        except DropoutError as error:
            print(f"failed: {error}", flush=True)
    await answer(client.close())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
