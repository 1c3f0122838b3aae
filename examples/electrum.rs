//! A slice of the Electrum protocol: six traits served by one value, subscriptions whose reply is the first item, and
//! clients of JSON-RPC 1.0 beside those of 2.0.
//!
//! `cargo run --example electrum`. The methods are those of <https://electrumx.readthedocs.io/en/latest/protocol.html>.

use std::{
    collections::BTreeMap,
    error::Error,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use futures::{Stream, StreamExt, stream};
use rpc::{CallError, ErrorObject, Protocol, RpcError, Server, rpc_service};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    sync::watch,
};

// ---- The protocol: a trait for each namespace --------------------------------------------------------------------

#[rpc_service(namespace = "server", separator = ".")]
trait Identity {
    /// The first call of every client. Gives the server's software, and the version that both sides will speak.
    async fn version(&self, client_name: &str, protocol: Versions)
    -> Result<(String, String), ElectrumError>;

    /// A plain `fn` answers where its request was read: for what is known at once.
    fn features(&self) -> Features;

    fn ping(&self);
}

#[rpc_service(namespace = "blockchain.block", separator = ".")]
trait Blocks {
    async fn header(&self, height: usize) -> Result<String, ElectrumError>;

    /// As many as there are, when more are asked for.
    async fn headers(&self, start_height: usize, count: usize) -> HeaderChunk;
}

#[rpc_service(namespace = "blockchain.headers", separator = ".")]
trait Tip {
    /// The reply is the tip as it is, and each later one is a notification under the same name.
    #[rpc(subscription, style = "electrum")]
    async fn subscribe(&self) -> impl Stream<Item = Header>;
}

#[rpc_service(namespace = "blockchain.scripthash", separator = ".")]
trait Scripthash {
    async fn get_balance(&self, scripthash: &str) -> Balance;

    async fn get_history(&self, scripthash: &str) -> Vec<HistoryEntry>;

    /// The items are digests of the history, or null while there is none. Notifications repeat the parameters, so
    /// that a client which follows many can tell whose they are.
    #[rpc(subscription, style = "electrum")]
    async fn subscribe(&self, scripthash: &str) -> impl Stream<Item = Option<String>>;
}

#[rpc_service(namespace = "blockchain.transaction", separator = ".")]
trait Transactions {
    /// `verbose` may be missing, and is `false` then.
    async fn get(&self, txid: &str, #[rpc(default)] verbose: bool) -> Result<Transaction, ElectrumError>;

    async fn broadcast(&self, raw: &str) -> Result<String, ElectrumError>;
}

#[rpc_service(namespace = "mempool", separator = ".")]
trait Mempool {
    /// Pairs of a fee rate, in satoshis a byte, and the size of what pays at least that.
    async fn get_fee_histogram(&self) -> Vec<(f64, u64)>;
}

/// Electrum's servers say what went wrong in the message and send no `data`. What `#[derive(RpcError)]` does not choose for
/// us is written by hand: then errors of any Electrum server come back as this type.
#[derive(Debug, thiserror::Error)]
enum ElectrumError {
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
enum Versions {
    One(String),
    Between(String, String),
}

#[derive(Debug, Serialize, Deserialize)]
struct Features {
    server_version: String,
    protocol_min: String,
    protocol_max: String,
    pruning: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Header {
    height: usize,
    hex: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct HeaderChunk {
    count: usize,
    hex: String,
    max: usize,
}

#[derive(Debug, Serialize, Deserialize)]
struct Balance {
    confirmed: u64,
    unconfirmed: u64,
}

/// Its height is 0 while it waits for a block.
#[derive(Debug, Clone, Hash, Serialize, Deserialize)]
struct HistoryEntry {
    tx_hash: String,
    height: usize,
}

/// Without `verbose` only the hexadecimal text is of interest.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Transaction {
    Raw(String),
    Verbose { txid: String, hex: String, confirmations: usize },
}

// ---- The server --------------------------------------------------------------------------------------------------

const PROTOCOL: &str = "1.4";

/// The first blocks of Bitcoin.
const HEADERS: [&str; 3] = [
    "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c",
    "010000006fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000982051fd1e4ba744bbbe680e1fee14677ba1a3c3540bf7b1cdb606e857233e0e61bc6649ffff001d01e36299",
    "010000004860eb18bf1b1620e37e9490fc8a427514416fd75159ab86688e9a8300000000d5fdcc541e25de1c7a5addedf24858b8bb665c9f36ef744ee42c316022c90f9bb0bc6649ffff001d08d2bd61",
];

/// A transaction pays one amount to one script. `raw` is `scripthash:amount`, which a node would parse for real.
struct Payment {
    raw: String,
    to: String,
    amount: u64,
    /// 0 while it waits for a block.
    height: usize,
}

#[derive(Default)]
struct Chain {
    height: usize,
    payments: BTreeMap<String, Payment>,
}

impl Chain {
    fn tip(&self) -> Header {
        Header { height: self.height, hex: HEADERS[self.height].to_owned() }
    }

