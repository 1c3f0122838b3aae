//! A bank served over TCP, a customer who calls it, and the bank calling the customer back: all on one connection.
//!
//! `cargo run --example quickstart` starts both sides in one process, prints what each of them sees, and ends by itself.

use std::{collections::BTreeMap, error::Error, sync::Mutex};

use rpc::{CallError, Connector, Context, RpcError, Server, rpc_service};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

// ---- What the two sides agree on: two traits and an error -------------------------------------------------------

/// What the bank offers. From this trait come `BankServer`, which serves it, and `BankClient`, which calls it.
#[rpc_service(namespace = "bank", separator = ".")]
trait Bank {
    /// Borrowed parameters: the caller does not clone, the handler does not own.
    async fn balance(&self, account: &str) -> Result<u64, BankError>;

    /// `cx` does not travel: it tells the handler who is calling, and is a way to call them back.
    #[rpc(params = "by_name")]
    async fn transfer(
        &self,
        #[rpc(context)] cx: &Context,
        from: &str,
        to: &str,
        amount: u64,
    ) -> Result<u64, BankError>;

    /// A notification: it is not answered.
    #[rpc(notification)]
    async fn feedback(&self, text: &str);
}

/// What the customer offers to the bank. There is no client and no server once two sides are connected.
#[rpc_service(namespace = "customer", separator = ".")]
trait Customer {
    async fn confirm(&self, question: &str) -> bool;
}

/// Comes back to the caller as this very type, with its fields.
#[derive(Debug, thiserror::Error, RpcError)]
enum BankError {
    #[error("there is no account `{name}`")]
    #[rpc(code = 1)]
    NoAccount { name: String },

    #[error("{have} is not enough, {need} needed")]
    #[rpc(code = 2)]
    NotEnough { have: u64, need: u64 },

    #[error("the customer said no")]
    #[rpc(code = 3)]
    Declined,
}

// ---- The bank ---------------------------------------------------------------------------------------------------

struct MyBank {
    accounts: Mutex<BTreeMap<String, u64>>,
}

impl MyBank {
    fn accounts(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, u64>> {
        self.accounts.lock().expect("nobody panics while holding it")
    }
}

impl Bank for MyBank {
    async fn balance(&self, account: &str) -> Result<u64, BankError> {
        self.accounts().get(account).copied().ok_or_else(|| BankError::NoAccount { name: account.into() })
    }

    async fn transfer(&self, cx: &Context, from: &str, to: &str, amount: u64) -> Result<u64, BankError> {
        let have = self.balance(from).await?;
        self.balance(to).await?;
        if have < amount {
            return Err(BankError::NotEnough { have, need: amount });
        }
        // The customer waits for us, and we ask the customer: that cannot deadlock, since replies are always read.
        let customer = CustomerClient::from(cx.session().clone());
        match customer.confirm(&format!("Send {amount} to {to}?")).await {
            Ok(true) => {}
            Ok(false) | Err(_) => return Err(BankError::Declined),
        }
        // While Ann was thinking, another transfer may have emptied her account.
        let mut accounts = self.accounts();
        let have = accounts[from];
        let left = have.checked_sub(amount).ok_or(BankError::NotEnough { have, need: amount })?;
        accounts.insert(from.into(), left);
        *accounts.entry(to.into()).or_default() += amount;
        Ok(left)
    }

    async fn feedback(&self, text: &str) {
        println!("      the bank reads {text:?}, and answers nothing");
    }
}

// ---- The customer -----------------------------------------------------------------------------------------------

struct Ann;

impl Customer for Ann {
    async fn confirm(&self, question: &str) -> bool {
        let answer = !question.contains("mallory");
        println!("      the bank asks {question:?}, Ann answers {answer}");
        answer
    }
}

// ---- What happens -----------------------------------------------------------------------------------------------

/// Makes a call, and prints its code and its outcome.
macro_rules! show {
    ($call:expr) => {{
        println!("   {}", stringify!($call));
        match $call.await {
            Ok(value) => println!("   = {value:?}"),
            Err(error) => println!("   = error: {}", rpc::chain(&error)),
        }
    }};
}
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let accounts = [("ann", 100), ("bob", 0), ("mallory", 0)].map(|(name, money)| (name.to_owned(), money));
    let bank = MyBank { accounts: Mutex::new(accounts.into()) };
    let server = Server::builder().service(BankServer::new(bank)).bind("tcp://127.0.0.1:0").await?;
    let endpoint = server.endpoint().clone();
    let running = server.start();
    println!("The bank listens at {endpoint}.");

