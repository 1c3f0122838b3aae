//! What is logged has the causes, too: an event is all that is left of most errors.

use std::{error::Error, io};

use rpc::{CallError, CloseReason, Connector};
use rpc_tests::{Events, Failing};

use super::{PUMP, broken_pump};

#[tokio::test(start_paused = true)]
async fn the_end_of_a_session_is_logged_with_its_causes() {
    let events = Events::capture();
    let session = Connector::over(Failing::with(broken_pump)).connect().await.expect("it is open");
    let reason = session.closed().await;
    assert!(matches!(reason, CloseReason::Io(_)), "{reason:?}");
    let closed = events.of("session closed");
    assert_eq!(closed.len(), 1, "{:?}", events.all());
    let told = format!("the connection was lost: {}: {}", PUMP[0], PUMP[1]);
    assert_eq!(closed[0].field("reason"), told);

    let error = session.call::<u8>("sell", ()).await.expect_err("it is closed");
    assert!(matches!(error, CallError::Closed { .. }), "{error:?}");
    assert_eq!(
        rpc::chain(&error).to_string(),
        format!("the session is closed, and the call was not sent: {told}")
    );
}

/// The kind of an error and the error itself are there for a program to look at.
#[tokio::test(start_paused = true)]
async fn a_cause_is_the_one_that_was_there() {
    let session = Connector::over(Failing::with(broken_pump)).connect().await.expect("it is open");
    let CloseReason::Io(error) = session.closed().await else { panic!("another reason") };
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    assert!(error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<super::Pump>), "{error:?}");
}
