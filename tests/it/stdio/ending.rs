//! A process that was started ends with its session, and leaves nothing behind.

use std::path::Path;

use futures::FutureExt as _;
use rpc::{
    Connector, Extension, Limits, Session,
    transport::stdio::{ChildProcess, Spawn},
};
use rpc_tests::soon;
use serde_json::Value;
use tokio::process::Command;

use super::{patient, program};

/// Starts a process that answers.
async fn started(spawn: Spawn) -> (Session, Extension<ChildProcess>) {
    // Closing has as long as it needs.
    let session = Connector::spawn(spawn).limits(Limits::unlimited()).connect().await.expect("it starts");
    soon(session.call::<Value>("echo", ())).await.expect("it answers");
    let process = session.extensions().get::<ChildProcess>().expect("a process");
    assert_eq!(process.exit_status(), None);
    (session, process)
}

/// Not even as a zombie.
fn is_gone(process: &ChildProcess) {
    if cfg!(target_os = "linux") {
        let found = Path::new("/proc").join(process.id().to_string());
        assert!(!found.exists(), "{process:?}");
    }
}

#[tokio::test]
async fn closing_waits_until_it_has_ended() {
    for name in ["serve", "connect", "talk-at-end"] {
        let (session, process) = started(patient(program(name))).await;
        soon(session.close()).await;
        let status = process.exit_status().expect("it has ended");
        assert!(status.success(), "{name}: {status}");
        is_gone(&process);
    }
}

#[tokio::test]
async fn it_ends_with_a_session_that_nobody_closes() {
    let (session, process) = started(patient(program("serve"))).await;
    drop(session);
    assert!(soon(process.exited()).await.expect("it is known").success());
    is_gone(&process);

    let (session, process) = started(patient(program("serve"))).await;
    session.abort();
    assert!(soon(process.exited()).await.expect("it is known").success());
    is_gone(&process);
}

#[tokio::test]
async fn it_ends_when_it_closes_the_session_itself() {
    let (session, process) = started(patient(program("serve"))).await;
    soon(session.call::<String>("finish", ())).await.expect("it answers");
    soon(session.closed()).await;
    assert!(soon(process.exited()).await.expect("it is known").success());
    is_gone(&process);
}

#[cfg(unix)]
mod by_signal {
    use std::{os::unix::process::ExitStatusExt as _, process::Stdio, time::Duration};

    use tokio::io::{AsyncBufReadExt as _, BufReader};

    use super::*;

    const SIGKILL: i32 = 9;
    const SIGTERM: i32 = 15;

    #[tokio::test]
    async fn one_that_goes_on_is_told_to_end() {
        let (session, process) = started(patient(program("ignore-end")).exit_timeout(Duration::ZERO)).await;
        soon(session.close()).await;
        assert_eq!(process.exit_status().and_then(|status| status.signal()), Some(SIGTERM));
        is_gone(&process);
    }

    /// Bytes wait that it does not take, so it is never told of the end of its input.
    #[tokio::test]
    async fn one_that_reads_nothing_is_told_to_end_in_the_time_that_it_has() {
        let brief = Duration::from_millis(50);
        for (spawn, signal) in [
            (patient(program("read-nothing")).exit_timeout(brief), SIGTERM),
            (patient(program("read-nothing")).exit_timeout(brief).terminate_timeout(Duration::ZERO), SIGKILL),
        ] {
            let connector = Connector::spawn(spawn).limits(Limits::unlimited());
            let session = connector.connect().await.expect("it starts");
            let process = session.extensions().get::<ChildProcess>().expect("a process");
            let text = "x".repeat(1 << 20);
            let mut call = Box::pin(session.call::<Value>("echo", (&text,)).into_future());
            assert!((&mut call).now_or_never().is_none());
            soon(session.close()).await;
            soon(call).await.expect_err("it was not answered");
            let ended = process.exit_status().and_then(|status| status.signal());
            // The system may be quicker than a timer of no length.
            assert!(ended == Some(signal) || ended == Some(SIGTERM), "{ended:?}");
            is_gone(&process);
        }
    }

    #[tokio::test]
    async fn one_that_goes_on_all_the_same_is_killed() {
        let mut command = program("ignore-signal");
        command.stderr(Stdio::piped());
        let spawn =
            Spawn::new(command).exit_timeout(Duration::ZERO).terminate_timeout(Duration::from_millis(200));
        let (session, process) = started(spawn).await;
        let mut said = BufReader::new(process.take_stderr().expect("a pipe")).lines();
        soon(session.close()).await;
        assert_eq!(process.exit_status().and_then(|status| status.signal()), Some(SIGKILL));
        assert_eq!(said.next_line().await.expect("it is read").as_deref(), Some("told to end"));
        is_gone(&process);
    }

    #[tokio::test]
    async fn closing_does_not_wait_longer_than_it_may() {
        let mut limits = Limits::unlimited();
        limits.close_timeout = Some(Duration::from_millis(50));
        let connector = Connector::spawn(patient(program("ignore-end"))).limits(limits);
        let session = connector.connect().await.expect("it starts");
        let process = session.extensions().get::<ChildProcess>().expect("a process");
        soon(session.close()).await;
        assert_eq!(process.exit_status(), None);
        // It is still seen to: what this test leaves behind is killed with the runtime.
    }

    /// Runs in a process of its own, as it is about what a runtime leaves.
    #[test]
    fn it_is_killed_when_the_runtime_stops() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (session, process) = runtime.block_on(started(patient(program("ignore-end"))));
        drop(runtime);
        drop(session);
        let found = Path::new("/proc").join(process.id().to_string()).join("stat");
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while std::fs::read_to_string(&found).is_ok_and(|stat| !stat.contains(") Z ")) {
            assert!(std::time::Instant::now() < deadline, "it runs");
            std::thread::yield_now();
        }
    }
}

#[tokio::test]
async fn a_hundred_of_them_leave_nothing() {
    for _ in 0..10 {
        let sessions = futures::future::join_all((0..10).map(|_| started(patient(program("serve"))))).await;
        for (session, process) in sessions {
            soon(session.close()).await;
            is_gone(&process);
        }
    }
}

#[test]
fn a_command_of_std_is_one_too() {
    let spawn = Spawn::from(std::process::Command::new("cat"));
    assert!(format!("{spawn:?}").contains("cat"));
    let _same = Spawn::from(Command::new("cat"));
}
