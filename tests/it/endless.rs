//! `Duration::MAX`, and whatever no clock gets to, means that there is no limit, wherever a duration is taken.

use std::time::Duration;

use futures::StreamExt;
use rpc::{
    Connector, Context, Dispatcher, ErrorObject, HttpClient, KeepAlive, Limits, Listen, Params, Router,
    Server, Session, rpc_service,
    testing::{self, pair_with},
    transport::tcp::TcpOptions,
};
use rpc_tests::{Gate, Raw, echo, is_pending, settled, soon, waiting};
use serde_json::Value;

/// What a clock cannot add, and what one that counts seconds in 64 bits just can.
const ENDLESS: [Duration; 3] =
    [Duration::MAX, Duration::from_secs(u64::MAX), Duration::from_secs(i64::MAX as u64 / 2)];

fn limits(from: Limits, endless: Duration) -> Limits {
    let mut limits = from;
    for limit in [
        &mut limits.target_response_time,
        &mut limits.call_timeout,
        &mut limits.request_timeout,
        &mut limits.send_timeout,
        &mut limits.close_timeout,
        &mut limits.handshake_timeout,
        &mut limits.idle_timeout,
        &mut limits.frame_timeout,
    ] {
        *limit = Some(endless);
    }
    limits.calls_in_flight = 10;
    limits
}

const HOUR: Duration = Duration::from_secs(3_600);

#[rpc_service]
trait Patient {
    #[rpc(timeout = "5124095576030h")]
    async fn echo(&self, value: u8) -> u8;
}

