//! Standard input and output: a program that serves there, and one that is started to be talked to.

mod child;
mod ending;
mod own;

use tokio::process::Command;

/// One of the programs in `tests/stdio`.
fn program(name: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stdio-peer"));
    command.arg(name);
    command
}

/// The same, with an argument.
fn program_with(name: &str, argument: &str) -> Command {
    let mut command = program(name);
    command.arg(argument);
    command
}
