//! Every way in which jsonrpsee ends a WebSocket, what it is told when we end one, and its pings beside much else.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use futures::future::{join_all, pending};
use jsonrpsee::{
    RpcModule,
    core::client::ClientT,
    rpc_params,
    server::{PingConfig, Server as JsonrpseeServer, ServerConfig, ServerHandle as JsonrpseeHandle},
    types::ErrorObjectOwned,
    ws_client::{PingConfig as ClientPings, WsClient, WsClientBuilder},
};
use rpc::{
    CallError, CloseReason, ConnectError, Connector, Context, ErrorObject, Limits, Params, Router, Server,
    ServerHandle, Session,
};
use tokio::{
    runtime::{self, Runtime},
    task::JoinHandle,
};

use super::soon;

/// Messages of some MiB are taken.
const MOST: u32 = 16 << 20;

/// Counts the handlers of `hold` that have not been dropped.
#[derive(Clone, Default)]
struct Held(Arc<AtomicUsize>);

struct Hold(Held);

impl Held {
    fn count(&self) -> usize {
        self.0.load(SeqCst)
    }

    fn hold(&self) -> Hold {
        self.0.fetch_add(1, SeqCst);
        Hold(self.clone())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, SeqCst);
    }
}

/// A runtime for the peer. When it is shut down, all tasks are dropped where they are, and none goes on that sees another one gone.
fn elsewhere() -> Runtime {
    runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

async fn until(is_so: impl Fn() -> bool) {
    soon(async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// The end of a connection without a Close frame. It is a reset where something of ours was not read.
const fn is_lost(cause: &CloseReason) -> bool {
    matches!(cause, CloseReason::PeerClosed { code: 1006, .. } | CloseReason::Io(_))
}

/// A server of ours, where only the connection's end ends anything, and the URL of its WebSockets.
async fn our_server(scheme: &str, held: &Held) -> (ServerHandle, String) {
    let held = held.clone();
    let router = Router::new()
        .method("hold", move |_: Params, _: Context| {
            let hold = held.hold();
            async move {
                pending::<()>().await;
                drop(hold);
                Ok::<_, ErrorObject>(())
            }
        })
        .method("echo", async |params: Params, _: Context| {
            let (text,): (String,) = params.parse()?;
            Ok::<_, ErrorObject>(text)
        });
    let mut limits = Limits::server();
    (limits.request_timeout, limits.close_timeout) = (None, None);
    limits.frame_size = MOST as usize;
    limits.request_bytes = 2 * MOST as usize;
    let builder = Server::builder().service(router).limits(limits);
    let server = builder.bind(&*format!("{scheme}://127.0.0.1:0")).await.unwrap().start();
    let url = format!("ws://{}", server.endpoint().socket_addr().unwrap());
    (server, url)
}

/// jsonrpsee's client.
async fn their_client(url: &str) -> WsClient {
    WsClientBuilder::default().max_request_size(MOST).max_response_size(MOST).build(url).await.unwrap()
}

/// The same. It pings as often as it can, and gives a server up that does not answer.
async fn their_pinging_client(url: &str) -> WsClient {
    let pings = ClientPings::new()
        .ping_interval(Duration::from_millis(1))
        .inactive_limit(Duration::from_secs(10))
        .max_failures(1);
    WsClientBuilder::default().enable_ws_ping(pings).build(url).await.unwrap()
}

/// Has a call of the client's wait for us.
async fn hold(client: &WsClient, held: &Held) {
    tokio::select! {
        outcome = client.request::<(), _>("hold", rpc_params![]) => panic!("{outcome:?}"),
        () = until(|| held.count() == 1) => {}
    }
}

#[tokio::test]
async fn each_way_in_which_jsonrpsees_client_goes_is_an_end() {
    for (scheme, says_so) in [("ws", true), ("ws", false), ("http", true), ("http", false)] {
        let held = Held::default();
        let (server, url) = our_server(scheme, &held).await;
        let elsewhere = elsewhere();
        let client = elsewhere.spawn(async move { their_client(&url).await }).await.unwrap();
        hold(&client, &held).await;
        let session = server.sessions().pop().unwrap();
        let (client, elsewhere) = if says_so {
            drop(client);
            (None, Some(elsewhere))
        } else {
            elsewhere.shutdown_background();
            (Some(client), None)
        };
        let cause = soon(session.closed()).await;
        match says_so {
            true => assert!(matches!(cause, CloseReason::PeerClosed { code: 1000, .. }), "{cause:?}"),
            false => assert!(is_lost(&cause), "{cause:?}"),
        }
        assert_eq!((held.count(), session.requests_in_flight(), server.sessions().len()), (0, 0, 0));
        drop(client);
        if let Some(elsewhere) = elsewhere {
            elsewhere.shutdown_background();
        }
    }
}

#[tokio::test]
async fn jsonrpsees_client_is_told_why_we_close() {
    for scheme in ["ws", "http"] {
        for told in ["code: 1000", "code: 1001", "code: 1009", "closed"] {
            let held = Held::default();
            let (server, url) = our_server(scheme, &held).await;
            let client = their_client(&url).await;
            let _: String = client.request("echo", rpc_params!["x"]).await.unwrap();
            let session = server.sessions().pop().unwrap();
            let stopped = server.clone();
            match told {
                "code: 1000" => session.start_close(),
                "code: 1001" => drop(tokio::spawn(async move { stopped.shutdown().await })),
                "code: 1009" => {
                    let mut limits = session.limits();
                    limits.frame_size = 10_000;
                    session.set_limits(&limits);
                    let long = "x".repeat(10_000);
                    client.request::<String, _>("echo", rpc_params![long]).await.unwrap_err();
                }
                _ => session.abort(),
            }
            let reason = soon(client.on_disconnect()).await.to_string();
            assert!(reason.contains(told), "{told}: {reason}");
            soon(session.closed()).await;
            assert_eq!(server.sessions().len(), 0);
        }
    }
}

/// A pong between two fragments makes it forget that there was a first one (soketto 0.8): so the client that pings is sent no long messages.
#[tokio::test]
async fn calls_go_on_beside_the_pings_of_jsonrpsees_client() {
    for scheme in ["ws", "http"] {
        let held = Held::default();
        let (server, url) = our_server(scheme, &held).await;
        let (client, pinging) = (their_client(&url).await, their_pinging_client(&url).await);
        let (short, long) = ("λ…𝄞".repeat(5_000), "λ…𝄞".repeat(300_000));
        for (client, text, count) in
            [(&pinging, "", 500), (&pinging, "x", 500), (&pinging, &short, 100), (&client, &long, 3)]
        {
            let calls = (0..count).map(|_| client.request::<String, _>("echo", rpc_params![text]));
            assert!(soon(join_all(calls)).await.into_iter().all(|echo| echo.unwrap() == text));
        }
        assert!(client.is_connected() && pinging.is_connected());
        assert_eq!(server.sessions().len(), 2);
    }
}

/// jsonrpsee's server, in a runtime of its own.
async fn their_server() -> (Runtime, JsonrpseeHandle, String) {
    let runtime = elsewhere();
    let served = runtime.spawn(async {
        let mut module = RpcModule::new(());
        module.register_async_method("hold", |_, _, _| pending::<Result<(), ErrorObjectOwned>>()).unwrap();
        module.register_method("echo", |params, _, _| params.one::<String>()).unwrap();
        let pings = PingConfig::new().ping_interval(Duration::from_millis(1)).max_failures(1);
        let config = ServerConfig::builder().enable_ws_ping(pings).max_connections(1).build();
        let server = JsonrpseeServer::builder().set_config(config).build("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", server.local_addr().unwrap());
        (server.start(module), url)
    });
    let (handle, url) = served.await.unwrap();
    (runtime, handle, url)
}

/// A session of ours with it, when it has a place.
async fn our_session(url: &str) -> Session {
    let mut limits = Limits::client();
    limits.call_timeout = None;
    soon(async {
        loop {
            match Connector::new(url).unwrap().limits(limits.clone()).connect().await {
                Ok(session) => break session,
                Err(ConnectError::WebSocket { .. }) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    })
    .await
}

/// A call that it does not answer.
async fn hold_there(session: &Session) -> JoinHandle<Result<(), CallError>> {
    let its = session.clone();
    let call = tokio::spawn(async move { its.call::<()>("hold", ()).await });
    until(|| session.calls_in_flight() == 1).await;
    // Behind it: when it is answered, the other has arrived.
    assert_eq!(soon(session.call::<String>("echo", ("x",)).into_future()).await.unwrap(), "x");
    call
}

/// It waits for its handlers before it closes: so there is a call only where it does not.
#[tokio::test]
async fn each_way_in_which_jsonrpsees_server_goes_is_an_end() {
    let (runtime, handle, url) = their_server().await;
    let session = our_session(&url).await;
    assert_eq!(soon(session.call::<String>("echo", ("x",)).into_future()).await.unwrap(), "x");
    handle.stop().unwrap();
    let cause = soon(session.closed()).await;
    assert!(matches!(cause, CloseReason::PeerClosed { code: 1000, .. }), "{cause:?}");
    runtime.shutdown_background();

    let (runtime, _handle, url) = their_server().await;
    let session = our_session(&url).await;
    let call = hold_there(&session).await;
    runtime.shutdown_background();
    let cause = soon(session.closed()).await;
    assert!(is_lost(&cause), "{cause:?}");
    match soon(call).await.unwrap() {
        Err(CallError::Closed { reason, .. }) => assert_eq!(reason.to_string(), cause.to_string()),
        other => panic!("{other:?}"),
    }
}

/// It has one place.
#[tokio::test]
async fn jsonrpsees_server_has_a_place_again_when_we_have_closed() {
    let (runtime, _handle, url) = their_server().await;
    for abort in [false, true, false] {
        let session = our_session(&url).await;
        let call = hold_there(&session).await;
        if abort {
            session.abort();
        } else {
            assert!(matches!(soon(session.close()).await, CloseReason::Local));
        }
        assert!(matches!(soon(call).await.unwrap(), Err(CallError::Closed { .. })));
    }
    runtime.shutdown_background();
}
