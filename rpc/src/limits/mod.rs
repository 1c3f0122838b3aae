//! The numbers that bound what a peer can cost, and the arithmetic on them. No clock in here: `now` is passed in.

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
