//! Processes that are no RPC programs.

use std::time::{Duration, Instant};

use rpc::{
    CallError, CloseReason, Connector, Context, ErrorObject, Params, Router, Session,
    framing::ContentLengthFramer,
    transport::stdio::{ChildExit, ChildProcess},
};
use rpc_tests::soon;
use tokio::process::Command;

use super::{endless, says};
use crate::stdio::program_with;

fn sh(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

async fn started(connector: Connector) -> Session {
    connector.limits(endless()).connect().await.expect("it can be started")
}

/// How the first call of a program ends, which has to be at once.
async fn call(connector: Connector) -> (CallError, String) {
    let begun = Instant::now();
    let session = started(connector).await;
    let error = soon(session.call::<()>("tools/list", ())).await.expect_err("it is no RPC program");
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    let told = rpc::chain(&error).to_string();
    (error, told)
}

#[cfg(unix)]
#[tokio::test]
async fn one_that_prints_something_and_ends_is_quoted() {
    for (script, found) in [
        ("echo hello", r"`hello\n`"),
        ("printf 'Usage: tool [options]\\n  --help  says this\\n'", r"`Usage: tool [options]\n"),
        ("printf 'without an end'", "`without an end`"),
        ("echo two; echo lines", r"`two\n`"),
        ("printf '\\177ELF\\002\\001'", r"`\x7fELF\x02\x01`"),
    ] {
        let (error, told) = call(Connector::spawn(sh(script))).await;
        assert!(
            matches!(error, CallError::Closed { reason: CloseReason::WrongProtocol { .. }, .. }),
            "{error:?}"
        );
        let kind = if found.contains("ELF") { "binary data" } else { "text" };
        says(&told, &[found, kind, "the program, is the right one"], script);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn one_that_fails_says_how_and_what_it_has_printed() {
    for (script, status, printed) in [
        ("exit 3", 3, None),
        ("echo 'usage: tool [-v]'; exit 2", 2, Some(r"usage: tool [-v]\n")),
        ("echo one; echo two; exit 1", 1, Some(r"one\n")),
    ] {
        let (error, told) = call(Connector::spawn(sh(script))).await;
        let CallError::Closed { reason: CloseReason::Io(error), .. } = &error else {
            panic!("{script}: {error:?}")
        };
        let exit: &ChildExit = error.get_ref().and_then(|error| error.downcast_ref()).expect("how it ended");
        assert_eq!((exit.status.code(), exit.printed.as_deref()), (Some(status), printed), "{script}");
        says(&told, &[&format!("exit status: {status}")], script);
        if let Some(printed) = printed {
            says(&told, &["no JSON-RPC", printed], script);
        }
    }
}

/// With headers, nothing may stand before the first of them.
#[cfg(unix)]
#[tokio::test]
async fn with_headers_text_ends_the_session_whether_the_process_ends_or_not() {
    for script in ["echo hello", "echo hello; exec cat >/dev/null"] {
        let (error, told) = call(Connector::spawn(sh(script)).framer(ContentLengthFramer::new())).await;
        assert!(
            matches!(error, CallError::Closed { reason: CloseReason::WrongProtocol { .. }, .. }),
            "{error:?}"
        );
        says(&told, &[r"`hello\n`", "text"], script);
    }
}

/// A language server that is called in lines, and the other way round.
#[cfg(unix)]
#[tokio::test]
async fn one_in_another_framing_is_told_apart() {
    let answer = r#"{"jsonrpc":"2.0","id":1,"result":null}"#;
    let headers =
        format!("printf 'Content-Length: {}\\r\\n\\r\\n{answer}'; exec cat >/dev/null", answer.len());
    let (_, told) = call(Connector::spawn(sh(&headers))).await;
    says(&told, &["`Content-Length: ", "headers", "`ContentLengthFramer::new()`"], "headers");
    let lines = format!("echo '{answer}'; exec cat >/dev/null");
    let (_, told) = call(Connector::spawn(sh(&lines)).framer(ContentLengthFramer::new())).await;
    says(&told, &[r#"`{\"jsonrpc"#, "JSON-RPC in lines", "`NewlineFramer::new()`"], "lines");
}

/// Its output is the answer to our answer to our own request, were it taken for a peer.
#[cfg(unix)]
#[tokio::test]
async fn one_that_sends_back_what_it_is_sent_is_no_peer() {
    let other = || Router::new().method("other", async |_: Params, _: Context| Ok::<_, ErrorObject>(()));
    for connector in [
        Connector::spawn(Command::new("cat")),
        Connector::spawn(Command::new("cat")).service(other()),
        Connector::spawn(Command::new("cat")).framer(ContentLengthFramer::new()),
    ] {
        let (error, told) = call(connector).await;
        assert!(
            matches!(error, CallError::Closed { reason: CloseReason::WrongProtocol { .. }, .. }),
            "{error:?}"
        );
        says(&told, &["sends back what it is sent", "jsonrpc"], "cat");
    }
}

/// Two sides that ask each other for the same are no echoes.
#[tokio::test(start_paused = true)]
async fn two_peers_with_the_same_first_request_are_peers() {
    let hello = || Router::new().method("hello", async |_: Params, _: Context| Ok::<_, ErrorObject>("hello"));
    let (here, there) = rpc::transport::memory(64 << 10);
    let here = Connector::over(here).service(hello()).connect().await.expect("connected");
    let there = Connector::over(there).service(hello()).connect().await.expect("connected");
    let (one, other) = tokio::join!(async { here.call::<String>("hello", ()).await }, async {
        there.call::<String>("hello", ()).await
    });
    assert_eq!((one.expect("a reply"), other.expect("a reply")), ("hello".to_owned(), "hello".to_owned()));
}

/// Many programs say something before they speak, and what starts them does.
#[tokio::test]
async fn text_before_the_first_message_is_passed_over_and_not_answered() {
    let noise = "npm warn config\n\n> tool@1.0 start\nListening to you\nnull and void\n";
    let session = started(Connector::spawn(program_with("print-first", noise))).await;
    let answer: serde_json::Value = soon(session.call("echo", (1,))).await.expect("it answers");
    assert_eq!(answer, serde_json::json!([1]));
    let statistics = session.statistics();
    assert_eq!((statistics.messages_sent, statistics.messages_received, statistics.errors), (1, 1, 0));
    soon(session.close()).await;
    let process = session.extensions().get::<ChildProcess>().expect("a process");
    assert!(process.exit_status().expect("it has ended").success());
}
