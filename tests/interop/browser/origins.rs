//! Pages of other origins, and of host names that somebody has had point here, with what they may try: see intruder.js.

use std::sync::{Arc, Mutex};

use axum::{
    http::{HeaderValue, Method, header::CONTENT_TYPE},
    routing::Router,
};
use rpc::{Server, WebAccess, rpc_service};
use serde_json::{Value, json};
use tower_http::cors::CorsLayer;

use super::{
    app::{App, serve},
    chromium::{Chromium, robot},
};

#[rpc_service]
trait Door {
    async fn knock(&self, how: &str) -> String;
}

/// It keeps who has come in, and how.
#[derive(Clone, Default)]
struct MyDoor(Arc<Mutex<Vec<String>>>);

impl Door for MyDoor {
    async fn knock(&self, how: &str) -> String {
        self.0.lock().expect("nobody panics while holding it").push(how.to_owned());
        format!("come in, {how}")
    }
}

struct House {
    app: App,
    door: MyDoor,
}

impl House {
    async fn open(access: WebAccess, layer: impl FnOnce(Router) -> Router) -> Self {
        let door = MyDoor::default();
        let server = Server::builder().service(DoorServer::new(door.clone())).build().expect("one service");
        Self { app: App::start(server.start(), access, layer).await, door }
    }

    /// The page tries each way.
    async fn expect(&self, page: &Chromium, rpc: &str, tries: impl IntoIterator<Item = Try<'_>>) {
        for (how, seen, came, inside) in tries {
            let code = format!("return (await import('/robot/intruder.js')).{how}('{rpc}')");
            assert_eq!(page.run(&code).await, seen, "{how} at {rpc}");
            assert_eq!(self.app.came(), came, "{how} at {rpc}");
            let inside_now =
                std::mem::take(&mut *self.door.0.lock().expect("nobody panics while holding it"));
            assert_eq!(inside_now, inside, "{how} at {rpc}");
        }
    }
}

/// How the page comes, what it sees, what came here and how that was answered, and who reached the handler.
type Try<'a> = (&'static str, Value, &'a [&'a str], &'a [&'a str]);

fn sees(type_: &str, status: u16) -> Value {
    json!({"result": {"type": type_, "status": status}})
}

/// What a page gets that may not see an answer.
fn sees_nothing() -> Value {
    json!({"thrown": "TypeError: Failed to fetch"})
}

fn refused_socket() -> Value {
    json!({"result": "closed: 1006"})
}

fn loaded() -> Value {
    json!({"result": "loaded"})
}

#[tokio::test]
async fn pages_of_other_origins_reach_no_handler_unless_they_are_allowed() {
    const PLAIN: &str = "POST text/plain;charset=UTF-8";

    let (elsewhere, serving) = serve(robot()).await;
    let elsewhere = format!("http://{elsewhere}");
    let closed = House::open(WebAccess::new(), |router| router).await;
    let cors = CorsLayer::new()
        .allow_origin(elsewhere.parse::<HeaderValue>().expect("an origin"))
        .allow_methods([Method::POST])
        .allow_headers([CONTENT_TYPE]);
    let open = House::open(WebAccess::new().allow_origin(&*elsewhere), |router| router.layer(cors)).await;
    let named = House::open(WebAccess::new().allow_host("evil.example"), |router| router).await;
    let unnamed = House::open(WebAccess::new().allow_origin("null"), |router| router).await;

    let mut page = Chromium::start(&elsewhere).await;
    let refused: [Try<'_>; 7] = [
        ("plain", sees_nothing(), &[&format!("{PLAIN} 403")], &[]),
        ("blind", sees("opaque", 0), &[&format!("{PLAIN} 403")], &[]),
        ("form", loaded(), &["POST text/plain 403"], &[]),
        ("json", sees_nothing(), &["OPTIONS - 403"], &[]),
        ("socket", refused_socket(), &["GET - 403"], &[]),
        ("unnamed_json", sees_nothing(), &["OPTIONS - 403"], &[]),
        ("unnamed_socket", refused_socket(), &["GET - 403"], &[]),
    ];
    closed.expect(&page, &closed.app.rpc(), refused).await;
    // What no page has to ask for does not get in even here: only JSON is taken.
    let let_in: [Try<'_>; 7] = [
        ("plain", sees("cors", 415), &[&format!("{PLAIN} 415")], &[]),
        ("blind", sees("opaque", 0), &[&format!("{PLAIN} 415")], &[]),
        ("form", loaded(), &["POST text/plain 415"], &[]),
        ("json", sees("cors", 200), &["OPTIONS - 200", "POST application/json 200"], &["json"]),
        ("socket", json!({"result": "come in, socket"}), &["GET - 101"], &["socket"]),
        ("unnamed_json", sees_nothing(), &["OPTIONS - 200"], &[]),
        ("unnamed_socket", refused_socket(), &["GET - 403"], &[]),
    ];
    open.expect(&page, &open.app.rpc(), let_in).await;

    // A name of somebody's that leads here: now the server's own pages are theirs, and the browser lets them do all.
    let rebound = |house: &House| format!("http://evil.example:{}", house.app.addr.port());
    // (What a browser asks beforehand is answered by the layer where there is one.)
    for (house, asked) in [(&closed, "OPTIONS - 403"), (&open, "OPTIONS - 200")] {
        page.visit(&rebound(house)).await;
        let refused: [Try<'_>; 7] = [
            ("plain", sees("basic", 403), &[&format!("{PLAIN} 403")], &[]),
            ("blind", sees("basic", 403), &[&format!("{PLAIN} 403")], &[]),
            ("form", loaded(), &["POST text/plain 403"], &[]),
            ("json", sees("basic", 403), &["POST application/json 403"], &[]),
            ("socket", refused_socket(), &["GET - 403"], &[]),
            ("unnamed_json", sees_nothing(), &[asked], &[]),
            ("unnamed_socket", refused_socket(), &["GET - 403"], &[]),
        ];
        house.expect(&page, &format!("{}/rpc", rebound(house)), refused).await;
    }
    page.visit(&rebound(&named)).await;
    let let_in: [Try<'_>; 7] = [
        ("plain", sees("basic", 415), &[&format!("{PLAIN} 415")], &[]),
        ("blind", sees("basic", 415), &[&format!("{PLAIN} 415")], &[]),
        ("form", loaded(), &["POST text/plain 415"], &[]),
        ("json", sees("basic", 200), &["POST application/json 200"], &["json"]),
        ("socket", json!({"result": "come in, socket"}), &["GET - 101"], &["socket"]),
        ("unnamed_json", sees_nothing(), &["OPTIONS - 403"], &[]),
        ("unnamed_socket", refused_socket(), &["GET - 403"], &[]),
    ];
    named.expect(&page, &format!("{}/rpc", rebound(&named)), let_in).await;

    page.visit(&elsewhere).await;
    let let_in: [Try<'_>; 2] = [
        ("unnamed_socket", json!({"result": "come in, socket"}), &["GET - 101"], &["socket"]),
        ("socket", refused_socket(), &["GET - 403"], &[]),
    ];
    unnamed.expect(&page, &unnamed.app.rpc(), let_in).await;
    serving.abort();
}
