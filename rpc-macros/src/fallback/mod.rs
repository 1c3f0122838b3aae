//! What is expanded to beside the reported mistakes: items under the names that there would have been, which do
//! nothing. Code that uses them compiles as before, so that only the mistake itself is reported. None of it ever runs.

mod error;
mod service;

pub(crate) use error::error_type;
pub(crate) use service::service;
