//! Standard input and output: of this process, and of one that it starts.
//!
//! # A program that serves the one that has started it
//!
//! Language servers and tools of the Model Context Protocol speak over their standard input and output. The URL is `stdio:`, for listening as well
//! as for connecting. Feature `stdio`, on by default.
//!
//! ```no_run
//! use rpc::{BindError, Router, Server, framing::ContentLengthFramer};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), BindError> {
//!     let server = Server::builder().service(Router::new()).framer(ContentLengthFramer::new()).bind("stdio:").await?;
//!     // Returns when the session has ended: nobody else comes this way.
//!     server.start().closed().await;
//!     Ok(())
//! }
//! ```
//!
//! - **Nothing else may be printed** to standard output: it would stand among the messages. Log to standard error.
//! - A process has one standard input: it is taken once, and not given back when it was read.
//! - `main` may return although nobody has closed the input: it is read by a thread that nobody waits for. (Tokio's own standard input would keep the
//!   runtime, and so the process, until the next byte.)
//! - The descriptors stay as they are, blocking or not: whoever shares them is not disturbed. Pipes, sockets, files and terminals will do.
//! - The peer sees the end of the output when the process ends.
//!
//! # A process that is started to be talked to
//!
//! [`Connector::spawn`](crate::Connector::spawn) starts one, and its standard input and output become the connection:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use rpc::{CallError, CloseReason, Connector, transport::stdio::{ChildExit, ChildProcess}};
//! use tokio::process::Command;
//!
//! let session = Connector::spawn(Command::new("my-tool")).connect().await?;
//! match session.call::<Vec<String>>("tools/list", ()).await {
//!     Ok(tools) => println!("{tools:?}"),
//!     Err(CallError::Closed { reason: CloseReason::Io(error), .. }) if error.get_ref().is_some_and(|error| error.is::<ChildExit>()) => {
//!         println!("it has failed: {error}");         // "the process `my-tool` has ended: exit status: 1"
//!     }
//!     Err(other) => return Err(other.into()),
//! }
//! session.close().await;
//! let process = session.extensions().get::<ChildProcess>().expect("there is one");
//! println!("{}", process.exited().await?);
//! # Ok(()) }
//! ```
//!
//! Whatever ends the session ends the process: its standard input is closed; after [`Spawn::exit_timeout`](Spawn::exit_timeout) (2 s)
//! it is told to end (SIGTERM, where there are signals), after [`Spawn::terminate_timeout`](Spawn::terminate_timeout) (2 s more) it is
//! killed. `Session::close` waits for that. And whatever ends the process ends the session: one that fails with
//! [`ChildExit`], as one does that ends well, after everything that it has written was read: the status tells. One that closes
//! its standard output and goes on ends it with [`CloseReason::Peer`](crate::CloseReason::Peer).
//!
//! Lines of text that it prints before its first message are passed over, where messages are lines. If no message comes at all, the end of
//! the session says what came instead: [`CloseReason::WrongProtocol`](crate::CloseReason::WrongProtocol), or [`ChildExit::printed`].

mod blocking;
mod child;
mod input;
mod listener;
mod output;
mod own;

pub use child::{ChildExit, ChildProcess, Spawn};
pub(crate) use listener::listen;
pub(crate) use own::Stdio;
