//! An application of axum's with an RPC endpoint beside its other routes, for HTTP and WebSocket, with a login in front of it, and a page that
//! calls it, subscribes, and is called back.
//!
//! `cargo run --example axum` asks it a few things and ends; `cargo run --example axum -- 8000` goes on, for a browser: the page is at
//! <http://localhost:8000>.
//!
//! [`app`] is the application; the page is page.html, with the client rpc.js, which may be taken for pages of yours.

mod app;

use std::{error::Error, net::SocketAddr};

use futures::StreamExt;
use rpc::Connector;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use app::{GreeterClient, Visitor, VisitorServer, app};

/// What the page is in a browser: a client that can be called back.
struct Bob;

impl Visitor for Bob {
    async fn name(&self, question: &str) -> Option<String> {
        println!("asked: {question}");
        Some("Bob".to_owned())
    }
}

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
    let visitor = Connector::new(&format!("ws://{addr}/rpc"))?.service(VisitorServer::new(Bob));
    let greeter = GreeterClient::from(visitor.connect().await?);
    let answer = greeter.greet("Hello").await?;
    println!("by WebSocket: {answer}");
    assert_eq!(answer, "Hello, Bob at 127.0.0.1");
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
