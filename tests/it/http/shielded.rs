//! What a handler has shielded, where its request came over HTTP and its caller has gone.

use std::time::Duration;

use rpc::{Context, ErrorObject, Params, Router, ServerHandle};
use rpc_tests::{Gate, settled};
use tokio::{
    io::AsyncWriteExt,
    time::{Instant, sleep},
};

use super::kit::{attach, serving};

/// A server at which a payment is shielded, and waits at the gate.
async fn paying(gate: &Gate) -> ServerHandle {
    let pay = {
        let gate = gate.clone();
        move |_: Params, cx: Context| {
            let gate = gate.clone();
            async move {
                cx.shield(async move { gate.pass().await }).await;
                Ok::<_, ErrorObject>(())
            }
        }
    };
    let server = serving(Router::new().method("pay", pay), |_| ());
    let mut caller = attach(&server);
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"pay"}"#;
    let head = "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json";
    let request = format!("{head}\r\ncontent-length: {}\r\n\r\n{call}", call.len());
    caller.write_all(request.as_bytes()).await.expect("it reads");
    gate.until(|gate| gate.waiting() == 1).await;
    drop(caller);
    settled().await;
    assert_eq!((gate.waiting(), gate.dropped()), (1, 0));
    server
}

/// How long it takes to shut it down.
async fn shut_down(server: &ServerHandle) -> Duration {
    let start = Instant::now();
    server.shutdown().await;
    start.elapsed()
}

#[tokio::test(start_paused = true)]
async fn it_is_finished_before_the_server_has_stopped() {
    let gate = Gate::closed();
    let server = paying(&gate).await;
    let ((), took) = tokio::join!(
        async {
            sleep(Duration::from_secs(10)).await;
            gate.open();
        },
        shut_down(&server)
    );
    assert_eq!(took, Duration::from_secs(10));
    assert_eq!((gate.waiting(), gate.dropped()), (0, 0));
    assert_eq!(shut_down(&server).await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn it_is_waited_for_no_longer_than_a_close_may_take() {
    let gate = Gate::closed();
    assert_eq!(shut_down(&paying(&gate).await).await, Duration::from_secs(30));
    assert_eq!((gate.waiting(), gate.dropped()), (1, 0), "it goes on");
}

#[tokio::test(start_paused = true)]
async fn it_is_waited_for_no_longer_than_there_is_patience() {
    let server = paying(&Gate::closed()).await;
    let start = Instant::now();
    server.shutdown_within(Duration::from_secs(2)).await;
    assert_eq!(start.elapsed(), Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn where_there_is_none_nothing_is_waited_for() {
    let gate = Gate::closed();
    let server = paying(&gate).await;
    gate.open();
    settled().await;
    assert_eq!(shut_down(&server).await, Duration::ZERO);
}
