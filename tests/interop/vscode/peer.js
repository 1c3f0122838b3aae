// A peer that speaks by vscode-jsonrpc and that a test drives.
//
//     peer.js stdio                talks to whoever has started it over its standard input and output
//     peer.js connect PORT         connects
//     peer.js serve                listens, and talks to the first who connects
//     peer.js spawn PROGRAM ARG..  starts a program, and talks to it over its standard input and output
//
// It is driven by commands, each a list: the name and the arguments. In the first case they are the parameters of the request `drive`; else
// each is a line of JSON on standard input, what comes of it is a line on standard output, and the first line says READY (and the port).
// It serves the traits of ../service.rs and work.rs.
'use strict'

const { once } = require('events')
const { spawn } = require('child_process')
const { createInterface } = require('readline')
const rpc = require('vscode-jsonrpc/node')

const { ParameterStructures, ResponseError } = rpc

// What LSP calls RequestCancelled.
const CANCELLED = -32800

class Peer {
  constructor(reader, writer) {
    this.noted = []
    this.waiting = 0
    this.taken = { ticks: [], unticked: [], unknown: [] }
    const connection = rpc.createMessageConnection(reader, writer)
    this.connection = connection
    this.closed = new Promise(resolve => connection.onClose(resolve))
    // Else requests that are not answered yet are never rejected.
    this.closed.then(() => connection.dispose())

    connection.onRequest('add', (a, b) => a + b)
    // Called by name only.
    connection.onRequest('greet', ({ name, greeting }) => `${greeting}, ${name}`)
    connection.onRequest('spend', amount => {
      if (amount === 0) throw new ResponseError(1, 'nothing to spend')
      throw new ResponseError(2, `5 is not enough, ${amount} needed`, { have: 5, need: amount })
    })
    connection.onRequest('crash', () => { throw new Error('a secret of the handler') })
    connection.onRequest('hold', () => new Promise(() => {}))
    connection.onNotification('note', text => { this.noted.push(text) })
    connection.onRequest('notes', () => this.noted)
    connection.onRequest('relay', (method, args) => this.send(method, args))
    connection.onRequest('wait', token => new Promise((_, reject) => {
      this.waiting += 1
      token.onCancellationRequested(() => {
        this.waiting -= 1
        reject(new ResponseError(CANCELLED, 'not wanted any more'))
      })
    }))
    connection.onRequest('waiting', () => this.waiting)
    connection.onRequest('count', async ({ to, workDoneToken }) => {
      let sum = 0
      for (let n = 1; n <= to; n++) {
        sum += n
        if (workDoneToken !== undefined) await connection.sendProgress(new rpc.ProgressType(), workDoneToken, n)
      }
      return sum
    })
    // A subscription by id, and what comes of one that this side has.
    connection.onRequest('ticks', to => {
      for (let n = 1; n <= to; n++) connection.sendNotification('tick', { subscription: 'an id', result: n })
      return 'an id'
    })
    connection.onRequest('unticks', id => {
      this.taken.unticked.push(id)
      return true
    })
    connection.onNotification('tick', ({ subscription, result }) => { this.taken.ticks.push([subscription, result]) })
    connection.onUnhandledNotification(({ method }) => { this.taken.unknown.push(method) })
    connection.onRequest('drive', command => this.obey(command))
    connection.listen()
  }

  // Parameters by position or by name, as they are.
  send(method, params, token) {
    const given = Array.isArray(params) ? [ParameterStructures.byPosition, ...params] : [ParameterStructures.byName, params]
    return this.connection.sendRequest(method, ...given, ...(token ? [token] : []))
  }

  async obey([command, ...args]) {
    // Null where there is nothing to say.
    return (await this[`do_${command}`](...args)) ?? null
  }

  async do_request(method, params) {
    return shown(this.send(method, params))
  }

  async do_notify(method, params) {
    const given = Array.isArray(params) ? [ParameterStructures.byPosition, ...params] : [ParameterStructures.byName, params]
    await this.connection.sendNotification(method, ...given)
  }

  async do_pipeline(method, argses) {
    return Promise.all(argses.map(args => this.send(method, args)))
  }

  // Makes a request that is never answered, and takes it back when the other side has it.
  async do_cancel() {
    const source = new rpc.CancellationTokenSource()
    const outcome = shown(this.send('wait', [], source.token))
    const before = await this.send('waiting', [])
    source.cancel()
    return { before, outcome: await outcome, after: await this.send('waiting', []) }
  }

  async do_follow(to) {
    const steps = []
    const handler = this.connection.onProgress(new rpc.ProgressType(), 'a token', step => steps.push(step))
    const outcome = await shown(this.send('count', { to, workDoneToken: 'a token' }))
    handler.dispose()
    return { steps, outcome }
  }

  async do_taken() {
    return this.taken
  }

  async do_end() {
    this.connection.end()
    if (this.program) {
      const [code, signal] = await this.exited
      return { code, signal }
    }
  }

  async do_exit(code) {
    process.exit(code)
  }

  async do_ended() {
    await this.closed
  }
}

// What a request ended with, as JSON.
async function shown(request) {
  try {
    return { result: await request }
  } catch (error) {
    if (!(error instanceof ResponseError)) throw error
    return { error: error.toJson() }
  }
}

function say(...words) {
  process.stdout.write(words.join(' ') + '\n')
}

async function drive(peer) {
  for await (const line of createInterface({ input: process.stdin })) {
    say(JSON.stringify(await peer.obey(JSON.parse(line))))
  }
  process.exit()
}

async function main([role, ...args]) {
  if (role === 'stdio') {
    const peer = new Peer(new rpc.StreamMessageReader(process.stdin), new rpc.StreamMessageWriter(process.stdout))
    await peer.closed
    process.exit()
  } else if (role === 'connect') {
    const peer = new Peer(...rpc.createServerSocketTransport(Number(args[0])))
    say('READY')
    await drive(peer)
  } else if (role === 'serve') {
    const transport = await rpc.createClientSocketTransport(0)
    say('READY', transport.port())
    await drive(new Peer(...await transport.onConnected()))
  } else if (role === 'spawn') {
    const [program, ...rest] = args
    const child = spawn(program, rest, { stdio: ['pipe', 'pipe', 'inherit'] })
    const peer = new Peer(new rpc.StreamMessageReader(child.stdout), new rpc.StreamMessageWriter(child.stdin))
    peer.program = child
    peer.exited = once(child, 'exit')
    say('READY')
    await drive(peer)
  } else {
    throw new Error(`no such role: ${role}`)
  }
}

main(process.argv.slice(2))
