//! Sessions over WebSocket.

mod closing;
mod conversation;
mod handshakes;
mod hostile;
mod keep_alive;
mod web;
