//! Without a trait: methods and parameters that are only known at run time, as in a console, a proxy or a script.
//!
//! `cargo run --example untyped_client`

use std::error::Error;

use rpc::{CallError, Context, ErrorCode, ErrorObject, Params, Router, Server};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Debug, Serialize, Deserialize)]
struct Point {
    x: i64,
    y: i64,
}

/// A router is a service like those that the macro makes, and can stand beside them on one server.
fn router() -> Router {
    Router::new()
        // Parameters are read into what the handler wants: a tuple for an array, a struct for an object. Where they do
        // not fit, `?` answers -32602 and says why.
        .method("add", async |params: Params, _: Context| {
            let (a, b): (i64, i64) = params.parse()?;
            Ok::<_, ErrorObject>(a + b)
        })
        .method("mirror", async |params: Params, _: Context| {
            let Point { x, y } = params.parse()?;
            Ok::<_, ErrorObject>(Point { x: y, y: x })
        })
        // Or they are not read at all: anything goes back as it came.
        .method("echo", async |params: Params, _: Context| params.parse::<Value>())
        .method("fail", async |_: Params, cx: Context| {
            let error = ErrorObject::new(ErrorCode::new(7), "out of stock");
            // Data is anything that can be written as JSON.
            let error = error
                .with_data(&json!({ "method": cx.method() }))
                .unwrap_or_else(|error| ErrorObject::new(ErrorCode::INTERNAL_ERROR, error.to_string()));
            Err::<(), _>(error)
        })
        .notification("log", async |params: Params, _: Context| {
            println!("logged: {}", params.as_json().unwrap_or("nothing"));
        })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::builder().service(router()).bind("tcp://127.0.0.1:0").await?;
    let endpoint = server.endpoint().to_string();
    let running = server.start();
    let session = rpc::connect(&endpoint).await?;

    // A tuple is sent as an array, a struct or a map as an object. The result is what you say it is …
    let sum: i64 = session.call("add", (1, 2)).await?;
    let mirrored: Point = session.call("mirror", Point { x: 1, y: 2 }).await?;
    println!("{sum}, {mirrored:?}");

    // … and where you cannot say, it is a `Value`. So are the parameters, which makes this a console:
    for (method, params) in [
        ("add", json!([40, 2])),
        ("mirror", json!({ "x": 0, "y": 1 })),
        ("echo", json!([{ "any": ["thing", null] }])),
        ("add", json!(["forty", 2])),
        ("fail", json!([])),
        ("nosuch", json!([])),
    ] {
        match session.call::<Value>(method, &params).await {
            Ok(result) => println!("{method} {params} = {result}"),
            Err(CallError::Rpc(error)) => {
                let data = error.raw_data().map_or("none", |data| data.get());
                println!("{method} {params} failed with {}: {}; data: {data}", error.code(), error.message());
            }
            // Everything else is no answer of the peer's: a timeout, a lost connection.
            Err(error) => return Err(error.into()),
        }
    }

    // Sent, and not answered. The call behind it is handled after it, so then it has been logged.
    session.notify("log", ["a line"]).await?;
    session.call::<Value>("echo", ()).await?;

    running.shutdown().await;
    Ok(())
}
