//! An application of axum's with an RPC endpoint beside its other routes, for HTTP and WebSocket, with a login in front of it, and a page that
//! calls it both ways.
//!
//! `cargo run --example axum` asks it a few things and ends; `cargo run --example axum -- 8000` goes on, for a browser: the page is at
//! <http://localhost:8000>.

use std::{error::Error, net::SocketAddr};

use axum::{
    extract::{ConnectInfo, Request},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use futures::{Stream, StreamExt, stream};
use rpc::{Connector, Context, Endpoint, Limits, Server, ServerHandle, rpc_service};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

// ---- The service: it knows nothing of HTTP but who is asking -------------------------------------------------------

#[rpc_service]
trait Greeter {
    async fn greet(&self, #[rpc(context)] cx: &Context, greeting: &str) -> String;

    /// Needs a session, and so a WebSocket.
    #[rpc(subscription)]
    async fn count_down(&self, from: u32) -> impl Stream<Item = u32>;
}

struct Polite;

impl Greeter for Polite {
    async fn greet(&self, cx: &Context, greeting: &str) -> String {
        // Put there by `login`. Over another transport the application would have put it into the session's extensions.
        let user = cx.extensions().get::<User>();
        let name = user.as_ref().map_or("stranger", |user| &user.0);
        format!("{greeting}, {name} at {}", cx.peer().host().unwrap_or_default())
    }

    async fn count_down(&self, from: u32) -> impl Stream<Item = u32> {
        stream::iter((0..=from).rev()).then(async |n| {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            n
        })
    }
}

// ---- The application -----------------------------------------------------------------------------------------------

#[derive(Clone)]
struct User(String);

/// Any layer may say who is asking: what it puts into the request's extensions reaches the handler.
async fn login(ConnectInfo(addr): ConnectInfo<SocketAddr>, mut request: Request, next: Next) -> Response {
    let token = request.headers().get(header::AUTHORIZATION).map(|token| token.as_bytes().to_owned());
    match token.as_deref() {
        None => {}
        Some(b"Bearer 17") => drop(request.extensions_mut().insert(User("Ann".to_owned()))),
        Some(_) => return StatusCode::UNAUTHORIZED.into_response(),
    }
    // Then it is the `peer()` of the context, too.
    request.extensions_mut().insert(Endpoint::tcp(addr));
    next.run(request).await
}

/// The server listens nowhere itself: it keeps the sessions that WebSockets become.
fn app() -> Result<(axum::Router, ServerHandle), Box<dyn Error>> {
    let mut limits = Limits::server();
    limits.frame_size = 10_000;
    let server = Server::builder().service(GreeterServer::new(Polite)).limits(limits).build()?.start();
    let app = axum::Router::new()
        .route_service("/rpc", server.http_service())
        .layer(middleware::from_fn(login))
        .route("/", get(Html(PAGE)));
    Ok((app, server))
}

const PAGE: &str = r#"<!doctype html>
<meta charset="utf-8">
<title>Greetings</title>
<p><input id="greeting" value="Hello"> <button id="greet">Greet</button>
<p><button id="count">Count down</button>
<pre id="answer"></pre>
<script>
let id = 0;
async function call(method, ...params) {
  const response = await fetch("/rpc", {
    method: "POST",
    headers: { "content-type": "application/json", authorization: "Bearer 17" },
    body: JSON.stringify({ jsonrpc: "2.0", id: ++id, method, params }),
  });
  const { result, error } = await response.json();
  if (error) throw new Error(error.message);
  return result;
}
const answer = document.getElementById("answer");
document.getElementById("count").onclick = () => {
  const socket = new WebSocket(`ws://${location.host}/rpc`);
  socket.onopen = () => socket.send(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "count_down", params: [5] }));
  socket.onmessage = ({ data }) => {
    const { params } = JSON.parse(data);
    if (params?.result !== undefined) answer.textContent = params.result;
    if (params?.result === 0) socket.close();
  };
};
document.getElementById("greet").onclick = async () => {
  answer.textContent = await call("greet", document.getElementById("greeting").value).catch(String);
};
</script>
"#;

// ---- Asking it -----------------------------------------------------------------------------------------------------

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port = std::env::args().nth(1).map(|port| port.parse::<u16>()).transpose()?;
    let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or(0))).await?;
    let addr = listener.local_addr()?;
    println!("http://{addr}");
    let (app, server) = app()?;
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let serving = tokio::spawn(async move { axum::serve(listener, app).await });
    if port.is_some() {
        return Ok(serving.await??);
    }

    let json = "content-type: application/json\r\n";
    let (status, answer) = post(addr, json).await?;
    println!("without a token: {answer}");
    assert_eq!((status.as_str(), answer.as_str()), ("200", &*greeted("Hello, stranger at 127.0.0.1")));

    let (_, answer) = post(addr, &format!("{json}authorization: Bearer 17\r\n")).await?;
    println!("with Ann's: {answer}");
    assert_eq!(answer, greeted("Hello, Ann at 127.0.0.1"));

    let (status, _) = post(addr, &format!("{json}authorization: Bearer 18\r\n")).await?;
    println!("with a wrong one: {status}");
    assert_eq!(status, "401");

    // What a page of another site would send.
    let (status, answer) = post(addr, &format!("{json}origin: https://evil.example\r\n")).await?;
    println!("from a page of another site: {status} {answer}");
    assert_eq!(status, "403");

    // The same place, by WebSocket.
    let session = Connector::new(&format!("ws://{addr}/rpc"))?.connect().await?;
    let greeter = GreeterClient::from(session);
    println!("by WebSocket: {}", greeter.greet("Hello").await?);
    let count: Vec<u32> = greeter.count_down(3).await?.map(Result::unwrap_or_default).collect().await;
    println!("and counting down: {count:?}");
    assert_eq!(count, [3, 2, 1, 0]);
    server.shutdown().await;
    Ok(())
}

fn greeted(text: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"result":"{text}"}}"#)
}

/// What a client of HTTP does: gives the status and the body.
async fn post(addr: SocketAddr, headers: &str) -> Result<(String, String), Box<dyn Error>> {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"greet","params":["Hello"]}"#;
    let request = format!(
        "POST /rpc HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(addr).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await?;
    let (head, body) = response.split_once("\r\n\r\n").ok_or("no response")?;
    let status = head.split(' ').nth(1).ok_or("no status")?;
    Ok((status.to_owned(), body.to_owned()))
}
