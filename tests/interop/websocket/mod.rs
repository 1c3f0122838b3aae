//! WebSockets with libraries that are in wide use: the packages `ws` and `undici` of Node.js, Python's `aiohttp` and `websockets`, and
//! Chromium. aiorpcX speaks JSON-RPC on one of them.

mod aiorpcx;
mod closed_by_peer;
mod closed_by_us;
mod floods;
mod kept_alive;
mod large;
mod page;
mod peer;
mod road;
