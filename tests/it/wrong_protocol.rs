//! The other side speaks something else. Whatever it is, the call ends at once, and the error has
//! the first bytes that came, what they look like, and what to use instead.

mod answers;
mod logged;
mod pairs;
mod processes;
mod speech;
mod strangers;

use rpc::Limits;

/// Nothing but what is found out at once ends a call.
fn endless() -> Limits {
    let mut limits = Limits::server();
    limits.call_timeout = None;
    limits.frame_timeout = None;
    limits.handshake_timeout = None;
    limits.idle_timeout = None;
    limits
}

/// That an error says all of this, in one line.
#[track_caller]
fn says(told: &str, facts: &[&str], what: &str) {
    for fact in facts {
        assert!(told.contains(fact), "{what}: {fact:?} is not in {told:?}");
    }
    assert!(!told.contains(char::is_control), "{what}: {told:?}");
}
