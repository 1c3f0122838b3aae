//! A process that is started and called.

use std::process::Stdio;

use futures::StreamExt as _;
use rpc::{
    CallError, CloseReason, ConnectError, Connector, Extension, Limits, Session,
    framing::ContentLengthFramer,
    transport::stdio::{ChildExit, ChildProcess},
};
use rpc_tests::{Events, echo, soon};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};

use super::{patient, program, program_with};

async fn started(command: Command) -> Session {
    Connector::spawn(patient(command)).connect().await.expect("it can be started")
}

fn process_of(session: &Session) -> Extension<ChildProcess> {
    session.extensions().get::<ChildProcess>().expect("a process")
}

/// How the process ended, as the calls that were in flight learn it.
fn exit_in(reason: &CloseReason) -> &ChildExit {
    let CloseReason::Io(error) = reason else { panic!("{reason:?}") };
    error.get_ref().and_then(|error| error.downcast_ref()).unwrap_or_else(|| panic!("{error:?}"))
}

#[tokio::test]
async fn it_is_called_and_calls_back() {
    for name in ["serve", "connect", "take-again"] {
        let session =
            Connector::spawn(patient(program(name))).service(echo()).connect().await.expect("it starts");
        assert_eq!(session.peer().to_string(), "stdio:");
        for method in ["echo", "later", "call_back"] {
            let answer: Value = soon(session.call(method, ("hello",))).await.expect("it answers");
            assert_eq!(answer, json!(["hello"]), "{name}: {method}");
        }
        soon(session.close()).await;
        let status = soon(process_of(&session).exited()).await.expect("it is known");
        assert!(status.success(), "{name}: {status}");
    }
}

#[tokio::test]
async fn messages_larger_than_any_pipe_go_both_ways_at_once() {
    let mut limits = Limits::unlimited();
    limits.frame_size = 20 << 20;
    let connector = Connector::spawn(program("serve")).service(echo()).limits(limits);
    let session = connector.connect().await.expect("it starts");
    let text = "x".repeat(2 << 20);
    let calls = (0..4).map(|_| session.call::<Value>("call_back", (&text,)).without_timeout());
    for answer in soon(futures::future::join_all(calls.map(IntoFuture::into_future))).await {
        assert!(answer.expect("it answers")[0] == text.as_str());
    }
    soon(session.close()).await;
}

#[tokio::test]
async fn a_framing_with_headers_works_too() {
    let connector = Connector::spawn(program("serve-headers")).framer(ContentLengthFramer::new());
    let session = connector.connect().await.expect("it starts");
    let answer: Value = soon(session.call("echo", (1,))).await.expect("it answers");
    assert_eq!(answer, json!([1]));
    soon(session.close()).await;
}

#[tokio::test]
async fn what_cannot_be_started_is_named() {
    let error =
        Connector::spawn(Command::new("/no/such/program")).connect().await.expect_err("it is not there");
    assert!(
        matches!(&error, ConnectError::Spawn { program, .. } if program == "/no/such/program"),
        "{error:?}"
    );
    let told = rpc::chain(&error).to_string();
    assert!(told.starts_with("cannot start `/no/such/program`: No such file"), "{told}");
}

#[tokio::test]
async fn a_call_in_flight_learns_how_the_process_has_ended() {
    let session = started(program("serve")).await;
    let waiting = session.call::<Value>("exit", (7,)).without_timeout();
    let Err(CallError::Closed { reason, .. }) = soon(waiting).await else { panic!("it has ended") };
    assert_eq!(exit_in(&reason).status.code(), Some(7));
    let told = rpc::chain(&reason).to_string();
    assert!(told.starts_with("the connection was lost: the process `"), "{told}");
    assert!(told.ends_with("stdio-peer` has ended: exit status: 7"), "{told}");
    assert_eq!(soon(process_of(&session).exited()).await.expect("it is known").code(), Some(7));
}

#[tokio::test]
async fn a_process_that_ends_at_once_ends_the_session() {
    let failing = started(program_with("exit", "9")).await;
    assert_eq!(exit_in(&soon(failing.closed()).await).status.code(), Some(9));
    // Whatever was asked before it was noticed.
    let failing = started(program_with("exit", "9")).await;
    let asked = soon(failing.call::<Value>("echo", (1,)).without_timeout()).await;
    let Err(CallError::Closed { reason, .. }) = asked else { panic!("{asked:?}") };
    assert_eq!(exit_in(&reason).status.code(), Some(9));

    let done = started(program_with("exit", "0")).await;
    let reason = soon(done.closed()).await;
    assert_eq!(exit_in(&reason).status.code(), Some(0));
    let told = rpc::chain(&reason).to_string();
    assert!(told.ends_with("stdio-peer` has ended: exit status: 0"), "{told}");
    assert_eq!(process_of(&done).exit_status().map(|status| status.success()), Some(true));
}

