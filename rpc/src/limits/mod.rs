//! The limits of what a peer can use, and the arithmetic on them. There is no clock here: `now` is
//! passed in.

mod accounts;
mod adaptive;
pub(crate) mod deadline;
mod fields;
mod groups;
mod keep_alive;
mod values;

pub(crate) use accounts::{Accounts, OverLimit, Rules};
pub(crate) use adaptive::{Cost, ResponseTimes, Throttle};
pub(crate) use fields::{LiveLimits, Reached};
pub use groups::{GroupKey, Groups, Network, NetworkError};
pub use keep_alive::KeepAlive;
pub use values::Limits;
