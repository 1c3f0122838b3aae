//! What is served: several services on one server, one for each session, typed and untyped, in both directions.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use rpc::{
    BindError, CallError, ConnectError, Connector, Context, ErrorCode, ErrorObject, Params, Router, Server,
    Session, rpc_service,
};
use rpc_tests::{CalcClient, CalcServer, MyCalc, Raw, echo};
use serde_json::{Value, json};

#[rpc_service]
trait Counter {
    async fn count(&self) -> usize;
}

/// Counts what one session asked.
#[derive(Default)]
struct MyCounter(AtomicUsize);

impl Counter for MyCounter {
    async fn count(&self) -> usize {
        self.0.fetch_add(1, SeqCst) + 1
    }
}

#[rpc_service]
trait AlsoAdds {
    fn add(&self, a: i64) -> i64;
}

struct MyAlsoAdds;

impl AlsoAdds for MyAlsoAdds {
    fn add(&self, a: i64) -> i64 {
        a
    }
}

/// A session with a server that nobody listens for.
async fn connected(handle: &rpc::ServerHandle) -> Session {
    let (here, there) = rpc::transport::memory(1 << 16);
    drop(handle.attach(there));
    Connector::over(here).connect().await.expect("nothing can fail")
}

#[tokio::test(start_paused = true)]
async fn several_services_share_a_server() {
    let server = Server::builder()
        .service(CalcServer::new(MyCalc))
        .service(echo())
        .session(|_| CounterServer::new(MyCounter::default()))
        .build()
        .expect("different names");
    let session = connected(&server.start()).await;
    assert_eq!(CalcClient::from(session.clone()).add(1, 2).await.expect("add"), 3);
    assert_eq!(CounterClient::from(session.clone()).count().await.expect("count"), 1);
    assert_eq!(session.call::<Value>("echo", (1,)).await.expect("echo"), json!([1]));
}

#[tokio::test(start_paused = true)]
async fn a_shared_service_is_one_and_a_sessions_service_is_its_own() {
    let shared = Server::builder()
        .service(CounterServer::new(MyCounter::default()))
        .build()
        .expect("one service")
        .start();
    let (a, b) = (connected(&shared).await, connected(&shared).await);
    assert_eq!(CounterClient::from(a).count().await.expect("count"), 1);
    assert_eq!(CounterClient::from(b).count().await.expect("count"), 2);

    let own = Server::builder()
        .session(|_| CounterServer::new(MyCounter::default()))
        .build()
        .expect("one service")
        .start();
    let (a, b) = (connected(&own).await, connected(&own).await);
    assert_eq!(CounterClient::from(a).count().await.expect("count"), 1);
    assert_eq!(CounterClient::from(b).count().await.expect("count"), 1);
}

#[test]
fn two_services_that_claim_one_name_are_refused_with_both_named() {
    let duplicate = |built: Result<Server, BindError>| match built {
        Err(error @ BindError::DuplicateMethod(_)) => {
            let text = error.to_string();
            assert!(text.starts_with("the method `add` is served twice: by "), "{text}");
            assert!(text.contains("CalcServer<") && text.contains("AlsoAddsServer<"), "{text}");
        }
        other => panic!("{other:?}"),
    };
    let calc = || CalcServer::new(MyCalc);
    let also = || AlsoAddsServer::new(MyAlsoAdds);
    duplicate(Server::builder().service(calc()).service(also()).build());
    duplicate(Server::builder().service(calc()).session(move |_| also()).build());
    duplicate(Server::builder().session(move |_| calc()).service(also()).build());
    duplicate(Server::builder().session(move |_| calc()).session(move |_| also()).build());
}

#[tokio::test(start_paused = true)]
async fn a_connector_refuses_two_services_with_one_name_as_well() {
    let (here, _there) = rpc::transport::memory(64);
    let outcome = Connector::over(here)
        .service(CalcServer::new(MyCalc))
        .service(AlsoAddsServer::new(MyAlsoAdds))
        .connect()
        .await;
    assert!(matches!(outcome, Err(ConnectError::DuplicateMethod(error)) if error.method == "add"));
}

#[tokio::test(start_paused = true)]
async fn of_two_services_known_only_at_run_time_the_first_is_used() {
    let one = |answer: &'static str| {
        Router::new()
            .method("which", move |_: Params, _: Context| async move { Ok::<_, ErrorObject>(answer) })
    };
    let server = Server::builder().session(move |_| one("first")).session(move |_| one("second")).build();
    let session = connected(&server.expect("their methods are not known yet").start()).await;
    assert_eq!(session.call::<String>("which", ()).await.expect("which"), "first");
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_registered_twice_in_a_router_stands_for_the_second() {
    let router = echo().method("echo", async |_: Params, _: Context| Ok::<_, ErrorObject>("another"));
    let (session, _peer) = rpc::testing::pair((), router);
    assert_eq!(session.call::<String>("echo", ()).await.expect("echo"), "another");
}

