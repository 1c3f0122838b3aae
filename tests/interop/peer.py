'''An aiorpcX peer that a test drives: a JSON command a line on stdin, a JSON outcome a line on stdout.

    peer.py PROTOCOL connect URL    connects, then prints READY
    peer.py PROTOCOL serve URL      listens, prints READY and where, and is driven once a peer has connected

PROTOCOL is the name of one of aiorpcX's: JSONRPCv1, JSONRPCv2, JSONRPCLoose or JSONRPCAutoDetect. URLs are those of the crate `rpc`: tcp:, tls:, unix: and ws:.
For TLS, --roots has the certificates to trust, and --identity the certificate to show with its key. It serves the trait of service.rs, whichever side it is on.
'''

import argparse
import asyncio
import json
import logging
import ssl
import sys
from urllib.parse import urlsplit

import aiorpcx
from aiorpcx import (
    BatchError, JSONRPCConnection, JSONRPCLoose, JSONRPCv1, JSONRPCv2, ProtocolError, RPCError, RPCSession,
    TaskTimeout, connect_rs, connect_us, connect_ws, handler_invocation, serve_rs, serve_us, serve_ws
)


def add_data(protocol):
    '''aiorpcX knows the code and the message of an error; this adds the data, both ways.

    The class itself is changed, because JSONRPCAutoDetect turns into it.
    '''
    bare_payload, bare_value = protocol.error_payload, protocol.response_value

    def error_payload(error, request_id):
        payload = bare_payload(error, request_id)
        if hasattr(error, 'data'):
            payload['error']['data'] = error.data
        return payload

    def response_value(payload):
        value = bare_value(payload)
        if isinstance(value, RPCError) and 'data' in payload['error']:
            value.data = payload['error']['data']
        return value

    protocol.error_payload = staticmethod(error_payload)
    protocol.response_value = staticmethod(response_value)


for strict_or_loose in (JSONRPCv1, JSONRPCv2, JSONRPCLoose):
    add_data(strict_or_loose)


def shown(outcome):
    '''What a request ended with, as JSON.'''
    if isinstance(outcome, RPCError):
        data = {'data': outcome.data} if hasattr(outcome, 'data') else {}
        return {'error': {'code': outcome.code, 'message': outcome.message, **data}}
    if isinstance(outcome, ProtocolError):
        return {'refused': outcome.message}
    return {'result': outcome}


class Connection(JSONRPCConnection):
    '''Shows the messages as they came, also those that answer no request of this side.'''

    def __init__(self, protocol):
        super().__init__(protocol)
        self.received = asyncio.Queue()
        self.all_received = []

    def receive_message(self, message):
        self.received.put_nowait(message.decode())
        self.all_received.append(message.decode())
        return super().receive_message(message)


