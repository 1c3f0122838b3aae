//! JSON-RPC 1.0, section 3: <https://www.jsonrpc.org/specification_v1#a3.Examples>.

use std::sync::{Arc, Mutex};

use rpc::{Context, Dispatcher, ErrorObject, Params, Protocol, Router};
use rpc_tests::{Raw, settled};

use super::Printed;

const PROTOCOLS: [Protocol; 2] = [Protocol::V1, Protocol::Detect];

/// A message as it is printed, without the blanks between its members: what we send, byte for byte.
fn compact(printed: &str) -> String {
    let mut in_string = false;
    printed
        .chars()
        .filter(|&c| {
            in_string ^= c == '"';
            in_string || c != ' '
        })
        .collect()
}

fn echo() -> Router {
    Router::new().method("echo", async |params: Params, _: Context| {
        Ok::<_, ErrorObject>(params.parse::<(String,)>()?.0)
    })
}

#[tokio::test(start_paused = true)]
async fn echo_service() {
    let sent = r#"{ "method": "echo", "params": ["Hello JSON-RPC"], "id": 1}"#;
    let reply = compact(r#"{ "result": "Hello JSON-RPC", "error": null, "id": 1}"#);
    for protocol in PROTOCOLS {
        let (mut peer, _session) =
            Raw::peer_with(|connector| connector.protocol(protocol).framer(Printed).service(echo())).await;
        peer.write(format!("{sent}\0")).await;
        peer.expect(&reply).await;

        let dispatcher = Dispatcher::builder().service(echo()).protocol(protocol).build().expect("one echo");
        let got = dispatcher.dispatch(sent.as_bytes()).await.expect("a reply");
        assert_eq!(got, reply.as_bytes(), "{protocol:?}");
    }
}

/// Whoever asks a question learns first that somebody has left.
fn chat() -> Router {
    Router::new().method("postMessage", async |params: Params, cx: Context| {
        let (message,): (String,) = params.parse()?;
        if message.ends_with(':') {
            cx.session().notify("userLeft", ("user3",)).await.expect("sent");
        }
        Ok::<_, ErrorObject>(1)
    })
}

#[tokio::test(start_paused = true)]
async fn chat_application_as_the_service() {
    for protocol in PROTOCOLS {
        let (mut peer, session) =
            Raw::peer_with(|connector| connector.protocol(protocol).service(chat())).await;
        peer.send(r#"{"method": "postMessage", "params": ["Hello all!"], "id": 99}"#).await;
        peer.expect(&compact(r#"{"result": 1, "error": null, "id": 99}"#)).await;
        for (user, said) in [("user1", "we were just talking"), ("user3", "sorry, gotta go now, ttyl")] {
            session.notify("handleMessage", (user, said)).await.expect("sent");
        }
        for printed in [
            r#"{"method": "handleMessage", "params": ["user1", "we were just talking"], "id": null}"#,
            r#"{"method": "handleMessage", "params": ["user3", "sorry, gotta go now, ttyl"], "id": null}"#,
        ] {
            peer.expect(&compact(printed)).await;
        }
        peer.send(r#"{"method": "postMessage", "params": ["I have a question:"], "id": 101}"#).await;
        peer.expect(&compact(r#"{"method": "userLeft", "params": ["user3"], "id": null}"#)).await;
        peer.expect(&compact(r#"{"result": 1, "error": null, "id": 101}"#)).await;
    }
}

/// The same talk from the other side. Ids are ours, so they are 1 and 2.
#[tokio::test(start_paused = true)]
async fn chat_application_as_the_client() {
    for protocol in PROTOCOLS {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let mut events = Router::new();
        for event in ["handleMessage", "userLeft"] {
            let heard = Arc::clone(&heard);
            events = events.notification(event, move |params: Params, _: Context| {
                let said: Vec<String> = params.parse().expect("texts");
                heard.lock().expect("no panic").push(format!("{event}: {}", said.join(", ")));
                async {}
            });
        }
        let (mut peer, session) =
            Raw::peer_with(|connector| connector.protocol(protocol).service(events)).await;

        let posted = tokio::join!(
            async { session.call::<i64>("postMessage", ("Hello all!",)).await },
            async {
                let first = match protocol {
                    // Nothing is known of the peer yet.
                    Protocol::Detect => {
                        r#"{"jsonrpc":"2.0","id":1,"method":"postMessage","params":["Hello all!"]}"#
                            .to_owned()
                    }
                    _ => compact(r#"{"method": "postMessage", "params": ["Hello all!"], "id": 1}"#),
                };
                peer.expect(&first).await;
                peer.send(r#"{"result": 1, "error": null, "id": 1}"#).await;
                for printed in [
                    r#"{"method": "handleMessage", "params": ["user1", "we were just talking"], "id": null}"#,
                    r#"{"method": "handleMessage", "params": ["user3", "sorry, gotta go now, ttyl"], "id": null}"#,
                ] {
                    peer.send(printed).await;
                }
                settled().await;
            }
        );
        assert_eq!(posted.0.expect("a reply"), 1);
        let posted = tokio::join!(
            async { session.call::<i64>("postMessage", ("I have a question:",)).await },
            async {
                peer.expect(&compact(
                    r#"{"method": "postMessage", "params": ["I have a question:"], "id": 2}"#,
                ))
                .await;
                peer.send(r#"{"method": "userLeft", "params": ["user3"], "id": null}"#).await;
                peer.send(r#"{"result": 1, "error": null, "id": 2}"#).await;
            }
        );
        assert_eq!(posted.0.expect("a reply"), 1);
        let heard = std::mem::take(&mut *heard.lock().expect("no panic"));
        assert_eq!(
            heard,
            [
                "handleMessage: user1, we were just talking",
                "handleMessage: user3, sorry, gotta go now, ttyl",
                "userLeft: user3"
            ]
        );
        assert_eq!(session.protocol(), Protocol::V1);
        // Notifications were not answered.
        peer.expect_silence().await;
    }
}
