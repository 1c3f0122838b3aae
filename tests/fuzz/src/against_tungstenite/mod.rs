//! A session over a WebSocket, next to `tungstenite`.

mod conversation;
mod difference;
mod judged;
mod library;

use crate::{
    websocket::{
        model,
        schedule::{Schedule, Step},
    },
    world,
};

/// The library sets aside what a frame declares.
const LIMIT: usize = 1_000_000;

/// The bytes are a schedule, as for [`a_websocket_does_as_its_model`](crate::a_websocket_does_as_its_model). Its stream is read by
/// a session and by the library; and then the two talk to each other, as the schedule has it.
///
/// # Panics
///
/// Where the two find other messages in the stream, or another end; or where one does not understand the other.
pub fn a_websocket_does_as_tungstenite(bytes: &[u8]) {
    let Some(mut schedule) = Schedule::read(bytes) else { return };
    schedule.setup.limit = schedule.setup.limit.min(LIMIT);
    schedule.setup.frame_timeout = None;
    let Schedule { setup, stream, .. } = &schedule;
    let mut pieces = schedule.steps.iter().filter_map(|step| match step {
        Step::Write { piece, .. } => Some(*piece),
        _ => None,
    });
    let cuts = [pieces.next().unwrap_or(usize::MAX), pieces.next().unwrap_or(1)];
    let model = model::read(stream, setup.is_server, setup.limit);
    world::block_on(async {
        judged::agree(setup, stream, cuts).await;
        conversation::understand_each_other(&schedule, &model, cuts[0]).await;
    });
}
