//! A session over a WebSocket, seen from outside, next to a model of what it must do.

mod check;
mod due;
pub(crate) mod frame;
pub(crate) mod model;
pub(crate) mod opened;
pub(crate) mod peer;
mod run;
pub(crate) mod schedule;
mod sent;

use run::Run;
use schedule::Schedule;

use crate::world;

/// The bytes are a schedule: what the peer sends, cut into pieces, and what else happens.
///
/// # Panics
///
/// Where the session takes other messages than the model, sends anything but what it was given, answers to pings and one Close, or
/// does not end when and how it has to.
pub fn a_websocket_does_as_its_model(bytes: &[u8]) {
    let Some(schedule) = Schedule::read(bytes) else { return };
    let model = model::read(&schedule.stream, schedule.setup.is_server, schedule.setup.limit);
    world::block_on(async {
        let mut run = Run::new(&schedule, model).await;
        for step in &schedule.steps {
            run.step(step).await;
        }
        run.finish(schedule.vanishes).await;
    });
}
