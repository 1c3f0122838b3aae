// JSON-RPC 2.0 over a WebSocket, both ways: calls, notifications, batches, subscriptions, and answers to what the server calls here.
// It needs nothing else. Take it, and change it as you like.
//
// Parameters are an array (by position) or an object (by name).

/** An error as it travels: what the server answers, or what a handler throws for the server to see. */
export class RpcError extends Error {
  constructor({ code, message, data }) {
    super(message);
    Object.assign(this, { name: "RpcError", code, data });
  }
}

/** One call over HTTP, for those who need no session. `headers` may say who is calling. */
export async function post(url, method, params = [], headers = {}) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
  });
  // A refusal of the service is JSON, too. What stands before it may answer with something else.
  if (!response.headers.get("content-type")?.startsWith("application/json")) throw new Error(`HTTP status ${response.status}`);
  const { result, error } = await response.json();
  if (error) throw new RpcError(error);
  return result;
}

/** A WebSocket on which both sides call. `closed` resolves to the code and the reason of its end. */
export class RpcSession {
  #socket;
  #handlers;
  #lastId = 0;
  #calls = new Map();
  #subscriptions = new Map();

  /** Opens one. `handlers` has what the server may call here, by name: functions, async where they like. */
  static async open(url, handlers = {}) {
    const address = new URL(url, location.href);
    address.protocol = address.protocol.replace("http", "ws");
    const session = new RpcSession(new WebSocket(address), handlers);
    await new Promise((resolve, reject) => {
      session.#socket.onopen = resolve;
      session.closed.then(({ code }) => reject(new Error(`no session with ${address}: ${code}`)));
    });
    return session;
  }

  constructor(socket, handlers) {
    this.#socket = socket;
    this.#handlers = new Map(Object.entries(handlers));
    socket.onmessage = ({ data }) => this.#read(JSON.parse(data));
    this.closed = new Promise((resolve) => {
      socket.onclose = ({ code, reason }) => resolve(this.#end(code, reason));
    });
  }

  /** Resolves to the result, or throws the `RpcError` that the server answers with. */
  async call(method, params) {
    const [request, answer] = this.#request(method, params);
    this.#send(request);
    return answer;
  }

  /** Nobody answers it. */
  notify(method, params = []) {
    this.#send({ jsonrpc: "2.0", method, params });
  }

  /** Several calls in one message, each `[method, params]`. Resolves to what `Promise.allSettled` says of their answers. */
  async batch(calls) {
    const requests = calls.map(([method, params]) => this.#request(method, params));
    this.#send(requests.map(([request]) => request));
    return Promise.allSettled(requests.map(([, answer]) => answer));
  }

  /** `for await (const item of await session.subscribe("ticks", [100])) …`; to leave the loop is to unsubscribe. */
  async subscribe(method, params, unsubscribe = `unsubscribe_${method}`) {
    const [request, answer] = this.#request(method, params);
    // The white space says that this side takes `rpc.ended` and `rpc.lost`: a page has no header to say it in.
    this.#write(JSON.stringify(request).replace(/}$/, " \t}"));
    const id = await answer;
    const items = new Subscription(() => {
      this.#subscriptions.delete(id);
      return this.call(unsubscribe, [id]);
    });
    // In time for the first item: that is a message of its own, and comes after this.
    this.#subscriptions.set(id, items);
    return items;
  }

  close() {
    this.#socket.close(1000);
  }

  #request(method, params = []) {
    const id = ++this.#lastId;
    const answer = new Promise((resolve, reject) => this.#calls.set(id, { resolve, reject }));
    return [{ jsonrpc: "2.0", id, method, params }, answer];
  }

  #send(message) {
    this.#write(JSON.stringify(message));
  }

  #write(text) {
    // A socket that is closed takes what it is given, and forgets it.
    if (this.#socket.readyState !== WebSocket.OPEN) throw new Error("the session has ended");
    this.#socket.send(text);
  }

  async #read(message) {
    const messages = Array.isArray(message) ? message : [message];
    const answers = (await Promise.all(messages.map((one) => this.#take(one)))).filter(Boolean);
    if (answers.length === 0 || this.#socket.readyState !== WebSocket.OPEN) return;
    this.#send(Array.isArray(message) ? answers : answers[0]);
  }

  /** Gives the answer, where there is to be one. */
  async #take({ id, method, params, result, error }) {
    if (method === undefined) return this.#settle(id, result, error);
    if (id === undefined && this.#isItem(method, params)) return;
    const handler = this.#handlers.get(method);
    try {
      if (!handler) throw new RpcError({ code: -32601, message: `there is no method ${method}` });
      const result = await (Array.isArray(params) ? handler(...params) : handler(params));
      if (id !== undefined) return { jsonrpc: "2.0", id, result: result ?? null };
    } catch (thrown) {
      if (!(thrown instanceof RpcError)) console.error(thrown);
      const { code, message, data } = thrown instanceof RpcError ? thrown : { code: -32603, message: "internal error" };
      if (id !== undefined) return { jsonrpc: "2.0", id, error: { code, message, data } };
    }
  }

  #settle(id, result, error) {
    const call = this.#calls.get(id);
    this.#calls.delete(id);
    if (!call) console.warn("an answer to nothing that was asked", id, error);
    else if (error) call.reject(new RpcError(error));
    else call.resolve(result);
  }

  /** Takes what is about a subscription: an item, its end, or how many items the server has left out. */
  #isItem(method, params) {
    const items = this.#subscriptions.get(params?.subscription);
    if (!items) return false;
    if (method === "rpc.lost") items.lost += params.items;
    else if (method !== "rpc.ended") items.push(params.result);
    else {
      this.#subscriptions.delete(params.subscription);
      items.end(params.error && new RpcError(params.error));
    }
    return true;
  }

  #end(code, reason) {
    const error = new Error(`the session has ended: ${code} ${reason}`);
    for (const call of this.#calls.values()) call.reject(error);
    for (const items of this.#subscriptions.values()) items.end(error);
    this.#calls.clear();
    this.#subscriptions.clear();
    return { code, reason };
  }
}

/** The items of a subscription, for `for await`. They wait here until they are taken. `return()` ends it from outside of the loop. */
class Subscription {
  /** How many items the server has left out, because they were not taken fast enough. */
  lost = 0;
  #items = [];
  #ended = false;
  #error;
  #unsubscribe;
  #change = Promise.withResolvers();

  constructor(unsubscribe) {
    this.#unsubscribe = unsubscribe;
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  async next() {
    while (this.#items.length === 0 && !this.#ended) await this.#change.promise;
    if (this.#items.length > 0) return { done: false, value: this.#items.shift() };
    const error = this.#error;
    this.#error = undefined;
    if (error) throw error;
    return { done: true, value: undefined };
  }

  async return() {
    const hasToBeSaid = !this.#ended;
    this.#items = [];
    this.end();
    // Where it fails, the session has ended, and the subscription with it.
    if (hasToBeSaid) await this.#unsubscribe().catch(() => {});
    return { done: true, value: undefined };
  }

  push(item) {
    this.#items.push(item);
    this.#tell();
  }

  end(error) {
    this.#ended = true;
    this.#error = error;
    this.#tell();
  }

  #tell() {
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }
}
