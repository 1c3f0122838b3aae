//! A process that is started to be talked to, over its standard input and output, and that is ended properly.

mod process;
mod spawn;
mod stream;

pub use process::{ChildExit, ChildProcess};
pub use spawn::Spawn;
use stream::ChildStream;
