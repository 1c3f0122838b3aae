//! A slice of the Language Server Protocol over standard input and output: parameters that are one object, notifications that keep their
//! order, and a server that asks its client for something while the client waits for it. All on one connection, in LSP's own framing.
//!
//! `cargo run --example lsp` is an editor, which starts this program again with `serve`: then it is the server.

mod editor;
mod protocol;
mod server;

use std::{env, error::Error};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    match env::args().nth(1).as_deref() {
        Some("serve") => server::serve().await,
        _ => editor::edit().await,
    }
}
