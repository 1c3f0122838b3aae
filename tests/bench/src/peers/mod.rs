//! What is measured: ourselves, a loop written by hand, and what people would pick instead.

mod floor;
mod jsonrpsee;
mod ours;
mod tarpc;

use std::{io::Write, net::SocketAddr};

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
    /// This crate over WebSocket, with `Limits::unlimited()`.
    OursWs,
    /// tarpc with bincode over TCP.
    Tarpc,
    /// jsonrpsee over WebSocket.
    Jsonrpsee,
}

/// One connection to a peer's server. A clone shares it.
pub trait Client: Clone + Send + Sync + 'static {
    fn connect(peer: Peer, server: SocketAddr) -> impl Future<Output = Result<Self>> + Send;
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
    /// Serves for ever.
    pub async fn serve(self) -> Result<()> {
        match self {
            Self::Floor => floor::serve().await,
            Self::Ours | Self::OursLimited | Self::OursWs => ours::serve(self).await,
            Self::Tarpc => tarpc::serve().await,
            Self::Jsonrpsee => jsonrpsee::serve().await,
        }
    }

    /// Does the job's work to a server of this peer.
    pub async fn load(self, job: &Job) -> Result<Measured> {
        match self {
            Self::Floor => load::run::<floor::Client>(self, job).await,
            Self::Ours | Self::OursLimited | Self::OursWs => load::run::<ours::Client>(self, job).await,
            Self::Tarpc => load::run::<tarpc::Client>(self, job).await,
            Self::Jsonrpsee => load::run::<jsonrpsee::Client>(self, job).await,
        }
    }

    /// As a table's head says it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Floor => "by hand",
            Self::Ours => "rpc",
            Self::OursLimited => "rpc, default limits",
            Self::OursWs => "rpc, WebSocket",
            Self::Tarpc => "tarpc, bincode",
            Self::Jsonrpsee => "jsonrpsee, WebSocket",
        }
    }
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.to_possible_value().expect("none is skipped").get_name())
    }
}

/// Tells the harness where a server listens.
fn announce(server: SocketAddr) -> Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{server}")?;
    Ok(out.flush()?)
}
