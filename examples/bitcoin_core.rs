//! A client of Bitcoin Core: JSON-RPC 1.0 over HTTP, with a user's name and a password.
//!
//! `cargo run --example bitcoin_core` calls an imitation of a node, which stands below, so that it runs anywhere. With the URL, the user and the
//! password of a node behind it, it calls that: `… --example bitcoin_core http://127.0.0.1:8332 alice secret`.

use std::{convert::Infallible, env, error::Error};

use rpc::{CallError, HttpClient, HttpError, Protocol, RpcError, rpc_service};
use serde::{Deserialize, Serialize};

// ---- The protocol ------------------------------------------------------------------------------------------------

/// Some of <https://developer.bitcoin.org/reference/rpc/>.
#[rpc_service(rename_all = "lowercase")]
trait BitcoinCore {
    async fn get_block_count(&self) -> u64;

    async fn get_block_hash(&self, height: u64) -> Result<String, ChainError>;

    async fn get_block_header(&self, hash: &str) -> Result<Header, ChainError>;

    /// Gives the transaction's id.
    async fn send_raw_transaction(&self, hex: &str) -> Result<String, TransactionError>;
}

#[derive(Debug, PartialEq, thiserror::Error, RpcError)]
enum ChainError {
    #[error("Block not found")]
    #[rpc(code = -5)]
    NotFound,

    #[error("Block height out of range")]
    #[rpc(code = -8)]
    OutOfRange,
}

#[derive(Debug, PartialEq, thiserror::Error, RpcError)]
enum TransactionError {
    #[error("TX decode failed")]
    #[rpc(code = -22)]
    Malformed,

    #[error("rejected by the rules of the network")]
    #[rpc(code = -26)]
    Rejected,
}

/// What is read of a header; a node says more.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    hash: String,
    height: u64,
    time: u64,
}

// ---- What happens ------------------------------------------------------------------------------------------------

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (url, user, password) = match arguments.as_slice() {
        [url, user, password] => (url.clone(), user.as_str(), password.as_str()),
        _ => (imitation::start().await?, "alice", "secret"),
    };
    // 1.0 has neither batches nor parameters by name. A node takes both from a client that speaks `Protocol::Loose`.
    let node = HttpClient::builder(&url)?.protocol(Protocol::V1);
    let http = node.basic_auth(user, password).build()?;
    let core = BitcoinCoreClient::from(http.clone());

    let height = core.get_block_count().await?;
    let tip = core.get_block_header(&core.get_block_hash(height).await?).await?;
    println!("{height} blocks, the last one is {} of {}", tip.hash, tip.time);

    // Errors come with the statuses 404 and 500, and are those of the methods all the same.
    match core.get_block_hash(height + 1).await {
        Err(CallError::Service(ChainError::OutOfRange)) => println!("there is no block {}", height + 1),
        other => println!("not expected: {other:?}"),
    }
    match core.send_raw_transaction("zz").await {
        Err(CallError::Service(TransactionError::Malformed)) => println!("`zz` is no transaction"),
        other => println!("not expected: {other:?}"),
    }
    // A method that is in no trait, and that this node has not.
    match http.call::<serde_json::Value>("getnonsense", ()).await {
        Err(CallError::Rpc(error)) => println!("refused: {error}"),
        other => println!("not expected: {other:?}"),
    }

    // A wrong password is something else than a node that is not there.
    let stranger = HttpClient::builder(&url)?.protocol(Protocol::V1).basic_auth(user, "guess").build()?;
    match BitcoinCoreClient::from(stranger).get_block_count().await {
        Err(CallError::Http(HttpError::Status { status: 401, .. })) => println!("that is not the password"),
        other => println!("not expected: {other:?}"),
    }
    Ok(())
}

// ---- The node ----------------------------------------------------------------------------------------------------

/// As much of a node as is needed here. Statuses and texts are those of Bitcoin Core.
mod imitation {
    use http_body_util::{BodyExt, Full};
    use hyper::{
        Request, Response, StatusCode,
        body::{Bytes, Incoming},
        header::AUTHORIZATION,
        service::service_fn,
    };
    use hyper_util::rt::TokioIo;
    use rpc::Dispatcher;
    use serde_json::Value;
    use tokio::net::TcpListener;

    use super::*;

    const HASHES: [&str; 3] = ["000000000019d668", "00000000839a8e68", "000000006a625f06"];

    struct Node;

    impl BitcoinCore for Node {
        async fn get_block_count(&self) -> u64 {
            HASHES.len() as u64 - 1
        }

        async fn get_block_hash(&self, height: u64) -> Result<String, ChainError> {
            let hash = usize::try_from(height).ok().and_then(|height| HASHES.get(height));
            hash.map(|hash| (*hash).to_owned()).ok_or(ChainError::OutOfRange)
        }

        async fn get_block_header(&self, hash: &str) -> Result<Header, ChainError> {
            let height = HASHES.iter().position(|known| *known == hash).ok_or(ChainError::NotFound)? as u64;
            Ok(Header { hash: hash.to_owned(), height, time: 1_231_006_505 + 600 * height })
        }

        async fn send_raw_transaction(&self, hex: &str) -> Result<String, TransactionError> {
            match hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                true => Err(TransactionError::Rejected),
                false => Err(TransactionError::Malformed),
            }
        }
    }

    /// Gives the URL.
    pub(super) async fn start() -> Result<String, Box<dyn Error>> {
        let service = BitcoinCoreServer::new(Node);
        let dispatcher = Dispatcher::builder().service(service).protocol(Protocol::V1).build()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        tokio::spawn(async move {
            while let Ok((io, _)) = listener.accept().await {
                let dispatcher = dispatcher.clone();
                let service = service_fn(move |request| answer(dispatcher.clone(), request));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(io), service),
                );
            }
        });
        Ok(url)
    }

    async fn answer(
        dispatcher: Dispatcher,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let mut response = Response::default();
        // `alice:secret`, in Base64.
        if request.headers().get(AUTHORIZATION).is_none_or(|said| said != "Basic YWxpY2U6c2VjcmV0") {
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            return Ok(response);
        }
        let reply = match request.into_body().collect().await {
            Ok(body) => dispatcher.dispatch(&body.to_bytes()).await.unwrap_or_default(),
            Err(_) => Bytes::new(),
        };
        let code =
            serde_json::from_slice::<Value>(&reply).ok().and_then(|reply| reply["error"]["code"].as_i64());
        *response.status_mut() = match code {
            None => StatusCode::OK,
            Some(-32600) => StatusCode::BAD_REQUEST,
            Some(-32601) => StatusCode::NOT_FOUND,
            Some(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        *response.body_mut() = reply.into();
        Ok(response)
    }
}
