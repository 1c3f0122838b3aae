//! A message that comes by itself, to a `Dispatcher` or in a POST, takes the memory of a session only where a handler asks for one.

use std::hint::black_box;

use allocation_counter::AllocationInfo;
use rpc::{Context, Dispatcher, ErrorObject, HttpOptions, Params, Router, Server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const MESSAGES: u64 = 100;

/// `plain` uses what a context has of the peer without a session, and `asks` the session.
fn router() -> Router {
    Router::new()
        .method("plain", async |_: Params, cx: Context| {
            black_box((cx.peer(), cx.extensions(), cx.is_cancelled()));
            Ok::<_, ErrorObject>(1)
        })
        .method("asks", async |_: Params, cx: Context| {
            black_box((cx.peer(), cx.session(), cx.is_cancelled()));
            Ok::<_, ErrorObject>(1)
        })
}

fn call(method: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#)
}

/// Runs all messages twice, and counts the second time, when everything that is made only once has been made.
fn counted(mut messages: impl AsyncFnMut()) -> AllocationInfo {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut run = || {
        runtime.block_on(async {
            for _ in 0..MESSAGES {
                messages().await;
            }
        });
    };
    run();
    allocation_counter::measure(run)
}

fn dispatched(method: &str) -> AllocationInfo {
    let dispatcher = Dispatcher::builder().service(router()).build().expect("one service");
    let message = call(method);
    counted(async || assert!(dispatcher.dispatch(message.as_bytes()).await.is_some()))
}

fn posted(method: &str) -> AllocationInfo {
    let message = call(method);
    let head = "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json";
    let request = format!("{head}\r\ncontent-length: {}\r\n\r\n{message}", message.len());
    let mut connection = None;
    let mut response = [0; 4096];
    counted(async move || {
        let (_, peer) = connection.get_or_insert_with(|| {
            let server = Server::builder().service(router()).build().expect("one service").start();
            let (peer, io) = rpc::transport::memory(64 << 10);
            server.attach_http(io, &HttpOptions::new());
            (server, peer)
        });
        peer.write_all(request.as_bytes()).await.expect("it reads");
        let mut length = 0;
        while !response[..length].ends_with(b"}") {
            length += peer.read(&mut response[length..]).await.expect("an answer");
        }
        assert!(response.starts_with(b"HTTP/1.1 200 OK"));
    })
}

#[test]
fn no_session_is_made_for_a_message_whose_handler_does_not_ask_for_it() {
    for road in [dispatched, posted] {
        let (plain, asks) = (road("plain"), road("asks"));
        // A session is two allocations at least, itself and its framer.
        assert!(asks.count_total >= plain.count_total + 2 * MESSAGES, "{plain:?}, {asks:?}");
        assert_eq!((plain.count_current, asks.count_current), (0, 0), "all is given back");
    }
}