    let session = Connector::new(&endpoint.to_string())?.service(CustomerServer::new(Ann)).connect().await?;
    let bank = BankClient::from(session.clone());
    println!("Ann has connected, and on the same connection she serves a trait of her own.");

    title(1, "A typed call");
    show!(bank.balance("ann"));

    title(2, "Both ways at once: the bank asks Ann before it answers her");
    show!(bank.transfer("ann", "bob", 30));
    show!(bank.transfer("ann", "mallory", 30));

    title(3, "Typed errors: the enum that the handler returned, fields and all");
    show!(bank.balance("zoe"));
    show!(bank.transfer("ann", "bob", 500));
    match bank.transfer("ann", "bob", 500).await {
        Err(CallError::Service(BankError::NotEnough { have, need })) => {
            println!("      which Ann matches on: she is {} short", need - have);
        }
        other => return Err(format!("expected NotEnough, got {other:?}").into()),
    }

    title(4, "A notification, and behind it a call: they are handled in the order they were sent");
    show!(bank.feedback("nice service"));
    show!(bank.balance("bob"));

    title(5, "The same service for everybody else: a line of JSON, parameters by position or by name");
    let mut wire = Wire::connect(&endpoint).await?;
    wire.exchange(r#"{"jsonrpc":"2.0","id":1,"method":"bank.balance","params":["bob"]}"#).await?;
    wire.exchange(r#"{"jsonrpc":"2.0","id":"x","method":"bank.balance","params":{"account":"bob"}}"#).await?;
    wire.exchange(r#"{"jsonrpc":"2.0","id":2,"method":"bank.balance","params":["zoe"]}"#).await?;

    title(6, "What a wrong call gets: a code, and what was wrong with it");
    wire.exchange(r#"{"jsonrpc":"2.0","id":3,"method":"bank.rob"}"#).await?;
    wire.exchange(r#"{"jsonrpc":"2.0","id":4,"method":"bank.balance","params":[]}"#).await?;
    wire.exchange(r#"{"jsonrpc":"2.0","id":5,"method":"bank.balance","params":[7]}"#).await?;
    wire.exchange(r#"{"jsonrpc":"2.0","id":6,"method":"bank.balance","params":{"acount":"ann"}}"#).await?;
    wire.exchange(r#"{"id":7,"method":"bank.balance","params":["ann"]}"#).await?;
    wire.exchange("bank.balance(ann)").await?;

    title(7, "The end: the server shuts down, and whoever calls learns why there is no answer");
    running.shutdown().await;
    session.closed().await;
    show!(bank.balance("ann"));
    Ok(())
}

fn title(number: u8, text: &str) {
    println!("\n{number}. {text}");
}

/// A peer that knows nothing but TCP and lines.
struct Wire(BufReader<TcpStream>);

impl Wire {
    async fn connect(endpoint: &rpc::Endpoint) -> Result<Self, Box<dyn Error>> {
        let addr = endpoint.socket_addr().ok_or("a bound TCP endpoint has an address")?;
        Ok(Self(BufReader::new(TcpStream::connect(addr).await?)))
    }

    async fn exchange(&mut self, request: &str) -> Result<(), Box<dyn Error>> {
        println!("   --> {request}");
        self.0.write_all(format!("{request}\n").as_bytes()).await?;
        let mut reply = String::new();
        self.0.read_line(&mut reply).await?;
        println!("   <-- {}", reply.trim_end());
        Ok(())
    }
}
