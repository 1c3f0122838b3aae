//! Real peers, on this machine, as clients of our servers and as the servers of our clients: Python's `aiorpcx` over TCP, TLS, Unix sockets and
//! WebSocket, and `vscode-jsonrpc` of Node.js over TCP and standard input and output; `curl`; a page in Chromium over HTTP and WebSocket; and SOCKS
//! servers of Debian's between our client and our server.
//!
//! The WebSocket libraries of Node.js, Python and Chromium are peers of their own: see [`websocket`].
//!
//! `cargo test -p rpc-tests --test interop` runs them. They need Python, Node.js with npm, `curl`, Chromium and the servers: see [`python`],
//! [`vscode`], [`browser`] and [`proxies`].

mod browser;
mod curl;
mod driven;
mod given_up;
mod lost;
mod npm;
mod our_client;
mod our_server;
mod proxies;
mod python;
mod roads;
mod service;
mod socks;
mod subscriptions;
mod versions;
mod vscode;
mod websocket;
