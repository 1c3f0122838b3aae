//! The integration tests: promises of the design, each named after what it guards.

mod macros;
