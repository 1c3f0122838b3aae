//! TCP: connecting to whichever address of a host answers first, and listening at all of them. Needs the feature `tcp`.
//!
//! [`TcpOptions`] are given to [`Connector::tcp`](crate::Connector::tcp) and [`Listen::tcp`](crate::Listen::tcp).

mod attempts;
mod connect;
mod listen;
mod options;
mod race;
mod resolve;

pub use attempts::ConnectAttempts;
pub(crate) use connect::connect;
pub(crate) use listen::{ListenOptions, listen};
pub use options::{TcpKeepAlive, TcpOptions};