class Peer(RPCSession):
    '''The methods, and the commands.'''

    # Calls that are held must not keep others from being served.
    initial_concurrent = 1000

    def __init__(self, transport, protocol):
        super().__init__(transport, connection=Connection(protocol))
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

    async def on_status(self, name, value=None):
        '''A subscription in the style of Electrum, and what comes of one that this side has.'''
        if value is None:
            return f'{name}0'
        self.noted.append([name, value])

    async def on_ticks(self, to):
        '''A subscription by id: the test sends its items.'''
        return 'an id'

    async def on_unticks(self, subscription):
        self.noted.append(subscription)
        return True

    async def on_tick(self, subscription, result):
        '''An item of one that this side has: by position in 1.0, by name in 2.0.'''
        self.noted.append([subscription, result])

    async def on_relay(self, method, args):
        return await self.send_request(method, args)

    async def on_patience(self, seconds):
        self.processing_timeout = seconds

    async def request(self, method, args):
        try:
            return shown(await self.send_request(method, args))
        except (RPCError, ProtocolError) as e:
            return shown(e)
        except TaskTimeout:
            return {'timeout': True}
        except asyncio.CancelledError:
            # What aiorpcX 0.25 ends a request with when the connection is lost.
            return {'lost': self.is_closing()}

    async def notify(self, method, args):
        try:
            await self.send_notification(method, args)
        except ProtocolError as e:
            return shown(e)

    async def batch(self, items, raise_errors=False):
        '''Sends [method, args, answered] each, and shows what came back for those that are answered.'''
        batch = self.send_batch(raise_errors)
        try:
            async with batch:
                for method, args, answered in items:
                    (batch.add_request if answered else batch.add_notification)(method, args)
        except BatchError as e:
            return {'raised': [shown(result) for result in e.request.results]}
        except ProtocolError as e:
            return shown(e)
        except TaskTimeout:
            return {'timeout': True}
        except TypeError:
            # aiorpcX 0.25 has nothing to wait for when nothing is answered, and does so.
            assert not any(answered for _, _, answered in items)
            return []
        return [shown(result) for result in batch.results]

    async def number(self, ids):
        '''Gives the next requests these ids, in this order.'''
        self.connection._id_counter = iter(ids)

    async def wait_at_most(self, seconds):
        self.sent_request_timeout = seconds

    async def answer_at_most(self, size):
        self.connection.max_response_size = size

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

    async def messages(self):
        '''All that have come so far.'''
        return [json.loads(message) for message in self.connection.all_received]

    async def texts(self):
        '''The same, as they came.'''
        return self.connection.all_received

    async def charged(self):
        '''How many errors the other side has made so far, and what all that it did costs: an error alone is 100.'''
        return [self.errors, self.cost]

    async def ended(self):
        await self.lost.wait()


def say(*words):
    print(*words, flush=True)


async def obey(session):
    while line := await asyncio.to_thread(sys.stdin.readline):
        command, *args = json.loads(line)
        say(json.dumps(await getattr(session, command)(*args)))


def tls(role, roots, identity):
    '''A server that was given roots asks its clients for certificates.'''
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT if role == 'connect' else ssl.PROTOCOL_TLS_SERVER)
    if roots:
        context.load_verify_locations(roots)
        context.verify_mode = ssl.CERT_REQUIRED
    if identity:
        context.load_cert_chain(identity)
    return {'ssl': context}


def connect(url, options, factory):
    if url.scheme == 'unix':
        return connect_us(url.path, session_factory=factory)
    if url.scheme == 'ws':
        client = connect_ws(url.geturl())
        # aiorpcX 0.25 loses it on the way, if it is given as it should be.
        client.kwargs['session_factory'] = factory
        return client
    return connect_rs(url.hostname, url.port, session_factory=factory, **options)


async def serve(url, options, factory):
    '''Gives the URL at which it listens.'''
    if url.scheme == 'unix':
        await serve_us(factory, url.path)
        return url.geturl()
    listen = serve_ws if url.scheme == 'ws' else serve_rs
    server = await listen(factory, url.hostname, url.port, **options)
    port = server.sockets[0].getsockname()[1]
    return f'{url.scheme}://{url.hostname}:{port}'


async def main(args):
    def peer(transport):
        return Peer(transport, getattr(aiorpcx, args.protocol))

    options = tls(args.role, args.roots, args.identity) if args.url.scheme == 'tls' else {}
    if args.role == 'connect':
        async with connect(args.url, options, peer) as session:
            say('READY')
            await obey(session)
    else:
        first = asyncio.get_running_loop().create_future()

        def accepted(transport):
            first.set_result(peer(transport))
            return first.result()

        say('READY', await serve(args.url, options, accepted))
        await obey(await first)


parser = argparse.ArgumentParser()
parser.add_argument('protocol')
parser.add_argument('role', choices=['connect', 'serve'])
parser.add_argument('url', type=urlsplit)
parser.add_argument('--roots')
parser.add_argument('--identity')

# Handlers that fail as they should are not worth a traceback.
logging.disable()
asyncio.run(main(parser.parse_args()))
