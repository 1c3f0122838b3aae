//! What handlers know of the request: its headers, what layers have put into its extensions, and who sent it.

use std::net::SocketAddr;

use http::header;
use rpc::{
    Context, Dispatcher, Endpoint, ErrorObject, Extensions, MethodInfo, Params, Router, UnknownParams,
};
use rpc_tests::{Gate, settled, soon, waiting};
use serde_json::json;
use tower::{Layer, ServiceExt};
use tower_http::add_extension::AddExtensionLayer;

use super::kit::{Answer, Body, ask, message, mounted, post, posted};

#[derive(Debug, Clone, PartialEq)]
struct User(&'static str);

/// `who` tells the user, `agent` what a header says, `peer` where the caller is.
fn curious() -> Router {
    Router::new()
        .method("who", async |_: Params, cx: Context| {
            Ok::<_, ErrorObject>(cx.extensions().get::<User>().map(|user| user.0))
        })
        .method("agent", async |_: Params, cx: Context| {
            let agent = cx.http().and_then(|request| request.headers.get(header::USER_AGENT));
            Ok::<_, ErrorObject>(agent.and_then(|agent| Some(agent.to_str().ok()?.to_owned())))
        })
        .method("path", async |_: Params, cx: Context| {
            Ok::<_, ErrorObject>(cx.http().map(|request| request.uri.path().to_owned()))
        })
        .method("peer", async |_: Params, cx: Context| Ok::<_, ErrorObject>(cx.peer().to_string()))
}

fn call(method: &str) -> Body {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#).into()
}

#[tokio::test]
async fn what_a_layer_puts_into_the_extensions_reaches_the_handler_by_its_type() {
    let service = AddExtensionLayer::new(User("ann")).layer(mounted(curious()));
    let request = posted().body(call("who")).expect("a request");
    let response = service.oneshot(request).await.unwrap_or_else(|never| match never {});
    assert_eq!(Answer::read(response).await.json()["result"], "ann");
    // Where nobody has, there is nothing.
    let alone = ask(&mounted(curious()), posted().body(call("who")).expect("a request")).await;
    assert_eq!(alone.json()["result"], json!(null));
}

#[tokio::test]
async fn the_headers_and_the_path_are_there() {
    let service = mounted(curious());
    let request = |method| {
        let request = posted().uri("/rpc/v1?x=1").header(header::USER_AGENT, "curl/8.1");
        request.body(call(method)).expect("a request")
    };
    assert_eq!(ask(&service, request("agent")).await.json()["result"], "curl/8.1");
    assert_eq!(ask(&service, request("path")).await.json()["result"], "/rpc/v1");
}

#[tokio::test]
async fn so_are_parameters_that_the_method_does_not_name() {
    let method = MethodInfo::request("user").with_unknown_params(UnknownParams::AllowNamed(&["_meta"]));
    let service = mounted(Router::new().method(method, async |_: Params, cx: Context| {
        let names: Vec<_> = cx.unknown_params().map(|(name, _)| name.to_owned()).collect();
        Ok::<_, ErrorObject>((names, cx.unknown_param::<String>("_meta")?))
    }));
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"user","params":{"_meta":"ann","x":1}}"#;
    assert_eq!(post(&service, body).await.json()["result"], json!([["_meta"], "ann"]));
}

#[tokio::test]
async fn the_peer_is_whom_the_server_around_it_says() {
    let service = mounted(curious());
    assert_eq!(
        ask(&service, message(r#"{"jsonrpc":"2.0","id":1,"method":"peer"}"#)).await.json()["result"],
        "memory:"
    );
    let peer = Endpoint::tcp(SocketAddr::from(([192, 0, 2, 7], 4711)));
    let request = posted().extension(peer).body(call("peer")).expect("a request");
    assert_eq!(ask(&service, request).await.json()["result"], "tcp://192.0.2.7:4711");
}

#[tokio::test]
async fn nothing_is_known_of_http_where_there_is_none() {
    let (session, _peer) = rpc::testing::pair((), curious());
    assert_eq!(session.call::<Option<String>>("agent", ()).await.expect("a reply"), None);
}

#[test]
fn own_values_go_before_those_of_the_request() {
    let request = http::Request::new(()).into_parts().0;
    let mut request = request;
    request.extensions.insert(User("ann"));
    let extensions = Extensions::of_http(request);
    let kept = extensions.get::<User>().expect("the request's");
    extensions.insert(User("bob"));
    assert_eq!(*extensions.get::<User>().expect("our own"), User("bob"));
    assert_eq!(*extensions.remove::<User>().expect("our own"), User("bob"));
    assert_eq!(*extensions.get::<User>().expect("the request's"), User("ann"));
    assert!(extensions.remove::<User>().is_none());
    assert_eq!(*kept, User("ann"));
    assert!(extensions.get::<u8>().is_none());
}

#[tokio::test(start_paused = true)]
async fn work_that_was_handed_on_learns_that_the_request_was_answered_or_given_up() {
    let (told, mut tells) = tokio::sync::mpsc::unbounded_channel();
    let gate = Gate::closed();
    let router = waiting(&gate).method("spawn", {
        let (gate, told) = (gate.clone(), told.clone());
        move |params: Params, cx: Context| {
            let (gate, told) = (gate.clone(), told.clone());
            tokio::spawn(async move {
                cx.cancelled().await;
                told.send(()).expect("the test is there");
            });
            async move {
                let (waits,): (bool,) = params.parse()?;
                if waits {
                    gate.pass().await;
                }
                Ok::<_, ErrorObject>(())
            }
        }
    });
    let service = mounted(router);
    post(&service, r#"{"jsonrpc":"2.0","id":1,"method":"spawn","params":[false]}"#).await;
    soon(tells.recv()).await.expect("it was answered");

    let given_up = tokio::spawn(async move {
        post(&service, r#"{"jsonrpc":"2.0","id":1,"method":"spawn","params":[true]}"#).await
    });
    gate.until(|gate| gate.waiting() == 1).await;
    settled().await;
    assert!(tells.try_recv().is_err());
    given_up.abort();
    soon(tells.recv()).await.expect("it was given up");
}

#[tokio::test]
async fn what_a_message_has_cost_is_told() {
    let limits = rpc::Limits::server();
    let dispatcher = Dispatcher::builder()
        .service(Router::new().method("dear", async |_: Params, cx: Context| {
            cx.session().add_cost(50.0);
            Ok::<_, ErrorObject>(())
        }))
        .limits(limits.clone())
        .build()
        .expect("one service");
    let peer = || Endpoint::tcp(SocketAddr::from(([192, 0, 2, 7], 1)));
    for (message, cost) in [
        (r#"{"jsonrpc":"2.0","id":1,"method":"dear"}"#, 50.0),
        (r#"{"jsonrpc":"2.0","id":1,"method":"nothing"}"#, limits.cost_of_error),
        (r#"{"jsonrpc":"2.0","method":"nothing"}"#, limits.cost_of_error),
        (r#"[1, 2, {"jsonrpc":"2.0","id":1,"method":"dear"}]"#, 2.0 * limits.cost_of_error + 50.0),
        ("what?", limits.cost_of_unreadable),
    ] {
        let exchange = dispatcher.exchange(message.as_bytes(), peer(), Extensions::default()).await;
        // Besides it is the bytes, which are few.
        assert!((exchange.cost - cost).abs() < 0.1, "{message}: {}", exchange.cost);
    }
}
