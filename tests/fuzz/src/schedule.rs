//! Two connections, and everything that can happen between them.

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use rpc::Protocol::{self, Detect, Loose, V1, V2};
use rpc_tests::conversation::{Conversation, Kind, Shape, Step, Who};

/// The first byte says what both speak; the rest are the steps.
///
/// # Panics
///
/// Where the books are not right: a call ends twice or with the answer to another, an id is used again, something is left in the
/// end.
pub fn any_schedule_keeps_the_books(bytes: &[u8]) {
    let mut bytes = Unstructured::new(bytes);
    let Ok(number) = bytes.arbitrary::<u8>() else { return };
    let [a, b] = [number % 4, number / 4 % 4].map(protocol);
    let mut conversation = Conversation::rude(a, b);
    while let Ok(step) = step(&mut bytes) {
        conversation.step(&step);
    }
    conversation.settle();
    conversation.hang_up();
}

const fn protocol(number: u8) -> Protocol {
    match number {
        0 => V1,
        1 => V2,
        2 => Loose,
        _ => Detect,
    }
}

/// Bytes that run out end the schedule: what `arbitrary` makes of none would go on for ever.
fn step(bytes: &mut Unstructured<'_>) -> Result<Step> {
    let [what, number] = [byte(bytes)?, byte(bytes)?];
    let who = if what & 1 == 0 { Who::A } else { Who::B };
    let which = usize::from(number);
    Ok(match what >> 1 & 15 {
        0 | 1 => Step::Send(who, kind(number)),
        2 => {
            let members = (0..number & 7).map(|_| Ok(kind(byte(bytes)?)));
            Step::Batch(who, members.collect::<Result<_>>()?)
        }
        3..=5 => Step::Answer(who, which, what & 128 != 0),
        6 | 7 => Step::Flow(who, usize::MAX),
        8 | 9 => Step::Flow(who, which),
        10 => Step::Forget(who, which),
        11 => Step::Lose(who, which),
        12 => Step::Double(who, which),
        13 => Step::Delay(who, which),
        _ => {
            let length = which.min(bytes.len());
            Step::MakeUp(who, bytes.bytes(length)?.to_vec())
        }
    })
}

const fn kind(number: u8) -> Kind {
    let shape = if number & 2 == 0 { Shape::Positional } else { Shape::Named };
    if number & 1 == 0 { Kind::Call(shape) } else { Kind::Notification(shape) }
}

fn byte(bytes: &mut Unstructured<'_>) -> Result<u8> {
    bytes.bytes(1).map(|byte| byte[0])
}
