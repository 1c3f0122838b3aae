//! TCP: connecting to whichever address of a host answers first, and listening at all of them.

mod attempts;
mod connect;
mod listen;
mod options;
mod race;

pub use attempts::ConnectAttempts;
pub(crate) use connect::connect;
pub(crate) use listen::{ListenOptions, listen};
pub use options::{TcpKeepAlive, TcpOptions};
