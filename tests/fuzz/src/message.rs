//! Any bytes as one message.

use rpc::{
    Dispatcher, ErrorObject, Protocol,
    jsonrpc::{Connection, Event},
};

use crate::{answers, world};

/// More than the text around an id in any error that is sent of its own accord, with sixty characters of the peer's in it.
const ERROR: usize = 600;

/// A connection reads `bytes`, and answers what is to be answered. A dispatcher must find the same.
///
/// # Panics
///
/// Where an answer is no JSON on one line, is due and does not come, has another id than its request, or is much larger than what
/// it answers.
pub fn any_bytes_are_a_message(protocol: Protocol, bytes: &[u8]) {
    let answered = answered_by_connection(protocol, bytes);
    assert_eq!(answered, answered_by_dispatcher(protocol, bytes), "the dispatcher answers others");
}

/// The ids of the answers, in the order of the message.
fn answered_by_connection(protocol: Protocol, frame: &[u8]) -> Vec<String> {
    let mut connection = Connection::<()>::new(protocol);
    let mut out = Vec::new();
    let mut read = connection.events(frame);
    let events: Vec<_> = std::iter::from_fn(|| read.next(&mut connection, &mut out)).collect();
    let refused = check_refusals(frame, &out, &events);

    let mut sent = answers::ids_of_requests(frame).into_iter();
    let mut expected = Vec::new();
    let mut due = 0;
    for event in events {
        match event {
            Event::Request { ticket, .. } => {
                assert!(out.is_empty(), "it was answered before it is complete");
                due += 1;
                let id = ticket.id().to_json();
                assert!(sent.any(|sent| sent == id), "there is no id {id} in it, or not there");
                expected.push(id);
                connection.respond(&mut out, ticket, &Ok::<_, ErrorObject>("x"));
            }
            Event::Notification { .. } | Event::Unasked(_) | Event::Refused { .. } => {}
            other => panic!("it has no calls in flight: {other:?}"),
        }
    }
    assert!(connection.is_empty());
    assert_eq!(connection.batches_in_progress(), 0, "everything was answered");
    if due == 0 && refused == 0 {
        assert!(out.is_empty(), "there is nothing to answer");
    }
    check_lines(frame, &out);
    assert!(
        out.len() <= frame.len() + (due + refused).max(1) * ERROR,
        "{} bytes for {}",
        out.len(),
        frame.len()
    );
    if out.is_empty() {
        assert_eq!(due, 0, "a request was not answered");
        return Vec::new();
    }
    let ids = answers::ids(&out);
    // Requests are answered in their order, with what was refused in between.
    let mut answers = ids.iter();
    assert!(expected.iter().all(|id| answers.any(|answer| answer == id)), "{expected:?}: {ids:?}");
    assert!(ids.len() <= due + refused);
    ids
}

/// What is said at once is one message, and not much longer than what it answers. Gives the number of mistakes.
fn check_refusals<T>(frame: &[u8], out: &[u8], events: &[Event<'_, T>]) -> usize {
    let refused = events.iter().filter(|event| matches!(event, Event::Refused { .. })).count();
    let longest = |events: usize| frame.len() + events.max(1) * ERROR;
    assert!(
        out.len() <= longest(refused),
        "{} bytes for {}: the peer pays less than we do",
        out.len(),
        frame.len()
    );
    if !out.is_empty() {
        assert!(refused > 0, "an answer, and nothing was wrong");
        assert!(answers::ids(out).len() <= refused);
    }
    refused
}

/// An id is sent back as it came, line breaks between the elements of an array included. No others are sent.
fn check_lines(frame: &[u8], out: &[u8]) {
    if !frame.contains(&b'\n') {
        assert!(!out.contains(&b'\n'), "an answer over several lines");
    }
}

fn answered_by_dispatcher(protocol: Protocol, frame: &[u8]) -> Vec<String> {
    thread_local! {
        static DISPATCHERS: [(Protocol, Dispatcher); 4] =
            [Protocol::V1, Protocol::V2, Protocol::Loose, Protocol::Detect]
                .map(|protocol| (protocol, world::dispatcher(protocol)));
    }
    let dispatcher = DISPATCHERS.with(|all| {
        all.iter().find(|(found, _)| *found == protocol).expect("every protocol is there").1.clone()
    });
    let answer = world::block_on(dispatcher.dispatch(frame));
    answer
        .map(|answer| {
            check_lines(frame, &answer);
            answers::ids(&answer)
        })
        .unwrap_or_default()
}
