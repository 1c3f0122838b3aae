//! Calls that we give up. No peer of these knows `rpc.cancel`: each is asked once at most, says so, and goes on.

use std::time::Duration;

use rpc::{CallError, Connector, Server, Session, framing::ContentLengthFramer};
use serde_json::{Value, json};

use crate::{
    driven::{Driven, soon},
    python::{Python, Spoken},
    service::{CalcServer, MyCalc},
    vscode::node,
};

/// Gives up calls that `session`'s peer never answers, by dropping and by a timeout, and calls on between them.
async fn give_up(session: &Session) {
    for n in 1..=3 {
        let late = session.call::<Value>("hold", ()).timeout(Duration::from_millis(1)).await;
        assert!(matches!(late, Err(CallError::Timeout(_))), "{late:?}");
        let mut dropped = Box::pin(session.call::<Value>("hold", ()).into_future());
        let first = futures::future::poll_immediate(&mut dropped).await;
        assert!(first.is_none(), "{first:?}");
        drop(dropped);
        assert_eq!(soon(session.call::<i64>("add", (n, 1)).into_future()).await.expect("a sum"), n + 1);
    }
    assert!(!session.is_closed(), "{:?}", session.close_reason());
    assert_eq!(session.statistics().errors, 0);
}

/// How often the peer was asked to take a call back, in all that it has received.
fn asked(messages: &Value) -> usize {
    let messages = messages.as_array().expect("messages");
    messages.iter().filter(|message| message["method"] == "rpc.cancel").count()
}

/// One mistake in the account of aiorpcX is the question, and there is no other.
#[tokio::test]
async fn aiorpcx_is_asked_once_in_each_dialect() {
    for spoken in [Spoken::V1, Spoken::V2, Spoken::Loose, Spoken::AutoDetect] {
        let expected = usize::from(spoken != Spoken::V1);
        // Which it serves, and is served by.
        let (mut python, url) = Python::serve(spoken).await;
        let protocol = if expected == 0 { rpc::Protocol::V1 } else { rpc::Protocol::V2 };
        let session =
            Connector::new(&url).expect("a URL").protocol(protocol).connect().await.expect("it listens");
        give_up(&session).await;
        assert_eq!(asked(&python.run(json!(["messages"])).await), expected, "{spoken:?}");
        assert_eq!(python.errors().await, expected as u64, "{spoken:?}");

        let server = Server::builder().service(CalcServer::new(MyCalc::default())).protocol(protocol);
        let server = server.bind("tcp://127.0.0.1:0").await.expect("a port is free").start();
        let mut python = Python::connect(server.endpoint(), spoken).await;
        assert_eq!(python.run(json!(["request", "add", [1, 2]])).await, json!({"result": 3}));
        give_up(&server.sessions().pop().expect("it has connected")).await;
        assert_eq!(asked(&python.run(json!(["messages"])).await), expected, "{spoken:?}");
        assert_eq!(python.errors().await, expected as u64, "{spoken:?}");
        soon(server.shutdown()).await;
    }
}

/// Over WebSocket the handshake has said that it is not known.
#[tokio::test]
async fn aiorpcx_over_websocket_is_not_asked() {
    let (mut python, url) = Python::serve_with("ws://127.0.0.1:0", Spoken::V2, &[]).await;
    let session = Connector::new(&url).expect("a URL").connect().await.expect("it listens");
    give_up(&session).await;
    assert_eq!(asked(&python.run(json!(["messages"])).await), 0);
    assert_eq!(python.errors().await, 0);
}

/// vscode-jsonrpc, where nothing was said of how language servers do it.
#[tokio::test]
async fn vscode_jsonrpc_answers_the_question_and_goes_on() {
    let mut node = Driven::start(node::peer(&["serve"]));
    let url = format!("tcp://127.0.0.1:{}", node.ready().await);
    let connector = Connector::new(&url).expect("a URL").framer(ContentLengthFramer::new());
    let session =
        soon(connector.service(CalcServer::new(MyCalc::default())).connect()).await.expect("it listens");
    give_up(&session).await;
    assert_eq!(node.run(json!(["request", "add", [1, 2]])).await, json!({"result": 3}));
    let session = Connector::spawn(node::peer(&["stdio"])).framer(ContentLengthFramer::new());
    give_up(&soon(session.connect()).await.expect("it is there")).await;
}