#[tokio::test(start_paused = true)]
async fn untyped_handlers_see_every_shape_of_params() {
    let router = Router::new().method("params", async |params: Params, _: Context| {
        Ok::<_, ErrorObject>(params.as_json().map(str::to_owned))
    });
    let (session, _peer) = rpc::testing::pair((), router);
    let seen = async |params: Value| session.call::<Option<String>>("params", params).await.expect("params");
    assert_eq!(seen(json!([1, "x"])).await.as_deref(), Some("[1,\"x\"]"));
    assert_eq!(seen(json!({"a": 1})).await.as_deref(), Some("{\"a\":1}"));
    let none: Option<String> = session.call("params", ()).await.expect("params");
    assert!(matches!(none.as_deref(), None | Some("[]")), "{none:?}");
}

#[tokio::test(start_paused = true)]
async fn an_untyped_error_travels_with_its_code_and_data() {
    let router = Router::new().method("fail", async |_: Params, _: Context| {
        Err::<(), _>(ErrorObject::new(7, "no").with_data(&["a", "b"]).expect("data"))
    });
    let (session, _peer) = rpc::testing::pair((), router);
    match session.call::<()>("fail", ()).await {
        Err(CallError::Rpc(error)) => {
            assert_eq!((error.code(), error.message()), (ErrorCode::new(7), "no"));
            assert_eq!(error.data::<Vec<String>>().expect("data").expect("texts"), ["a", "b"]);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_finds_what_the_application_keeps_with_its_session() {
    struct User(&'static str);
    let router = Router::new()
        .method("login", async |_: Params, cx: Context| {
            cx.extensions().insert(User("ann"));
            Ok::<_, ErrorObject>(())
        })
        .method("who", async |_: Params, cx: Context| {
            Ok::<_, ErrorObject>(cx.extensions().get::<User>().map(|user| user.0))
        });
    let server = Server::builder().service(router).build().expect("one service").start();
    let (a, b) = (connected(&server).await, connected(&server).await);
    a.call::<()>("login", ()).await.expect("login");
    assert_eq!(a.call::<Option<String>>("who", ()).await.expect("who").as_deref(), Some("ann"));
    assert_eq!(b.call::<Option<String>>("who", ()).await.expect("who"), None, "another session");
}

#[tokio::test(start_paused = true)]
async fn a_sessions_service_may_call_its_peer_from_the_first_moment() {
    let server = Server::builder()
        .session(|session: &Session| {
            let session = session.clone();
            tokio::spawn(async move { session.notify("welcome", (session.id(),)).await });
            echo()
        })
        .build()
        .expect("one service");
    let (here, there) = rpc::transport::memory(1 << 16);
    let session = server.start().attach(there);
    let id = session.id();
    Raw::over(here).expect(&format!(r#"{{"jsonrpc":"2.0","method":"welcome","params":[{id}]}}"#)).await;
}

#[tokio::test]
async fn both_sides_call_each_other_over_tcp() {
    let counter = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&counter);
    let server = Server::builder()
        .service(Router::new().method("call_me_back", async |_: Params, cx: Context| {
            let calc = CalcClient::from(cx.session().clone());
            calc.add(20, 22).await.map_err(|error| ErrorObject::new(1, error.to_string()))
        }))
        .session(move |_| {
            counted.fetch_add(1, SeqCst);
            CounterServer::new(MyCounter::default())
        })
        .bind("tcp://127.0.0.1:0")
        .await
        .expect("a port is free");
    let endpoint = server.endpoint().to_string();
    let handle = server.start();
    let session = Connector::new(&endpoint)
        .expect("an endpoint")
        .service(CalcServer::new(MyCalc))
        .connect()
        .await
        .expect("it listens");
    assert_eq!(session.call::<i64>("call_me_back", ()).await.expect("called back"), 42);
    assert_eq!(CounterClient::from(session.clone()).count().await.expect("count"), 1);
    assert_eq!(session.peer().to_string(), endpoint);
    assert_eq!(counter.load(SeqCst), 1);
    handle.shutdown().await;
}

#[tokio::test]
async fn a_factory_that_panics_does_not_stop_the_server() {
    let first = AtomicUsize::new(0);
    let server = Server::builder()
        .session(move |_| {
            assert!(first.fetch_add(1, SeqCst) > 0, "a secret");
            echo()
        })
        .bind("tcp://127.0.0.1:0")
        .await
        .expect("a port is free");
    let endpoint = server.endpoint().clone();
    let handle = server.start();
    let mut unlucky = Raw::connect(&endpoint).await;
    unlucky.expect_end().await;
    let mut peer = Raw::connect(&endpoint).await;
    let asked = rpc_tests::soon(peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":[1]}"#)).await;
    assert_eq!(asked, r#"{"jsonrpc":"2.0","id":1,"result":[1]}"#);
    drop(handle);
}
