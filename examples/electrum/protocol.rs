//! The protocol: a trait for each namespace, and what travels. The methods are those of
//! <https://electrumx.readthedocs.io/en/latest/protocol.html>.

use futures::Stream;
use rpc::{ErrorObject, RpcError, rpc_service};
use serde::{Deserialize, Serialize};

#[rpc_service(namespace = "server", separator = ".")]
pub(crate) trait Identity {
    /// The first call of every client. Gives the server's software, and the version that both sides will speak.
    async fn version(&self, client_name: &str, protocol: Versions)
    -> Result<(String, String), ElectrumError>;

    /// A plain `fn` answers where its request was read: for what is known at once.
    fn features(&self) -> Features;

    fn ping(&self);
}

#[rpc_service(namespace = "blockchain.block", separator = ".")]
pub(crate) trait Blocks {
    async fn header(&self, height: usize) -> Result<String, ElectrumError>;

    /// As many as there are, when more are asked for.
    async fn headers(&self, start_height: usize, count: usize) -> HeaderChunk;
}

#[rpc_service(namespace = "blockchain.headers", separator = ".")]
pub(crate) trait Tip {
    /// The reply is the tip as it is, and each later one is a notification under the same name.
    #[rpc(subscription, style = "electrum")]
    async fn subscribe(&self) -> impl Stream<Item = Header>;
}

#[rpc_service(namespace = "blockchain.scripthash", separator = ".")]
pub(crate) trait Scripthash {
    async fn get_balance(&self, scripthash: &str) -> Balance;

    async fn get_history(&self, scripthash: &str) -> Vec<HistoryEntry>;

    /// The items are digests of the history, or null while there is none. Notifications repeat the parameters, so
    /// that a client which follows many can tell whose they are.
    #[rpc(subscription, style = "electrum")]
    async fn subscribe(&self, scripthash: &str) -> impl Stream<Item = Option<String>>;
}

#[rpc_service(namespace = "blockchain.transaction", separator = ".")]
pub(crate) trait Transactions {
    /// `verbose` may be missing, and is `false` then.
    async fn get(&self, txid: &str, #[rpc(default)] verbose: bool) -> Result<Transaction, ElectrumError>;

    async fn broadcast(&self, raw: &str) -> Result<String, ElectrumError>;
}

#[rpc_service(namespace = "mempool", separator = ".")]
pub(crate) trait Mempool {
    /// Pairs of a fee rate, in satoshis a byte, and the size of what pays at least that.
    async fn get_fee_histogram(&self) -> Vec<(f64, u64)>;
}

/// Electrum's servers say what went wrong in the message and send no `data`. What `#[derive(RpcError)]` does not choose for
/// us is written by hand: then errors of any Electrum server come back as this type.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ElectrumError {
    #[error("{0}")]
    BadRequest(String),
    #[error("{0}")]
    Daemon(String),
}

impl RpcError for ElectrumError {
    fn to_error_object(&self) -> ErrorObject {
        let code = match self {
            Self::BadRequest(_) => 1,
            Self::Daemon(_) => 2,
        };
        ErrorObject::new(code, self.to_string())
    }

    fn from_error_object(error: &ErrorObject) -> Option<Self> {
        let message = error.message().to_owned();
        match error.code().value() {
            1 => Some(Self::BadRequest(message)),
            2 => Some(Self::Daemon(message)),
            _ => None,
        }
    }
}

/// What a client speaks: one version, or the oldest and the newest.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Versions {
    One(String),
    Between(String, String),
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Features {
    pub(crate) server_version: String,
    pub(crate) protocol_min: String,
    pub(crate) protocol_max: String,
    pub(crate) pruning: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) height: usize,
    pub(crate) hex: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HeaderChunk {
    pub(crate) count: usize,
    pub(crate) hex: String,
    pub(crate) max: usize,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Balance {
    pub(crate) confirmed: u64,
    pub(crate) unconfirmed: u64,
}

/// Its height is 0 while it waits for a block.
#[derive(Debug, Clone, Hash, Serialize, Deserialize)]
pub(crate) struct HistoryEntry {
    pub(crate) tx_hash: String,
    pub(crate) height: usize,
}

/// Without `verbose` only the hexadecimal text is of interest.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Transaction {
    Raw(String),
    Verbose { txid: String, hex: String, confirmations: usize },
}
