//! Several calls in one message: fewer round trips, with a result of its own type for each call.
//!
//! `cargo run --example batches`

use std::error::Error;

use rpc::{CallError, OutgoingBatch, RpcError, Server, rpc_service};
use serde::{Deserialize, Serialize};

/// A slice of what an Electrum server offers.
#[rpc_service(namespace = "blockchain", separator = ".")]
trait Blockchain {
    /// The header of the block at a height, in hexadecimal.
    async fn header(&self, height: u32) -> Result<String, ChainError>;

    /// What an address owns, in satoshis.
    async fn balance(&self, address: &str) -> Balance;

    /// Tells the server what the client is about to do.
    #[rpc(notification)]
    async fn hint(&self, text: &str);
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Balance {
    confirmed: u64,
    unconfirmed: i64,
}

#[derive(Debug, PartialEq, thiserror::Error, RpcError)]
enum ChainError {
    #[error("there is no block at height {height} yet: the tip is at {tip}")]
    #[rpc(code = 1)]
    TooHigh { height: u32, tip: u32 },
}

struct Chain {
    tip: u32,
}

impl Blockchain for Chain {
    async fn header(&self, height: u32) -> Result<String, ChainError> {
        match height <= self.tip {
            true => Ok(format!("{height:064x}")),
            false => Err(ChainError::TooHigh { height, tip: self.tip }),
        }
    }

    async fn balance(&self, address: &str) -> Balance {
        Balance { confirmed: address.len() as u64 * 1_000, unconfirmed: -5 }
    }

    async fn hint(&self, text: &str) {
        println!("server: the client says {text:?}");
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let service = BlockchainServer::new(Chain { tip: 800_000 });
    let server = Server::builder().service(service).bind("tcp://127.0.0.1:0").await?;
    let url = server.endpoint().to_string();
    let running = server.start();

    let session = rpc::connect(&url).await?;
    let chain = BlockchainClient::from(session.clone());

    // A tuple: calls of different kinds, a notification among them. Nothing is sent before the batch is awaited, and
    // then all of it in one message.
    let (balance, (), tip, beyond) = session
        .batch((
            chain.balance("bc1q"),
            chain.hint("looking around"),
            chain.header(800_000),
            chain.header(900_000),
        ))
        .await?;
    println!("balance: {:?}", balance?);
    println!("tip:     {}", tip?);
    // One call failed, in its own way, and the others did not.
    match beyond {
        Err(CallError::Service(error)) => println!("beyond:  {error}"),
        other => panic!("{other:?}"),
    }

    // A `Vec` (or an array): many calls of one kind.
    let headers = session.batch((0..50).map(|height| chain.header(height)).collect::<Vec<_>>()).await?;
    let headers: Vec<String> = headers.into_iter().collect::<Result<_, _>>()?;
    println!("headers: {} of them, the last is {}", headers.len(), headers[49]);

    // All or nothing: the first failure is that of the batch.
    match session.try_batch([chain.header(1), chain.header(800_001), chain.header(2)]).await {
        Err(error) => println!("refused: {}", rpc::chain(&error)),
        Ok(headers) => panic!("{headers:?}"),
    }

    // Without types, where methods are only known at run time.
    let batch = OutgoingBatch::new().call("blockchain.header", &(7,))?.call("blockchain.balance", &("x",))?;
    for reply in session.batch(batch).await? {
        println!("untyped: {}", reply?.decode::<serde_json::Value>()?);
    }

    running.shutdown().await;
    Ok(())
}
