// A WebSocket in Node.js that a test drives: a JSON command a line on stdin, a JSON outcome a line on stdout.
//
//     peer.mjs LIBRARY IDENTITY    LIBRARY is ws or undici, IDENTITY a file with a certificate and its key
//
// It connects (open), or listens and is driven on the connection that came last (listen, accepted). The library `undici` is that of the
// WebSocket which Node.js itself has since 22, and does what browsers let pages do.

import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { setImmediate } from "node:timers/promises";

import { Socket } from "./socket.mjs";

// Unlike `import` it finds what NODE_PATH has.
const require = createRequire(import.meta.url);

class Undici extends Socket {
  constructor() {
    const WebSocket = globalThis.WebSocket ?? require("undici").WebSocket;
    super((url) => new WebSocket(url));
  }
}

class Ws extends Socket {
  constructor(identity) {
    const WebSocket = require("ws");
    super((url) => Object.assign(new WebSocket(url, { maxPayload: 0 }), { isServer: false }));
    this.WebSocketServer = WebSocket.WebSocketServer;
    this.identity = identity;
  }

  async listen(isSecure, heartbeat) {
    const pem = readFileSync(this.identity);
    const server = isSecure ? createSecureServer({ cert: pem, key: pem }) : createServer();
    this.server = new this.WebSocketServer({ server, maxPayload: 0 });
    this.came = [];
    this.server.on("connection", (ws) => {
      this.use(Object.assign(ws, { isServer: true }), heartbeat);
      this.came.push(ws);
      this.server.emit("came");
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return server.address().port;
  }

  async accepted() {
    while (this.came.length === 0) await once(this.server, "came");
    this.came.shift();
  }

  async open(url, heartbeat) {
    await super.open(url);
    this.keepAlive(heartbeat);
  }

  use(ws, heartbeat) {
    super.use(ws);
    this.pongs = 0;
    ws.on("pong", () => (this.pongs += 1));
    if (ws.isServer) this.keepAlive(heartbeat);
  }

  // The library leaves it to the program. This one pings again when the last ping was answered.
  keepAlive(seconds) {
    if (seconds === undefined) return;
    const { ws } = this;
    let beating;
    const beat = () => (beating = setTimeout(() => ws.ping(), seconds * 1000));
    ws.on("pong", beat);
    ws.on("close", () => clearTimeout(beating));
    beat();
  }

  // As echo, in fragments of so many bytes of UTF-8. Behind each there may be a ping.
  async fragments(text, times, size, pings) {
    const [request, answer] = this.asked("echo", [text.repeat(times)]);
    const bytes = Buffer.from(request);
    for (let at = 0; at < bytes.length; at += size) {
      const fin = at + size >= bytes.length;
      this.ws.send(bytes.subarray(at, at + size), { binary: false, fin });
      if (pings) this.ws.ping();
    }
    return (await answer)?.[0] === text.repeat(times);
  }

  // Pings and calls at once. Gives how many pongs have come when that of the last ping has, and how many calls were answered.
  async flood(pings, calls) {
    const answered = this.many(calls);
    const last = new Promise((resolve) => this.ws.on("pong", (data) => String(data) === String(pings) && resolve()));
    for (let n = 1; n <= pings; n++) {
      this.ws.ping(String(n));
      // Else nothing is read meanwhile.
      if (n % 100 === 0) await setImmediate();
    }
    await last;
    return [this.pongs, await answered];
  }

  async flood_pongs(count) {
    for (let n = 1; n <= count; n++) {
      this.ws.pong("not asked for");
      if (n % 100 === 0) await setImmediate();
    }
  }

  // Begins a message of so many bytes, and is gone.
  vanish(size) {
    this.ws.send(`"${" ".repeat(size)}"`);
    this.ws.terminate();
  }

  // Reads no more.
  pause() {
    this.ws.pause();
  }

  terminate() {
    this.ws.terminate();
  }

  reset() {
    this.ws._socket.resetAndDestroy();
  }

  end() {
    this.ws._socket.end();
  }

  misbehave(how) {
    const { ws } = this;
    // A client's frames are masked, and a server's are not.
    if (how === "mask") ws.send("{}", { mask: ws.isServer });
    else if (how === "opcode") ws._socket.write(ws.isServer ? "\x83\0" : "\x83\x80\0\0\0\0", "latin1");
    else if (how === "text") ws.send(Buffer.of(0x22, 0xff, 0x22), { binary: false });
    else if (how === "unfinished text") ws.send(Buffer.of(0x22, 0xff), { binary: false, fin: false });
    else if (how === "empty fragments") for (let n = 0; n < 100; n++) ws.send("", { fin: false });
    else super.misbehave(how);
  }
}

const [library, identity] = process.argv.slice(2);
const peer = new { ws: Ws, undici: Undici }[library](identity);
console.log("READY");
for await (const line of createInterface({ input: process.stdin })) {
  const [command, ...args] = JSON.parse(line);
  console.log(JSON.stringify((await peer[command](...args)) ?? null));
}
// Connections may still be open.
process.exit();
