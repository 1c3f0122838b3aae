//! A slice of an Ethereum node's `eth_` namespace: hex quantities, errors that carry data, and one method for several
//! kinds of subscriptions. As nodes do, it answers HTTP and WebSocket on one port: subscriptions need the latter.
//!
//! `cargo run --example eth`. The methods are those of <https://ethereum.github.io/execution-apis/>.

use std::{
    collections::BTreeMap,
    error::Error,
    fmt,
    sync::{Mutex, MutexGuard},
};

use futures::{Stream, StreamExt, stream};
use rpc::{CallError, HttpClient, RpcError, Server, rpc_service};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

// ---- The protocol ------------------------------------------------------------------------------------------------

/// `eth_chainId` and so on: the separator is `_` unless another is given.
#[rpc_service(namespace = "eth", rename_all = "camelCase")]
trait Eth {
    fn chain_id(&self) -> Quantity;

    async fn block_number(&self) -> Quantity;

    /// Without a tag, of the latest block: `default` is `BlockTag::default()`.
    #[rpc(idempotent)]
    async fn get_balance(&self, address: &Data, #[rpc(default)] block: BlockTag) -> Quantity;

    /// Runs a contract without a transaction.
    async fn call(&self, request: CallRequest, #[rpc(default)] block: BlockTag) -> Result<Data, CallFailure>;

    /// Gives the transaction's hash.
    async fn send_raw_transaction(&self, transaction: &Data) -> Result<Data, SendError>;

    /// `eth_subscribe`. The items come under `eth_subscription`, and `eth_unsubscribe` ends them.
    #[rpc(subscription, item = "subscription")]
    async fn subscribe(&self, kind: Kind, #[rpc(default)] filter: LogFilter) -> impl Stream<Item = Event>;
}

#[derive(Debug, PartialEq, thiserror::Error, RpcError)]
enum SendError {
    #[error("the transaction cannot be decoded")]
    #[rpc(code = -32000)]
    Malformed,

    /// The fields travel: `"data":{"have":"0x5","need":"0x7"}`.
    #[error("insufficient funds: have {have}, need {need}")]
    #[rpc(code = -32003)]
    InsufficientFunds { have: Quantity, need: Quantity },
}

#[derive(Debug, PartialEq, thiserror::Error, RpcError)]
enum CallFailure {
    /// One unnamed field is the `data` itself, which is what nodes send here: the contract's own words.
    #[error("execution reverted")]
    #[rpc(code = 3)]
    Reverted(Data),
}

/// A number, in hexadecimal without leading zeros.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Quantity(u128);

/// Bytes: two hexadecimal digits each. Addresses, hashes, code.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Data(Vec<u8>);

/// `"latest"`, or the number of a block.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum BlockTag {
    Earliest,
    #[default]
    Latest,
    #[serde(untagged)]
    Number(Quantity),
}

#[derive(Debug, Serialize, Deserialize)]
struct CallRequest {
    to: Data,
    #[serde(default)]
    input: Data,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Kind {
    NewHeads,
    Logs,
}

/// Which logs are wanted: those of one address, or all.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct LogFilter {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<Data>,
}

/// What comes of a subscription depends on its kind; serde tells the two apart by their fields.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum Event {
    Head(Head),
    Log(Log),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    number: Quantity,
    parent_hash: Data,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Log {
    address: Data,
    block_number: Quantity,
    data: Data,
}

// ---- Hexadecimal -------------------------------------------------------------------------------------------------

#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no hexadecimal text that begins with 0x")]
struct NoHex(String);

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl From<Quantity> for String {
    fn from(quantity: Quantity) -> Self {
        quantity.to_string()
    }
}

impl TryFrom<String> for Quantity {
    type Error = NoHex;

    fn try_from(text: String) -> Result<Self, NoHex> {
        let digits = text.strip_prefix("0x").filter(|digits| !digits.starts_with('+'));
        let number = digits.and_then(|digits| u128::from_str_radix(digits, 16).ok());
        number.map(Self).ok_or(NoHex(text))
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl From<Data> for String {
    fn from(data: Data) -> Self {
        format!("{data:?}")
    }
}

impl TryFrom<String> for Data {
    type Error = NoHex;

    fn try_from(text: String) -> Result<Self, NoHex> {
        let byte = |pair: &[u8]| match pair {
            [high, low] => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                u8::try_from(digit(high)? * 16 + digit(low)?).ok()
            }
            _ => None,
        };
        let bytes = text.strip_prefix("0x").and_then(|text| text.as_bytes().chunks(2).map(byte).collect());
        bytes.map(Self).ok_or(NoHex(text))
    }
}

// ---- The node ----------------------------------------------------------------------------------------------------

/// A chain in which every transaction has a block of its own.
struct Node {
    state: Mutex<State>,
    events: broadcast::Sender<Event>,
}

struct State {
    height: u128,
    balances: BTreeMap<Data, u128>,
}

impl Node {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding it")
    }
}

/// Stands for RLP and a signature: the sender, the recipient, and a byte with the amount.
fn decode(transaction: &Data) -> Option<(Data, Data, u128)> {
    match transaction.0.as_slice() {
        [from, to, amount] => Some((Data(vec![*from]), Data(vec![*to]), u128::from(*amount))),
        _ => None,
    }
}

impl Eth for Node {
    fn chain_id(&self) -> Quantity {
        Quantity(1337)
    }

    async fn block_number(&self) -> Quantity {
        Quantity(self.state().height)
    }

    async fn get_balance(&self, address: &Data, block: BlockTag) -> Quantity {
        match block {
            BlockTag::Latest => Quantity(self.state().balances.get(address).copied().unwrap_or_default()),
            // This node keeps no history.
            BlockTag::Earliest | BlockTag::Number(_) => Quantity(0),
        }
    }

    /// The one contract there is doubles a byte, and reverts where it would overflow.
    async fn call(&self, request: CallRequest, _: BlockTag) -> Result<Data, CallFailure> {
        let byte = request.input.0.first().copied().unwrap_or_default();
        let doubled = byte.checked_mul(2).ok_or_else(|| CallFailure::Reverted(Data(b"overflow".to_vec())))?;
        Ok(Data(vec![doubled]))
    }

    async fn send_raw_transaction(&self, transaction: &Data) -> Result<Data, SendError> {
        let (from, to, amount) = decode(transaction).ok_or(SendError::Malformed)?;
        let mut state = self.state();
        let have = state.balances.get(&from).copied().unwrap_or_default();
        let left = have.checked_sub(amount).ok_or_else(|| {
            let (have, need) = (Quantity(have), Quantity(amount));
            SendError::InsufficientFunds { have, need }
        })?;
        state.balances.insert(from, left);
        *state.balances.entry(to.clone()).or_default() += amount;
        state.height += 1;
        let number = Quantity(state.height);
        let head = Head { number, parent_hash: Data(vec![0; 32]) };
        let log = Log { address: to, block_number: number, data: transaction.clone() };
        for event in [Event::Head(head), Event::Log(log)] {
            // It fails where there is no subscriber.
            drop(self.events.send(event));
        }
        Ok(Data([vec![0; 29], transaction.0.clone()].concat()))
    }

    async fn subscribe(&self, kind: Kind, filter: LogFilter) -> impl Stream<Item = Event> {
        let events = stream::unfold(self.events.subscribe(), |mut events| async move {
            // A stream that ends tells the subscriber so, which is honest towards one who is too slow.
            let event = events.recv().await.ok()?;
            Some((event, events))
        });
        events.filter(move |event| {
            let is_wanted = match (kind, event) {
                (Kind::NewHeads, Event::Head(_)) => true,
                (Kind::Logs, Event::Log(log)) => filter.address.as_ref().is_none_or(|it| *it == log.address),
                _ => false,
            };
            std::future::ready(is_wanted)
        })
    }
}

// ---- What happens ------------------------------------------------------------------------------------------------

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let [ann, bob, carol] = [0xaa, 0xbb, 0xcc].map(|byte| Data(vec![byte]));
    let balances = BTreeMap::from([(ann.clone(), 100)]);
    let node = Node { state: Mutex::new(State { height: 0, balances }), events: broadcast::Sender::new(64) };
    let server = Server::builder().service(EthServer::new(node)).bind("http://127.0.0.1:0").await?;
    let at = server.endpoint().socket_addr().ok_or("it listens at an address")?;
    let running = server.start();

    // Who only asks needs no session: `curl` would do.
    let http = EthClient::from(HttpClient::new(&format!("http://{at}"))?);
    println!("over HTTP: block {}", http.block_number().await?);

    let session = rpc::connect(&format!("ws://{at}")).await?;
    let eth = EthClient::from(session.clone());

    // A batch: one message, and a result of its own type for each call. What is lent is not cloned.
    let (chain, height, balance) = session
        .try_batch((eth.chain_id(), eth.block_number(), eth.get_balance(&ann, BlockTag::Latest)))
        .await?;
    println!("chain {chain}, block {height}, Ann has {balance}");

    // As somebody else would call it, without the parameter that may be missing.
    let same: String = session.call("eth_getBalance", ("0xaa",)).await?;
    println!("on the wire that is {same:?}");

    let mut heads = eth.subscribe(Kind::NewHeads, LogFilter::default()).await?;
    let mut logs = eth.subscribe(Kind::Logs, LogFilter { address: Some(carol) }).await?;

    for transaction in [vec![0xaa, 0xbb, 30], vec![0xaa, 0xcc, 30], vec![0xaa, 0xbb, 200], vec![0xaa]] {
        match eth.send_raw_transaction(&Data(transaction)).await {
            Ok(hash) => println!("sent {hash:?}"),
            Err(CallError::Service(SendError::InsufficientFunds { have, need })) => {
                println!("{} wei are missing", need.0 - have.0);
            }
            Err(error) => println!("refused: {}", rpc::chain(&error)),
        }
    }
    println!("Bob has {}", eth.get_balance(&bob, BlockTag::Latest).await?);

    // Both subscriptions are fed by one method; each gets its own.
    for _ in 0..2 {
        println!("head: {:?}", heads.next().await.ok_or("two blocks were made")??);
    }
    println!("log: {:?}", logs.next().await.ok_or("Carol was paid")??);

    for byte in [21, 210] {
        let request = CallRequest { to: Data(vec![0xdd]), input: Data(vec![byte]) };
        match eth.call(request, BlockTag::Latest).await {
            Ok(output) => println!("the contract says {output:?}"),
            Err(CallError::Service(CallFailure::Reverted(Data(reason)))) => {
                println!("the contract refuses: {}", String::from_utf8_lossy(&reason));
            }
            Err(error) => return Err(error.into()),
        }
    }

    // Dropping a subscription ends it: the client calls `eth_unsubscribe`.
    drop((heads, logs));
    running.shutdown().await;
    Ok(())
}