/// It has read one of two requests, answered it and ended, before the second one is written.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_it_answered_before_it_ended_is_not_lost() {
    let session = started(program("answer-one")).await;
    let call = |method: &'static str| {
        let session = session.clone();
        tokio::spawn(async move { session.call::<String>(method, ()).without_timeout().await })
    };
    let first = call("first");
    soon(async {
        while session.statistics().messages_sent == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // On one thread: nothing else goes on meanwhile.
    let stat = format!("/proc/{}/stat", process_of(&session).id());
    while !std::fs::read_to_string(&stat).expect("nobody has waited for it").contains(") Z ") {
        std::thread::yield_now();
    }
    let second = call("second");
    let answer = soon(first).await.expect("no panic");
    assert_eq!(answer.expect("it was answered"), "answered");
    let unanswered = soon(second).await.expect("no panic");
    let Err(CallError::Closed { reason, .. }) = unanswered else { panic!("{unanswered:?}") };
    assert_eq!(exit_in(&reason).status.code(), Some(3));
}

#[cfg(unix)]
#[tokio::test]
async fn a_process_that_closes_its_input_is_noticed() {
    let mut deaf = Command::new("sh");
    deaf.args(["-c", r#"exec 0<&-; echo '{"jsonrpc":"2.0","method":"deaf"}'; exec sleep 1000"#]);
    let process = rpc::transport::stdio::Spawn::new(deaf).exit_timeout(std::time::Duration::ZERO);
    let session = Connector::spawn(process).connect().await.expect("it starts");
    let mut told = session.notifications::<()>("deaf");
    soon(told.next()).await;
    let asked = soon(session.call::<Value>("echo", (1,)).without_timeout()).await;
    let Err(CallError::Closed { reason: CloseReason::Io(error), .. }) = asked else { panic!("{asked:?}") };
    assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
}

#[cfg(unix)]
#[tokio::test]
async fn a_process_that_has_ended_is_gone_although_another_one_has_its_output() {
    let session = started(program("leave-an-heir")).await;
    assert_eq!(exit_in(&soon(session.closed()).await).status.code(), Some(5));
}

#[tokio::test]
async fn lines_that_are_no_messages_are_passed_over() {
    let session = started(program_with("print-first", "npm warn config\n\nstarting ...")).await;
    let answer: Value = soon(session.call("echo", (1,))).await.expect("it answers");
    assert_eq!(answer, json!([1]));
    soon(session.close()).await;
    assert!(process_of(&session).exit_status().expect("it has ended").success());
}

#[tokio::test]
async fn what_makes_no_sense_as_headers_ends_the_session_and_the_process() {
    let command = program_with("print-first", "npm warn config\r\n\r\n");
    let connector = Connector::spawn(patient(command)).framer(ContentLengthFramer::new());
    let session = connector.connect().await.expect("it starts");
    let reason = soon(session.closed()).await;
    assert!(matches!(reason, CloseReason::WrongProtocol { .. }), "{reason:?}");
    let status = soon(process_of(&session).exited()).await.expect("it is known");
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn standard_error_can_be_read() {
    let mut command = program("serve");
    command.stderr(Stdio::piped());
    let session = started(command).await;
    let stderr = process_of(&session).take_stderr().expect("it is a pipe");
    assert!(process_of(&session).take_stderr().is_none());
    soon(session.call::<()>("say", ("a word",))).await.expect("it answers");
    let line = soon(BufReader::new(stderr).lines().next_line()).await.expect("it is read");
    assert_eq!(line.as_deref(), Some("a word"));
    soon(session.close()).await;
}

/// Several of them can be told apart.
#[tokio::test]
async fn the_log_has_the_program_and_its_number() {
    let events = Events::capture();
    let session = started(program("serve")).await;
    let id = process_of(&session).id().to_string();
    soon(session.close()).await;
    for message in ["session opened", "session closed"] {
        let of = |event: &rpc_tests::Event| event.field("session") == session.id().to_string();
        let told: Vec<_> = events.of(message).into_iter().filter(of).collect();
        let [event] = &told[..] else { panic!("{message}: {told:?}") };
        assert_eq!(event.field("process.pid"), id, "{event:?}");
        let name = event.field("program");
        assert!(name.contains("stdio-peer") && !name.contains('/'), "{event:?}");
        assert_eq!(event.field("network.peer.address"), "stdio:");
    }
}
