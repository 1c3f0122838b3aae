//! Connecting several times with clones of one connector.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use futures::future::join;
use rpc::{
    Cancellation, ConnectError, Connector, Context, ErrorObject, Hooks, Params, Protocol, Router, Server,
    Session,
    framing::{ContentLengthFramer, NetstringFramer},
    transport::stdio::ChildProcess,
};
use rpc_tests::{Raw, echo, soon};
use serde_json::{Value, json};

use super::stdio::program;

/// Counts the sessions that have begun.
#[derive(Clone, Default)]
struct Count(Arc<AtomicUsize>);

impl Hooks for Count {
    fn opened(&self, _: &Session) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[tokio::test]
async fn a_clone_connects_as_the_first_was_told_to_and_serves_the_same() {
    let router = Router::new().method("call_back", async |params: Params, cx: Context| {
        let answer = cx.session().call::<Value>("echo", params.parse::<Value>()?).await;
        answer.map_err(|error| ErrorObject::new(1, error.to_string()))
    });
    let server = Server::builder()
        .service(router)
        .framer(NetstringFramer::new())
        .protocol(Protocol::Loose)
        .bind("memory:reconnecting")
        .await
        .expect("it is free")
        .start();
    let begun = Count::default();
    let connector = Connector::new("memory:reconnecting")
        .expect("a URL")
        .framer(NetstringFramer::new())
        .protocol(Protocol::Loose)
        .cancellation(Cancellation::LSP)
        .hooks(begun.clone())
        .service(echo());
    // One after the other, and both at once; the peer calls each of them back.
    let first = connector.clone().connect().await.expect("it listens");
    let (second, third) = join(connector.clone().connect(), connector.connect()).await;
    let sessions = [first, second.expect("it listens"), third.expect("it listens")];
    for (index, session) in sessions.iter().enumerate() {
        let answer: Value = soon(session.call("call_back", (index,))).await.expect("it is called back");
        assert_eq!(answer, json!([index]));
    }
    assert_eq!(begun.0.load(SeqCst), 3);
    soon(server.shutdown()).await;
}

#[tokio::test]
async fn a_clone_starts_a_process_of_its_own() {
    let mut command = program("serve-headers");
    command.stderr(std::process::Stdio::null());
    let connector = Connector::spawn(command).framer(ContentLengthFramer::new());
    let first = connector.clone().connect().await.expect("it starts");
    let second = connector.connect().await.expect("it starts again");
    let process = |session: &Session| session.extensions().get::<ChildProcess>().expect("a process").id();
    assert_ne!(process(&first), process(&second));
    soon(first.close()).await;
    let answer: Value = soon(second.call("echo", (1,))).await.expect("it runs on");
    assert_eq!(answer, json!([1]));
    soon(second.close()).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_one_sessions_and_the_second_is_told_so() {
    let (here, there) = rpc::transport::memory(4096);
    let mut peer = Raw::over(here);
    let connector = Connector::over(there);
    let first = connector.clone().connect().await.expect("nothing can fail");
    for connector in [connector.clone(), connector] {
        let error = connector.connect().await.expect_err("it is taken");
        assert!(matches!(error, ConnectError::Io { .. }), "{error:?}");
        let told = rpc::chain(&error).to_string();
        assert!(told.contains("was used already, by a clone of it"), "{told}");
        assert!(told.contains("Make another connector"), "{told}");
    }
    // The first has not noticed.
    first.notify("still_here", ()).await.expect("it is open");
    peer.expect(r#"{"jsonrpc":"2.0","method":"still_here"}"#).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_no_session_has_taken_is_there_for_the_next() {
    let (_here, there) = rpc::transport::memory(4096);
    let connector = Connector::over(there).cancellation(Cancellation::LSP);
    let wrong = connector.clone().protocol(Protocol::V1).connect().await.expect_err("1.0 cannot say it");
    assert!(matches!(wrong, ConnectError::Unsupported(_)), "{wrong:?}");
    connector.service(Router::new()).connect().await.expect("the stream is there");
}
