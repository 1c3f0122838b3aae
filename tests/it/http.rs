//! HTTP: the service that is mounted, and servers that listen.

mod asked;
mod bodies;
mod contexts;
mod ended;
mod floods;
mod gone;
mod guests;
mod held_back;
mod hostile;
mod hosts;
mod http2;
mod kit;
mod listening;
mod mounted;
mod notified;
mod our_client;
mod pages;
mod refused;
mod shielded;
mod times;
mod told;
mod unread;
mod websocket;
