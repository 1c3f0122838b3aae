//! What is measured: ourselves, a loop written by hand, and what people would pick instead.

mod floor;
mod jsonrpsee;
mod ours;
mod tarpc;

use std::{fmt::Display, io::Write};

use anyhow::{Result, bail};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::{
    load::{self, Measured},
    role::Job,
    service::{Quote, User},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub enum Peer {
    /// JSON-RPC a line, written by hand on tokio and serde_json: as fast as we know how to without a framework.
    Floor,
    /// This crate with `Limits::unlimited()`.
    Ours,
    /// This crate with `Limits::server()` and `Limits::client()`.
    OursLimited,
    /// The same as `ours` with `Content-Length` headers, as language servers have them, in place of lines.
    OursHeaders,
    /// The same with the length of each message before it, in four bytes.
    OursLength,
    /// The same as `ours` over a Unix socket.
    OursUnix,
    /// The same over WebSocket.
    OursWs,
    /// The same over HTTP.
    OursHttp,
    /// tarpc with bincode over TCP.
    Tarpc,
    /// jsonrpsee over WebSocket.
    Jsonrpsee,
    /// jsonrpsee over HTTP.
    JsonrpseeHttp,
}

/// One connection to a peer's server. A clone shares it.
pub trait Client: Clone + Send + Sync + 'static {
    fn connect(peer: Peer, server: &str) -> impl Future<Output = Result<Self>> + Send;
    fn add(&self, a: i64, b: i64) -> impl Future<Output = Result<i64>> + Send;
    fn echo(&self, text: String) -> impl Future<Output = Result<String>> + Send;
    fn get_user(&self, id: u64) -> impl Future<Output = Result<User>> + Send;
    fn wait(&self, millis: u64) -> impl Future<Output = Result<u64>> + Send;
    fn compute(&self, millis: u64) -> impl Future<Output = Result<u64>> + Send;

    /// Subscribes, and gives every item to `take`, for ever.
    fn follow(&self, take: impl FnMut(Quote) + Send + 'static) -> impl Future<Output = Result<()>> + Send {
        drop(take);
        async { bail!("this peer has no subscriptions") }
    }
}

impl Peer {
    /// Those that are measured unless others are asked for.
    pub const USUAL: [Self; 5] = [Self::Floor, Self::Ours, Self::OursLimited, Self::Tarpc, Self::Jsonrpsee];

    /// Serves for ever.
    pub async fn serve(self) -> Result<()> {
        match self {
            Self::Floor => floor::serve().await,
            Self::Ours
            | Self::OursLimited
            | Self::OursHeaders
            | Self::OursLength
            | Self::OursUnix
            | Self::OursWs
            | Self::OursHttp => ours::serve(self).await,
            Self::Tarpc => tarpc::serve().await,
            Self::Jsonrpsee | Self::JsonrpseeHttp => jsonrpsee::serve().await,
        }
    }

    /// Does the job's work to a server of this peer.
    pub async fn load(self, job: &Job) -> Result<Measured> {
        match self {
            Self::Floor => load::run::<floor::Client>(self, job).await,
            Self::Ours
            | Self::OursLimited
            | Self::OursHeaders
            | Self::OursLength
            | Self::OursUnix
            | Self::OursWs => load::run::<ours::Client<rpc::Session>>(self, job).await,
            Self::OursHttp => load::run::<ours::Client<rpc::HttpClient>>(self, job).await,
            Self::Tarpc => load::run::<tarpc::Client>(self, job).await,
            Self::Jsonrpsee => load::run::<jsonrpsee::Client<jsonrpsee::WsClient>>(self, job).await,
            Self::JsonrpseeHttp => load::run::<jsonrpsee::Client<jsonrpsee::HttpClient>>(self, job).await,
        }
    }

    /// As a table's head says it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Floor => "by hand",
            Self::Ours => "rpc",
            Self::OursLimited => "rpc, default limits",
            Self::OursHeaders => "rpc, Content-Length",
            Self::OursLength => "rpc, length prefix",
            Self::OursUnix => "rpc, Unix socket",
            Self::OursWs => "rpc, WebSocket",
            Self::OursHttp => "rpc, HTTP",
            Self::Tarpc => "tarpc, bincode",
            Self::Jsonrpsee => "jsonrpsee, WebSocket",
            Self::JsonrpseeHttp => "jsonrpsee, HTTP",
        }
    }
}

impl Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.to_possible_value().expect("none is skipped").get_name())
    }
}

/// Tells the harness where a server listens.
fn announce(server: impl Display) -> Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{server}")?;
    Ok(out.flush()?)
}
