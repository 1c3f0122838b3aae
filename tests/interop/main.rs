//! Real peers, on this machine, as clients of our servers and as the servers of our clients: Python's `aiorpcx` over TCP, TLS
//! and Unix sockets, and `vscode-jsonrpc` of Node.js over TCP, standard input and output.
//!
//! `cargo test -p rpc-tests --test interop` runs them. They need Python, Node.js and npm: see [`python`] and [`vscode`].

mod driven;
mod lost;
mod our_client;
mod our_server;
mod python;
mod roads;
mod service;
mod subscriptions;
mod versions;
mod vscode;
