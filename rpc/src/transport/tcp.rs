//! TCP.

use std::io;

use tokio::net::{TcpListener, TcpStream};

/// Connects to the first address of `host` that answers.
pub(crate) async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    prepared(TcpStream::connect((host, port)).await?)
}

/// Listens at the first address of `host` that can be bound.
pub(crate) async fn listen(host: &str, port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((host, port)).await
}

/// Messages are gathered before they are written: the kernel has no reason to hold them back.
pub(crate) fn prepared(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    Ok(stream)
}
