//! An application of axum's with an RPC endpoint beside its other routes, a login in front of it, and a page that calls it.
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
use rpc::{Context, Dispatcher, Endpoint, HttpService, Limits, rpc_service};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

// ---- The service: it knows nothing of HTTP but who is asking -------------------------------------------------------

#[rpc_service]
trait Greeter {
    async fn greet(&self, #[rpc(context)] cx: &Context, greeting: &str) -> String;
}

struct Polite;

impl Greeter for Polite {
    async fn greet(&self, cx: &Context, greeting: &str) -> String {
        // Put there by `login`. Over another transport the application would have put it into the session's extensions.
        let user = cx.extensions().get::<User>();
        let name = user.as_ref().map_or("stranger", |user| &user.0);
        format!("{greeting}, {name} at {}", cx.peer().host().unwrap_or_default())
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

fn app() -> Result<axum::Router, Box<dyn Error>> {
    let mut limits = Limits::server();
    limits.frame_size = 10_000;
    let greeter = Dispatcher::builder().service(GreeterServer::new(Polite)).limits(limits).build()?;
    Ok(axum::Router::new()
        .route_service("/rpc", HttpService::new(greeter))
        .layer(middleware::from_fn(login))
        .route("/", get(Html(PAGE))))
}

const PAGE: &str = r#"<!doctype html>
<meta charset="utf-8">
<title>Greetings</title>
<p><input id="greeting" value="Hello"> <button id="greet">Greet</button>
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
document.getElementById("greet").onclick = async () => {
  const answer = document.getElementById("answer");
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
    let app = app()?.into_make_service_with_connect_info::<SocketAddr>();
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
