'''A WebSocket of a Python library that a test drives: a JSON command a line on stdin, a JSON outcome a line on stdout.

    peer.py LIBRARY IDENTITY    LIBRARY is aiohttp or websockets, IDENTITY a file with a certificate and its key

It connects (open), or listens and is driven on the connection that came last (listen, accepted). It answers the method `echo`, and no other
one ever. A command waits for what it says; reading goes on meanwhile.
'''

import asyncio
import itertools
import json
import logging
import socket
import ssl
import struct
import sys

import aiohttp
import websockets
from aiohttp import web

# A frame with an opcode that has no meaning: from a server, and from a client (its mask is four zeros).
UNKNOWN_FRAME = {True: b'\x83\x00', False: b'\x83\x80' + bytes(4)}


class Peer:
    '''What there is to do with a connection, whichever library it is of.'''

    def __init__(self, identity):
        self.identity = identity
        self.ids = itertools.count(1)
        self.came = asyncio.Queue()

    def use(self, ws, is_server):
        '''Goes on with this connection.'''
        self.ws = ws
        self.is_server = is_server
        self.calls = {}
        self.pongs = 0
        self.last_pong = None
        self.ending = asyncio.ensure_future(self.read(ws))
        return self.ending

    def identified(self, is_secure):
        if not is_secure:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.identity)
        return context

    async def accepted(self):
        await self.came.get()

    async def take(self, text):
        message = json.loads(text)
        if message.get('method') == 'echo':
            await self.send(json.dumps({'jsonrpc': '2.0', 'id': message['id'], 'result': message['params']}, ensure_ascii=False))
        elif 'method' not in message and message['id'] in self.calls:
            self.calls.pop(message['id']).set_result(message)
        elif 'method' not in message:
            self.errors += 1

    def asked(self, method, params):
        '''The text of a request, and what becomes of it.'''
        request_id = next(self.ids)
        self.calls[request_id] = asyncio.get_running_loop().create_future()
        request = {'jsonrpc': '2.0', 'id': request_id, 'method': method, 'params': params}
        return json.dumps(request, ensure_ascii=False), self.calls[request_id]

    async def begin(self, method, *params):
        text, _ = self.asked(method, params)
        await self.send(text)

    async def echo(self, text, times):
        '''Whether a text, so many times over, comes back.'''
        request, answer = self.asked('echo', [text * times])
        await self.send(request)
        return (await answer).get('result') == [text * times]

    async def long(self, size):
        '''Whether a text of so many characters comes.'''
        request, answer = self.asked('long', [size])
        await self.send(request)
        return (await answer).get('result') == 'x' * size

    async def many(self, count):
        '''How many of so many small requests, sent one behind the other, are answered in full.'''
        return sum(await asyncio.gather(*(self.echo(str(n), 1) for n in range(count))))

    async def fragments(self, text, times, size, pings):
        '''As echo, in fragments of so many bytes of UTF-8. Behind each there may be a ping.'''
        request, answer = self.asked('echo', [text * times])
        data = request.encode()
        await self.send_fragments([data[at:at + size] for at in range(0, len(data), size)], pings)
        return (await answer).get('result') == [text * times]

    async def empty(self, count):
        '''How many empty messages are answered.'''
        self.errors = 0
        for _ in range(count):
            await self.send('')
        # What comes behind them is answered behind them.
        await self.echo('', 1)
        return self.errors

    async def misbehave(self, how):
        if how == 'rubbish':
            self.errors = 0
            # More than is forgiven.
            for _ in range(20):
                await self.send('{')
        elif how == 'size':
            await self.send(' ' * 8_000_000)

    async def flood(self, pings, calls):
        '''Pings and calls at once. Gives how many pongs have come when that of the last ping has, and how many calls were answered.'''
        _, answered = await asyncio.gather(self.ping_and_wait(pings), self.many(calls))
        return [self.pongs, answered]

    async def flood_pongs(self, count):
        for _ in range(count):
            await self.ws.pong(b'not asked for')

    async def vanish(self, size):
        '''Begins a message of so many bytes, and is gone.'''
        sending = asyncio.ensure_future(self.send('"' + ' ' * size + '"'))
        await asyncio.sleep(0)
        await self.terminate()
        await asyncio.gather(sending, return_exceptions=True)

    async def close(self, *code_and_reason):
        '''Begins to.'''
        self.closing = asyncio.ensure_future(self.say_goodbye(*code_and_reason))
        await asyncio.sleep(0)

    async def pause(self):
        '''Reads no more.'''
        self.transport().pause_reading()

    async def terminate(self):
        self.transport().abort()

    async def reset(self):
        self.transport().get_extra_info('socket').setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.transport().abort()

    async def end(self):
        self.transport().write_eof()

    async def ended(self):
        return await self.ending


