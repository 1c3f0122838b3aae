//! What the fuzz targets check. A target is a file in `targets/` that hands its bytes to one of these.
//!
//! Only what `rpc` makes public is used: what is found here can happen to anyone.

mod against_tungstenite;
mod answers;
mod framer;
mod message;
mod schedule;
mod session;
mod websocket;
mod world;

pub use against_tungstenite::a_websocket_does_as_tungstenite;
pub use framer::frames_do_not_depend_on_the_cuts;
pub use message::any_bytes_are_a_message;
pub use schedule::any_schedule_keeps_the_books;
pub use session::a_session_answers_as_a_dispatcher_does;
pub use websocket::a_websocket_does_as_its_model;
