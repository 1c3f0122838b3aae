//! Standard input and output: of this process, and of one that it starts.

mod blocking;
mod child;
mod input;
mod listener;
mod output;
mod own;

pub(crate) use child::ChildStream;
pub use child::{ChildExit, ChildProcess, Spawn};
pub(crate) use listener::StdioListener;
pub(crate) use own::Stdio;
