//! Sessions over WebSocket.

mod autobahn;
mod closing;
mod conversation;
mod cuts;
mod endings;
mod floods;
mod handshakes;
mod hostile;
mod keep_alive;
mod roads;
mod sending;
mod web;
