//! Real peers: Python's `aiorpcx`, over TCP on this machine, as a client of our server and as the server of our client; `curl`; and SOCKS
//! servers of Debian's between our client and our server.
//!
//! `cargo test -p rpc-tests --test interop` runs them. They need Python, `curl` and the servers: see [`python`] and [`proxies`].

mod curl;
mod lost;
mod our_client;
mod our_server;
mod proxies;
mod python;
mod service;
mod socks;
mod subscriptions;
mod versions;
