//! Standard input and output: of this process, and of one that it starts.

mod blocking;
mod child;
mod input;
mod listener;
mod output;
mod own;

pub use child::{ChildExit, ChildProcess, Spawn};
pub(crate) use listener::listen;
pub(crate) use own::Stdio;
