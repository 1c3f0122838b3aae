//! Real peers: Python's `aiorpcx`, over TCP on this machine, as a client of our server and as the server of our client; and `curl`.
//!
//! `cargo test -p rpc-tests --test interop` runs them. They need Python (see [`python`]) and `curl`.

mod curl;
mod lost;
mod our_client;
mod our_server;
mod python;
mod service;
mod subscriptions;
mod versions;
mod websocket;
