//! Standard input and output: a program that serves there, and one that is started to be talked to.

mod child;
mod ending;
mod own;

use std::time::Duration;

use rpc::transport::stdio::Spawn;
use tokio::process::Command;

const LONG: Duration = Duration::from_secs(3_600);

/// One of the programs in `tests/stdio`.
pub(crate) fn program(name: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stdio-peer"));
    command.arg(name);
    command
}

/// The same, with an argument.
pub(crate) fn program_with(name: &str, argument: &str) -> Command {
    let mut command = program(name);
    command.arg(argument);
    command
}

/// Started so that it has all the time that it needs to end: when it has ended well, nobody has helped.
fn patient(command: Command) -> Spawn {
    Spawn::new(command).exit_timeout(LONG).terminate_timeout(LONG)
}
