//! HTTP: the service that is mounted, and servers that listen.

mod asked;
mod bodies;
mod contexts;
mod floods;
mod gone;
mod held_back;
mod hostile;
mod hosts;
mod http2;
mod kit;
mod listening;
mod mounted;
mod our_client;
mod pages;
mod refused;
mod shielded;
mod times;
mod unread;
mod websocket;
