'''An aiorpcX peer that a test drives: a JSON command a line on stdin, a JSON outcome a line on stdout.

    peer.py connect PORT    connects, then prints READY
    peer.py serve           listens, prints READY and the port, and is driven once a peer has connected

It serves the trait of service.rs, whichever side it is on.
'''

import asyncio
import json
import logging
import sys

from aiorpcx import (
    JSONRPCConnection, JSONRPCv2, RPCError, RPCSession, connect_rs, handler_invocation, serve_rs
)


class WithData(JSONRPCv2):
    '''aiorpcX knows the code and the message of an error; this adds the data, both ways.'''

    @classmethod
    def error_payload(cls, error, request_id):
        payload = super().error_payload(error, request_id)
        if hasattr(error, 'data'):
            payload['error']['data'] = error.data
        return payload

    @classmethod
    def response_value(cls, payload):
        value = super().response_value(payload)
        if isinstance(value, RPCError) and 'data' in payload['error']:
            value.data = payload['error']['data']
        return value


class Connection(JSONRPCConnection):
    '''Shows the messages as they came, also those that answer no request of this side.'''

    def __init__(self):
        super().__init__(WithData)
        self.received = asyncio.Queue()

    def receive_message(self, message):
        self.received.put_nowait(message.decode())
        return super().receive_message(message)


class Peer(RPCSession):
    '''The methods, and the commands.'''

    # Calls that are held must not keep others from being served.
    initial_concurrent = 1000

    def __init__(self, transport):
        super().__init__(transport, connection=Connection())
        self.noted = []
        self.lost = asyncio.Event()

    async def connection_lost(self):
        await super().connection_lost()
        self.lost.set()

    async def handle_request(self, request):
        handler = getattr(self, f'on_{request.method}', None)
        return await handler_invocation(handler, request)()

    async def on_add(self, a, b):
        return a + b

    async def on_greet(self, name, greeting):
        return f'{greeting}, {name}'

    async def on_spend(self, amount):
        if amount == 0:
            raise RPCError(1, 'nothing to spend')
        error = RPCError(2, f'5 is not enough, {amount} needed')
        # 1000 stands for a peer that has no data to give.
        if amount != 1000:
            error.data = {'have': 5, 'need': amount}
        raise error

    async def on_fail(self, code, message):
        raise RPCError(code, message)

    async def on_crash(self):
        raise ValueError('a secret of the handler')

    async def on_hold(self):
        await asyncio.Event().wait()

    async def on_note(self, text):
        self.noted.append(text)

    async def on_notes(self):
        return self.noted

    async def on_relay(self, method, args):
        return await self.send_request(method, args)

    async def on_patience(self, seconds):
        self.processing_timeout = seconds

    async def request(self, method, args):
        try:
            return {'result': await self.send_request(method, args)}
        except RPCError as e:
            data = {'data': e.data} if hasattr(e, 'data') else {}
            return {'error': {'code': e.code, 'message': e.message, **data}}
        except asyncio.CancelledError:
            # What aiorpcX 0.25 ends a request with when the connection is lost.
            return {'lost': self.is_closing()}

    async def notify(self, method, args):
        await self.send_notification(method, args)

    async def pipeline(self, method, argses):
        return await asyncio.gather(*(self.send_request(method, args) for args in argses))

    async def raw(self, text):
        '''Sends text as it is, and shows the message that comes next.'''
        while not self.connection.received.empty():
            self.connection.received.get_nowait()
        await self.transport.write(text.encode('latin-1'))
        return await self.received()

    async def received(self):
        return json.loads(await self.connection.received.get())

    async def ended(self):
        await self.lost.wait()


def say(*words):
    print(*words, flush=True)


async def obey(session):
    while line := await asyncio.to_thread(sys.stdin.readline):
        command, *args = json.loads(line)
        say(json.dumps(await getattr(session, command)(*args)))


async def main(role, port=None):
    if role == 'connect':
        async with connect_rs('127.0.0.1', int(port), session_factory=Peer) as session:
            say('READY')
            await obey(session)
    else:
        first = asyncio.get_running_loop().create_future()

        def accepted(transport):
            first.set_result(Peer(transport))
            return first.result()

        server = await serve_rs(accepted, '127.0.0.1', 0)
        say('READY', server.sockets[0].getsockname()[1])
        await obey(await first)


# Handlers that fail as they should are not worth a traceback.
logging.disable()
asyncio.run(main(*sys.argv[1:]))
