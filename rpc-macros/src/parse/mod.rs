//! From syntax to the model. Reads, and reports every mistake at its token; changes and generates nothing.

mod error;
mod method;
mod param;
mod reply;
mod service;

pub(crate) use error::{error_type, place};
pub(crate) use service::{names, service, visible_method};