#[tokio::test(start_paused = true)]
async fn a_session_with_endless_limits_works_and_ends() {
    for endless in ENDLESS {
        let gate = Gate::closed();
        let (client, server) = pair_with(
            waiting(&gate),
            limits(Limits::client(), endless),
            waiting(&gate),
            limits(Limits::server(), endless),
        );
        client.call::<Value>("echo", (1,)).await.expect("a reply");
        PatientClient::from(client.clone()).echo(1).await.expect_err("it gives the whole array");
        let other = client.clone();
        let waits = tokio::spawn(async move { other.call::<Value>("wait", (2,)).timeout(endless).await });
        tokio::time::sleep(HOUR).await;
        assert_eq!(gate.waiting(), 1, "it has as long as it likes");
        gate.open();
        waits.await.expect("no panic").expect("a reply");
        // Changed while the session is open, too.
        server.set_limits(&limits(Limits::server(), endless));
        client.set_limits(&limits(Limits::client(), endless));
        client.call::<Value>("later", (3,)).timeout(endless).await.expect("a reply");
        soon(server.close()).await;
        soon(client.closed()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_has_begun_and_bytes_that_are_stuck_may_take_for_ever() {
    for endless in ENDLESS {
        let (mut peer, session) = Raw::narrow_peer_of(16, echo(), limits(Limits::server(), endless));
        peer.write(r#"{"jsonrpc""#).await;
        session.notify("news", ("x".repeat(1_000),)).await.expect("there is room");
        tokio::time::sleep(HOUR).await;
        assert!(!session.is_closed(), "{:?}", session.close_reason());
        session.start_close();
        tokio::time::sleep(HOUR).await;
        drop(peer);
        soon(session.closed()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_call_may_wait_for_ever() {
    for endless in ENDLESS {
        let numbers = Router::new().subscription("numbers", async |_: Params, _: Context| {
            Ok::<_, ErrorObject>(futures::stream::iter([1_u8]))
        });
        let (session, _peer) = testing::pair((), numbers);
        let call = || session.call::<Value>("echo", (1,)).timeout(endless);
        assert!(call().await.is_err(), "no such method");
        assert!(session.batch((call(), call())).await.expect("it is sent").0.is_err());
        let mut numbers = session.subscribe::<u8>("numbers", ()).timeout(endless).await.expect("it begins");
        assert_eq!(numbers.next().await.expect("an item").expect("a number"), 1);

        let dispatcher = Dispatcher::builder().service(echo()).limits(limits(Limits::server(), endless));
        let dispatcher = dispatcher.build().expect("a dispatcher");
        let call = || rpc::Call::<_, Value>::untyped(&dispatcher, "later", (1,)).timeout(endless);
        assert_eq!(call().await.expect("a reply"), serde_json::json!([1]));
        assert!(rpc::Batch::over(&dispatcher, (call(), call())).await.expect("a reply").1.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn work_that_reports_may_take_for_ever_between_two_reports() {
    for endless in ENDLESS {
        let steps = Router::new().progress("steps", async |_: Params, _: Context| {
            let steps = futures::stream::iter([
                rpc::Progress::Step(1_u8),
                rpc::Progress::Step(2),
                rpc::Progress::Done("two"),
            ]);
            Ok::<_, ErrorObject>(steps.then(async |step| {
                tokio::time::sleep(HOUR).await;
                step
            }))
        });
        let (session, _peer) =
            pair_with((), limits(Limits::client(), endless), steps, limits(Limits::server(), endless));
        let steps = session.subscribe::<rpc::Progress<u8, String>>("steps", ()).timeout(endless);
        let steps = steps.style(rpc::SubscriptionStyle::Progress).await.expect("it begins");
        assert_eq!(steps.filter(|step| std::future::ready(step.is_ok())).count().await, 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_is_asked_never_or_may_be_silent_for_ever() {
    for endless in ENDLESS {
        let (mut peer, session) =
            Raw::peer_with(|connector| connector.keep_alive(KeepAlive::call("ping").interval(endless))).await;
        peer.expect_silence().await;
        tokio::time::sleep(HOUR).await;
        assert!(!session.is_closed());
        let (mut peer, session) =
            Raw::peer_with(|connector| connector.keep_alive(KeepAlive::call("ping").limit(endless))).await;
        assert!(peer.line().await.expect("a ping").contains("ping"));
        tokio::time::sleep(HOUR).await;
        assert!(!session.is_closed(), "{:?}", session.close_reason());
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_delayed_without_end_is_served_never_and_the_session_lives() {
    for endless in ENDLESS {
        let mut limits = Limits::server();
        limits.cost_delay = endless;
        let (client, server) = pair_with((), Limits::client(), echo(), limits);
        server.add_cost(limits_between());
        settled().await;
        let mut call = Box::pin(client.call::<Value>("echo", (1,)).without_timeout().into_future());
        assert!(is_pending(&mut call));
        tokio::time::sleep(HOUR / 60).await;
        assert!(is_pending(&mut call) && !server.is_closed());
    }
}

/// A cost between the soft and the hard limit, which an hour does not forgive.
fn limits_between() -> f64 {
    Limits::server().cost_hard - 1.0
}

#[tokio::test(start_paused = true)]
async fn a_server_with_endless_limits_shuts_down_at_once_when_it_is_idle() {
    for endless in ENDLESS {
        let server = Server::builder().service(echo()).limits(limits(Limits::server(), endless));
        let server = server.build().expect("it serves").start();
        let (here, there) = rpc::transport::memory(64);
        server.attach(there);
        let session = Connector::over(here).connect().await.expect("they are connected");
        session.call::<Value>("echo", (1,)).await.expect("a reply");
        soon(server.shutdown_within(endless)).await;
    }
}

fn tcp(endless: Duration) -> TcpOptions {
    let mut options = TcpOptions::default();
    options.connect_timeout = Some(endless);
    if let Some(keep_alive) = &mut options.keep_alive {
        keep_alive.time = endless;
        keep_alive.interval = endless;
    }
    options
}

/// On real sockets: the system has a word there.
#[tokio::test]
async fn what_listens_and_what_connects_takes_endless_limits() {
    for endless in ENDLESS {
        for scheme in ["tcp", "http", "ws"] {
            let listen = Listen::at(&format!("{scheme}://127.0.0.1:0")).expect("a URL").tcp(tcp(endless));
            let server = Server::builder().service(echo()).limits(limits(Limits::server(), endless));
            let server = server.bind(listen).await.expect("it listens");
            let url = server.endpoint().to_string();
            let server = server.start();
            let connected: Option<Session> = match scheme {
                "http" => {
                    let client = HttpClient::builder(&url).expect("a URL").tcp(tcp(endless));
                    let client = client.limits(limits(Limits::client(), endless)).idle_timeout(endless);
                    let client = client.build().expect("a client");
                    for _ in 0..2 {
                        let call = client.call::<Value>("echo", (1,)).timeout(endless);
                        soon(call).await.expect("a reply");
                    }
                    None
                }
                _ => {
                    let connector = Connector::new(&url).expect("a URL").tcp(tcp(endless));
                    let session = connector.limits(limits(Limits::client(), endless)).connect();
                    Some(soon(session).await.expect("it connects"))
                }
            };
            if let Some(session) = &connected {
                soon(session.call::<Value>("echo", (1,)).timeout(endless)).await.expect("a reply");
            }
            soon(server.shutdown()).await;
        }
    }
}

#[test]
fn attributes_take_what_fits_into_them() {
    let timeout = PatientServer::<()>::METHODS[0].timeout().expect("it has one");
    assert_eq!(timeout, Duration::from_secs(5_124_095_576_030 * 3_600));
}
