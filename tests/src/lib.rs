//! What the tests share: peers played by hand, handlers that wait until they are let go, time that stands still, and the events
//! that were logged.

#![allow(clippy::missing_panics_doc, reason = "panicking is how a test says what is wrong")]

mod acts;
mod cable;
mod calc;
mod certificates;
mod child;
mod choppy;
pub mod circles;
pub mod conversation;
mod events;
mod failing;
mod faulty;
mod framed_peer;
pub mod frames;
mod full;
mod gate;
mod hoard;
pub mod http;
pub mod layers;
mod random;
mod raw;
mod relay;
mod routes;
mod scratch;
mod time;
pub mod websocket;
mod work;

pub use acts::{Ending, act};
pub use cable::Cable;
pub use calc::{Calc, CalcClient, CalcServer, DivError, MyCalc};
pub use certificates::{Authority, Issued};
pub use child::{Child, is_child, soak_rounds};
pub use choppy::Choppy;
pub use events::{Event, Events};
pub use failing::Failing;
pub use faulty::{Fault, Faulty};
pub use framed_peer::FramedPeer;
pub use full::FullListener;
pub use gate::Gate;
pub use hoard::Hoard;
pub use random::Random;
pub use raw::{DeafPeer, Raw, marked};
pub use relay::{Relay, reset};
pub use routes::{echo, waiting};
pub use scratch::Scratch;
pub use time::{is_pending, settled, soon};
pub use work::{Counts, Work, WorkClient, WorkError, WorkServer, Worker};
