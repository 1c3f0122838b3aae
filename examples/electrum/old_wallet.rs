//! A client of JSON-RPC 1.0, written by hand. It does not say what it speaks, and is answered in kind.

use std::error::Error;

use rpc::Endpoint;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use crate::chain::Index;

pub(crate) async fn connect(server: &Endpoint, index: &Index) -> Result<(), Box<dyn Error>> {
    println!("5. A client of 1.0");
    let address = server.socket_addr().ok_or("TCP has an address")?;
    let mut old = BufReader::new(TcpStream::connect(address).await?);
    exchange(&mut old, r#"{"id": 0, "method": "server.version", "params": ["old wallet", "1.4"]}"#).await?;
    exchange(&mut old, r#"{"id": 1, "method": "blockchain.block.header", "params": [9]}"#).await?;
    exchange(&mut old, r#"{"id": 2, "method": "blockchain.headers.subscribe", "params": []}"#).await?;
    index.mine();
    receive(&mut old).await
}

async fn exchange(peer: &mut BufReader<TcpStream>, request: &str) -> Result<(), Box<dyn Error>> {
    println!("   --> {request}");
    peer.write_all(format!("{request}\n").as_bytes()).await?;
    receive(peer).await
}

async fn receive(peer: &mut BufReader<TcpStream>) -> Result<(), Box<dyn Error>> {
    let mut line = String::new();
    peer.read_line(&mut line).await?;
    println!("   <-- {}", line.trim_end());
    Ok(())
}
