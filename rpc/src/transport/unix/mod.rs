//! Sockets that have a place in the file system, or (on Linux) a name of their own: reached by processes of the same machine only.

mod address;
mod connect;
mod credentials;
mod file;
mod listen;

pub(crate) use address::Address;
pub(crate) use connect::connect;
pub use credentials::PeerCredentials;
pub(crate) use listen::{ListenOptions, UnixListener};
