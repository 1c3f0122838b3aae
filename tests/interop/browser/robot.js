// Does in a page what the test says, which calls it. Where to connect for that is behind the `?` of the page's URL.

import * as rpc from "/robot/rpc.js";

const { RpcError, RpcSession } = rpc;
const AsyncFunction = (async () => {}).constructor;
Object.assign(globalThis, rpc);

const outcome = (thrown) => {
  if (!(thrown instanceof RpcError)) return { thrown: String(thrown) };
  const { code, message, data } = thrown;
  return { error: { code, message, data } };
};

const test = await RpcSession.open(decodeURIComponent(location.search.slice(1)), {
  // What the code returns, or what it throws. What it puts into `globalThis` stays there.
  run: (code) => new AsyncFunction(code)().then((result) => ({ result: result ?? null }), outcome),
  // Whoever has said it hears of the next page.
  visit: (url) => void location.assign(url),
});
await test.call("ready");