    fn history(&self, scripthash: &str) -> Vec<HistoryEntry> {
        let paid = self.payments.iter().filter(|(_, payment)| payment.to == scripthash);
        paid.map(|(txid, payment)| HistoryEntry { tx_hash: txid.clone(), height: payment.height }).collect()
    }

    fn status(&self, scripthash: &str) -> Option<String> {
        let history = self.history(scripthash);
        (!history.is_empty()).then(|| digest(&history))
    }
}

/// Stands in for SHA-256.
fn digest(value: &impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Of a version: 1.10 is newer than 1.4.
fn number(version: &str) -> Vec<u32> {
    version.split('.').map_while(|part| part.parse().ok()).collect()
}

/// Whoever is subscribed watches the chain: changing it is publishing.
struct Index {
    chain: watch::Sender<Chain>,
}

impl Index {
    fn mine(&self) {
        self.chain.send_modify(|chain| {
            chain.height += 1;
            for payment in chain.payments.values_mut().filter(|payment| payment.height == 0) {
                payment.height = chain.height;
            }
        });
    }

    /// What `view` sees of the chain: now, and whenever it has become something else.
    fn follow<T>(&self, view: impl Fn(&Chain) -> T + Send + Sync) -> impl Stream<Item = T> + Send
    where
        T: Clone + PartialEq + Send + Sync,
    {
        stream::unfold((self.chain.subscribe(), view, None), |(mut chain, view, last)| async move {
            let mut now = None;
            let is_news = |chain: &Chain| {
                now = Some(view(chain));
                now != last
            };
            // Ends with the index, and so does the stream.
            chain.wait_for(is_news).await.ok()?;
            Some((now.clone()?, (chain, view, now)))
        })
    }
}

impl Identity for Index {
    async fn version(
        &self,
        client_name: &str,
        protocol: Versions,
    ) -> Result<(String, String), ElectrumError> {
        println!("      server: {client_name:?} speaks {protocol:?}");
        let (oldest, newest) = match &protocol {
            Versions::One(version) => (version, version),
            Versions::Between(oldest, newest) => (oldest, newest),
        };
        match (number(oldest)..=number(newest)).contains(&number(PROTOCOL)) {
            true => Ok(("example 0.1".into(), PROTOCOL.into())),
            false => Err(ElectrumError::BadRequest(format!("only {PROTOCOL} is spoken here"))),
        }
    }

    fn features(&self) -> Features {
        Features {
            server_version: "example 0.1".into(),
            protocol_min: PROTOCOL.into(),
            protocol_max: PROTOCOL.into(),
            pruning: None,
        }
    }

    fn ping(&self) {}
}

impl Blocks for Index {
    async fn header(&self, height: usize) -> Result<String, ElectrumError> {
        match height <= self.chain.borrow().height {
            true => Ok(HEADERS[height].to_owned()),
            false => Err(ElectrumError::BadRequest(format!("height {height} out of range"))),
        }
    }

    async fn headers(&self, start_height: usize, count: usize) -> HeaderChunk {
        let known = &HEADERS[..=self.chain.borrow().height];
        let chunk: Vec<_> = known.iter().copied().skip(start_height).take(count).collect();
        HeaderChunk { count: chunk.len(), hex: chunk.concat(), max: 2016 }
    }
}

impl Tip for Index {
    async fn subscribe(&self) -> impl Stream<Item = Header> {
        self.follow(Chain::tip)
    }
}

impl Scripthash for Index {
    async fn get_balance(&self, scripthash: &str) -> Balance {
        let chain = self.chain.borrow();
        let (confirmed, unconfirmed): (Vec<&Payment>, Vec<&Payment>) = chain
            .payments
            .values()
            .filter(|payment| payment.to == scripthash)
            .partition(|payment| payment.height > 0);
        let sum = |payments: Vec<&Payment>| payments.iter().map(|payment| payment.amount).sum();
        Balance { confirmed: sum(confirmed), unconfirmed: sum(unconfirmed) }
    }

    async fn get_history(&self, scripthash: &str) -> Vec<HistoryEntry> {
        self.chain.borrow().history(scripthash)
    }

    /// The stream borrows the service and the parameter: both live as long as the subscription.
    async fn subscribe(&self, scripthash: &str) -> impl Stream<Item = Option<String>> {
        self.follow(move |chain| chain.status(scripthash))
    }
}

impl Transactions for Index {
    async fn get(&self, txid: &str, verbose: bool) -> Result<Transaction, ElectrumError> {
        let chain = self.chain.borrow();
        let Some(Payment { raw, height, .. }) = chain.payments.get(txid) else {
            return Err(ElectrumError::Daemon(format!("no such transaction: {txid}")));
        };
        Ok(match verbose {
            false => Transaction::Raw(raw.clone()),
            true => Transaction::Verbose {
                txid: txid.to_owned(),
                hex: raw.clone(),
                confirmations: if *height == 0 { 0 } else { chain.height - height + 1 },
            },
        })
    }

    async fn broadcast(&self, raw: &str) -> Result<String, ElectrumError> {
        let rejected =
            |why| ElectrumError::BadRequest(format!("the transaction was rejected by network rules: {why}"));
        let (to, amount) = raw.split_once(':').ok_or_else(|| rejected("TX decode failed"))?;
        let amount = amount.parse().map_err(|_| rejected("TX decode failed"))?;
        if amount < 546 {
            return Err(rejected("dust"));
        }
        let txid = digest(&raw);
        let payment = Payment { raw: raw.to_owned(), to: to.to_owned(), amount, height: 0 };
        self.chain.send_modify(|chain| {
            chain.payments.insert(txid.clone(), payment);
        });
        Ok(txid)
    }
}

impl Mempool for Index {
    async fn get_fee_histogram(&self) -> Vec<(f64, u64)> {
        let waiting = self.chain.borrow().payments.values().filter(|payment| payment.height == 0).count();
        vec![(12.5, 141 * waiting as u64)]
    }
}

// ---- What happens ------------------------------------------------------------------------------------------------

const ALICE: &str = "8b01df4e368ea28f8dc0423bcf7a4923e3a12d307c875e47a0cfbf90b5c39161";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // One value, six services: each takes a handle of it.
    let index = Arc::new(Index { chain: watch::Sender::default() });
    let server = Server::builder()
        .protocol(Protocol::Detect)
        .service(IdentityServer::from(Arc::clone(&index)))
        .service(BlocksServer::from(Arc::clone(&index)))
        .service(TipServer::from(Arc::clone(&index)))
        .service(ScripthashServer::from(Arc::clone(&index)))
        .service(TransactionsServer::from(Arc::clone(&index)))
        .service(MempoolServer::from(Arc::clone(&index)))
        .bind("tcp://127.0.0.1:0")
        .await?;
    let endpoint = server.endpoint().clone();
    let running = server.start();

    // One session, a client for each trait that is of interest.
    let session = rpc::connect(&endpoint.to_string()).await?;
    let identity = IdentityClient::from(session.clone());
    let blocks = BlocksClient::from(session.clone());
    let scripthash = ScripthashClient::from(session.clone());
    let transactions = TransactionsClient::from(session.clone());
    let mempool = MempoolClient::from(session.clone());

    println!("1. Who is there");
    let (software, protocol) =
        identity.version("wallet", Versions::Between("1.2".into(), "1.4".into())).await?;
    println!("   {software} speaks {protocol}: {:?}", identity.features().await?);
    match identity.version("wallet", Versions::One("0.9".into())).await {
        Err(CallError::Service(ElectrumError::BadRequest(reason))) => println!("   refused: {reason}"),
        other => return Err(format!("unexpected: {other:?}").into()),
    }

    println!("2. Two subscriptions. The first item of each is the reply");
    let mut tips = TipClient::from(session.clone()).subscribe().await?;
    let mut statuses = scripthash.subscribe(ALICE).await?;
    println!("   tip: {}", tips.next().await.ok_or("the chain has a tip")??.height);
    println!("   status: {:?}", statuses.next().await.ok_or("null is an item, too")??);

    println!("3. A payment to Alice: her status changes, and again with the next block");
    match transactions.broadcast(&format!("{ALICE}:5")).await {
        Err(CallError::Service(ElectrumError::BadRequest(reason))) => println!("   {reason}"),
        other => return Err(format!("unexpected: {other:?}").into()),
    }
    let txid = transactions.broadcast(&format!("{ALICE}:70000")).await?;
    println!("   status: {:?}", statuses.next().await.ok_or("she was paid")??);
    index.mine();
    println!("   tip: {}", tips.next().await.ok_or("there is a block")??.height);
    println!("   status: {:?}", statuses.next().await.ok_or("it is in the block")??);

    println!("4. What a wallet asks when it starts: a batch, over the methods of several traits");
    let (balance, history, tx, headers, fees, ()) = session
        .try_batch((
            scripthash.get_balance(ALICE),
            scripthash.get_history(ALICE),
            transactions.get(&txid, true),
            blocks.headers(0, 2016),
            mempool.get_fee_histogram(),
            identity.ping(),
        ))
        .await?;
    println!("   {balance:?}, {} transaction(s): {tx:?}", history.len());
    println!("   {} headers, fees {fees:?}", headers.count);
    // Where some may fail, each has a result of its own.
    let (known, unknown) = (blocks.header(1), blocks.header(800_000));
    for header in session.batch([known, unknown]).await? {
        match header {
            Ok(hex) => println!("   header: {}…", &hex[..16]),
            Err(error) => println!("   header: {error}"),
        }
    }

    println!("5. A client of 1.0: it does not say so, and is answered in kind");
    let mut old =
        BufReader::new(TcpStream::connect(endpoint.socket_addr().ok_or("TCP has an address")?).await?);
    exchange(&mut old, r#"{"id": 0, "method": "server.version", "params": ["old wallet", "1.4"]}"#).await?;
    exchange(&mut old, r#"{"id": 1, "method": "blockchain.block.header", "params": [9]}"#).await?;
    exchange(&mut old, r#"{"id": 2, "method": "blockchain.headers.subscribe", "params": []}"#).await?;
    index.mine();
    receive(&mut old).await?;

    running.shutdown().await;
    Ok(())
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
