// A WebSocket with the API of browsers, which a test drives: in a page, and in Node.js by peer.mjs.
//
// It answers the method `echo`, and no other one ever.

export class Socket {
  #lastId = 0;

  // `connect` makes a WebSocket.
  constructor(connect) {
    this.connect = connect;
  }

  open(url) {
    const ws = this.connect(url);
    this.use(ws);
    return new Promise((resolve, reject) => {
      ws.addEventListener("open", () => resolve(null));
      ws.addEventListener("close", ({ code }) => reject(new Error(`not open: ${code}`)));
    });
  }

  // Goes on with this connection.
  use(ws) {
    this.ws = ws;
    this.calls = new Map();
    this.errors = 0;
    this.ending = new Promise((resolve) =>
      ws.addEventListener("close", ({ code, reason, wasClean }) => resolve({ code, reason, clean: wasClean })),
    );
    ws.addEventListener("error", () => {});
    ws.addEventListener("message", ({ data }) => this.take(JSON.parse(data)));
  }

  take({ id, method, params, ...reply }) {
    if (method === "echo") return this.send(JSON.stringify({ jsonrpc: "2.0", id, result: params }));
    if (method !== undefined) return;
    if (this.calls.has(id)) this.calls.get(id)(reply.result);
    else this.errors += 1;
  }

  send(text) {
    this.ws.send(text);
  }

  // The text of a request, and what becomes of it.
  asked(method, params) {
    const id = ++this.#lastId;
    const answer = new Promise((resolve) => this.calls.set(id, resolve));
    return [JSON.stringify({ jsonrpc: "2.0", id, method, params }), answer];
  }

  begin(method, ...params) {
    this.send(this.asked(method, params)[0]);
  }

  // Whether a text, so many times over, comes back.
  async echo(text, times) {
    const [request, answer] = this.asked("echo", [text.repeat(times)]);
    this.send(request);
    return (await answer)?.[0] === text.repeat(times);
  }

  // Whether a text of so many characters comes.
  async long(size) {
    const [request, answer] = this.asked("long", [size]);
    this.send(request);
    return (await answer) === "x".repeat(size);
  }

  // How many of so many small requests, sent one behind the other, are answered in full.
  async many(count) {
    const answers = await Promise.all([...Array(count).keys()].map((n) => this.echo(String(n), 1)));
    return answers.filter((isSame) => isSame).length;
  }

  // How many empty messages are answered.
  async empty(count) {
    this.errors = 0;
    for (let n = 0; n < count; n++) this.send("");
    // What comes behind them is answered behind them.
    await this.echo("", 1);
    return this.errors;
  }

  misbehave(how) {
    // More than is forgiven.
    if (how === "rubbish") for (let n = 0; n < 20; n++) this.send("{");
    if (how === "size") this.send(" ".repeat(8_000_000));
  }

  close(...codeAndReason) {
    this.ws.close(...codeAndReason);
  }

  ended() {
    return this.ending;
  }
}
