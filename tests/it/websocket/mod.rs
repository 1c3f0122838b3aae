//! Sessions over WebSocket.

mod autobahn;
mod closing;
mod conversation;
mod handshakes;
mod hostile;
mod keep_alive;
mod web;