class Websockets(Peer):
    async def open(self, url, heartbeat=None):
        self.use(await websockets.connect(url, max_size=None, ping_interval=heartbeat), False)

    async def listen(self, is_secure, heartbeat=None):
        async def accept(ws):
            ending = self.use(ws, True)
            self.came.put_nowait(None)
            await ending

        options = {'ssl': self.identified(is_secure), 'max_size': None, 'ping_interval': heartbeat}
        self.server = await websockets.serve(accept, '127.0.0.1', 0, **options)
        return self.server.sockets[0].getsockname()[1]

    async def read(self, ws):
        try:
            async for message in ws:
                await self.take(message)
        except websockets.ConnectionClosed:
            pass
        await ws.wait_closed()
        is_clean = None not in (ws.protocol.close_rcvd, ws.protocol.close_sent)
        return {'code': ws.close_code, 'reason': ws.close_reason, 'clean': is_clean}

    def transport(self):
        return self.ws.transport

    async def send(self, text):
        await self.ws.send(text)

    async def send_fragments(self, fragments, pings):
        async def one_by_one():
            for fragment in fragments:
                yield fragment
                if pings:
                    await self.ws.ping()

        await self.ws.send(one_by_one(), text=True)

    async def ping_and_wait(self, count):
        '''The library takes a pong for one to all pings before.'''
        waiting = []
        for _ in range(count):
            waiting.append(await self.ws.ping())
        if waiting:
            await waiting[-1]
        self.pongs = sum(waiter.done() for waiter in waiting)

    async def say_goodbye(self, code=None, reason=''):
        if code is not None:
            return await self.ws.close(code, reason)
        # What an empty Close is to its own API: the code 1000 is the default of `close`.
        async with self.ws.send_context():
            self.ws.protocol.send_close()

    async def misbehave(self, how):
        if how == 'opcode':
            self.transport().write(UNKNOWN_FRAME[self.is_server])
        elif how == 'text':
            await self.ws.send(b'"\xff"', text=True)
        elif how == 'empty fragments':
            await self.ws.send([''] * 100)
        else:
            await super().misbehave(how)


class Aiohttp(Peer):
    @staticmethod
    def options(heartbeat):
        # Pings are answered here where none are sent by the library itself, to see the pongs.
        return {'max_msg_size': 0, 'heartbeat': heartbeat, 'autoping': heartbeat is not None}

    async def open(self, url, heartbeat=None):
        self.session = aiohttp.ClientSession()
        # It offers compression.
        self.use(await self.session.ws_connect(url, compress=15, **self.options(heartbeat)), False)

    async def listen(self, is_secure, heartbeat=None):
        async def accept(request):
            ws = web.WebSocketResponse(**self.options(heartbeat))
            await ws.prepare(request)
            ending = self.use(ws, True)
            self.came.put_nowait(None)
            await ending
            return ws

        app = web.Application()
        app.router.add_get('/', accept)
        self.runner = web.AppRunner(app)
        await self.runner.setup()
        await web.TCPSite(self.runner, '127.0.0.1', 0, ssl_context=self.identified(is_secure)).start()
        return self.runner.addresses[0][1]

    async def read(self, ws):
        code, reason = None, ''
        while True:
            message = await ws.receive()
            if message.type is aiohttp.WSMsgType.TEXT:
                await self.take(message.data)
            elif message.type is aiohttp.WSMsgType.PING:
                await ws.pong(message.data)
            elif message.type is aiohttp.WSMsgType.PONG:
                self.pongs += 1
                if message.data == self.last_ping:
                    self.pinged.set()
            else:
                if message.type is aiohttp.WSMsgType.CLOSE:
                    code, reason = message.data, message.extra
                break
        # The code of a close of its own is known when that is over.
        while ws.close_code is None:
            await asyncio.sleep(0)
        return {'code': code or ws.close_code, 'reason': reason, 'clean': ws.close_code != 1006}

    def transport(self):
        return self.ws._writer.transport

    async def send(self, text):
        await self.ws.send_str(text)

    async def ping_and_wait(self, count):
        self.pinged = asyncio.Event()
        self.last_ping = str(count).encode()
        for n in range(1, count + 1):
            await self.ws.ping(str(n).encode())
            # It never waits where the connection takes all.
            if n % 100 == 0:
                await asyncio.sleep(0)
        if count:
            await self.pinged.wait()

    async def say_goodbye(self, code=1000, reason=''):
        await self.ws.close(code=code, message=reason.encode())

    async def leave(self):
        '''Closes what the connection belongs to, and says nothing on it.'''
        await self.session.close()

    async def misbehave(self, how):
        if how == 'opcode':
            self.transport().write(UNKNOWN_FRAME[self.is_server])
        elif how == 'text':
            await self.ws.send_frame(b'"\xff"', aiohttp.WSMsgType.TEXT)
        else:
            await super().misbehave(how)


async def main(library, identity):
    peer = {'aiohttp': Aiohttp, 'websockets': Websockets}[library](identity)
    print('READY', flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        command, *args = json.loads(line)
        print(json.dumps(await getattr(peer, command)(*args)), flush=True)


# Connections that are lost as they should be are not worth a traceback.
logging.disable()
asyncio.run(main(*sys.argv[1:]))
