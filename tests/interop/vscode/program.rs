//! A program that serves whoever has started it over standard input and output, as a language server does.

#[path = "../service.rs"]
mod service;
mod work;

use std::error::Error;

use rpc::{Cancellation, Server, framing::ContentLengthFramer};

use crate::{
    service::{CalcServer, MyCalc},
    work::{MyWork, WorkServer},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::builder()
        .framer(ContentLengthFramer::new())
        .cancellation(Cancellation::LSP)
        .service(CalcServer::new(MyCalc::default()))
        .service(WorkServer::new(MyWork::default()));
    server.bind("stdio:").await?.start().closed().await;
    Ok(())
}
