"""A WebSocket server that echoes, and clients that go to it through a gateway."""

import asyncio
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

LARGE = "x" * 900_000


async def echo(socket):
    async for message in socket:
        await socket.send(message)


async def server():
    async with serve(echo, "127.0.0.1", 0, subprotocols=["chat"]) as listening:
        print(listening.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().create_future()


async def client(url):
    async with connect(url, subprotocols=["chat"], proxy=None) as socket:
        print("subprotocol", socket.subprotocol)
        extensions = socket.response.headers.get("Sec-WebSocket-Extensions", "")
        print("deflate", "permessage-deflate" in extensions)
        for message in ["text: ü", b"\x00bytes", LARGE]:
            await socket.send(message)
            print(await socket.recv() == message)
        await socket.send(part for part in ["in ", "three ", "parts"])
        print(await socket.recv())
        await (await socket.ping())
        await socket.close(4321, "enough")
        print("closed", socket.close_code, socket.close_reason)


async def waiting(url):
    async with connect(url, subprotocols=["chat"], proxy=None) as socket:
        await socket.send("hello")
        print(await socket.recv(), flush=True)
        try:
            await socket.recv()
        except ConnectionClosed as closed:
            print("closed", closed.rcvd and closed.rcvd.code, flush=True)


mode, *arguments = sys.argv[1:]
asyncio.run({"serve": server, "call": client, "wait": waiting}[mode](*arguments))
