//! What a method may return: anything that serializes, owned or borrowed from what the handler holds.

use std::{borrow::Cow, collections::BTreeMap};

use rpc::{CallError, Limits, RpcError, rpc_service, testing};
use rpc_tests::Raw;

#[derive(Debug, Clone, PartialEq, thiserror::Error, RpcError)]
#[error("no such line")]
#[rpc(code = 1)]
struct NoSuchLine;

type Outcome<T> = Result<T, NoSuchLine>;

#[rpc_service]
trait Book {
    fn title(&self) -> &str;
    fn pages(&self) -> &[u32];
    fn index(&self) -> &BTreeMap<String, u32>;
    async fn title_later(&self) -> &str;
    async fn words(&self, from: usize) -> Vec<&str>;
    async fn line(&self, number: usize) -> Result<&str, NoSuchLine>;
    fn try_line(&self, number: usize) -> Outcome<Option<&str>>;
    async fn shortened(&self) -> Cow<'_, str>;
    async fn constant(&self) -> &'static str;
    #[rpc(blocking)]
    fn slowly(&self) -> Option<&String>;
    async fn first_word<'a>(&self, text: &'a str) -> &'a str;
    fn last_word<'a>(&self, text: &'a str) -> Outcome<&'a str>;
    fn nothing(&self);
    async fn nested(&self) -> (u8, [Option<&str>; 2]);
}

struct Novel {
    title: String,
    pages: Vec<u32>,
    index: BTreeMap<String, u32>,
}

impl Book for Novel {
    fn title(&self) -> &str {
        &self.title
    }
    fn pages(&self) -> &[u32] {
        &self.pages
    }
    fn index(&self) -> &BTreeMap<String, u32> {
        &self.index
    }
    async fn title_later(&self) -> &str {
        tokio::task::yield_now().await;
        &self.title
    }
    async fn words(&self, from: usize) -> Vec<&str> {
        self.title.split(' ').skip(from).collect()
    }
    async fn line(&self, number: usize) -> Result<&str, NoSuchLine> {
        if number == 0 { Ok(&self.title) } else { Err(NoSuchLine) }
    }
    fn try_line(&self, number: usize) -> Outcome<Option<&str>> {
        match number {
            0 => Ok(Some(&self.title)),
            1 => Ok(None),
            _ => Err(NoSuchLine),
        }
    }
    async fn shortened(&self) -> Cow<'_, str> {
        self.title[..3].into()
    }
    async fn constant(&self) -> &'static str {
        "forever"
    }
    fn slowly(&self) -> Option<&String> {
        Some(&self.title)
    }
    async fn first_word<'a>(&self, text: &'a str) -> &'a str {
        text.split(' ').next().unwrap_or_default()
    }
    fn last_word<'a>(&self, text: &'a str) -> Outcome<&'a str> {
        text.split(' ').next_back().filter(|word| !word.is_empty()).ok_or(NoSuchLine)
    }
    fn nothing(&self) {}
    async fn nested(&self) -> (u8, [Option<&str>; 2]) {
        (1, [None, Some(&self.title)])
    }
}

fn novel() -> Novel {
    Novel { title: "War and Peace".into(), pages: vec![1, 2], index: BTreeMap::from([("war".into(), 1)]) }
}

#[tokio::test]
async fn a_reply_may_borrow_from_the_service_and_is_owned_by_the_caller() {
    let (session, _peer) = testing::pair((), BookServer::new(novel()));
    let book = BookClient::from(session);
    let title: String = book.title().await.expect("title");
    assert_eq!(title, "War and Peace");
    let pages: Vec<u32> = book.pages().await.expect("pages");
    assert_eq!(pages, [1, 2]);
    let index: BTreeMap<String, u32> = book.index().await.expect("index");
    assert_eq!(index.len(), 1);
    assert_eq!(book.title_later().await.expect("title_later"), title);
    let words: Vec<String> = book.words(1).await.expect("words");
    assert_eq!(words, ["and", "Peace"]);
    let short: Cow<'static, str> = book.shortened().await.expect("shortened");
    assert_eq!(short, "War");
    let constant: String = book.constant().await.expect("constant");
    assert_eq!(constant, "forever");
    let slowly: Option<String> = book.slowly().await.expect("slowly");
    assert_eq!(slowly.as_deref(), Some("War and Peace"));
    let nested: (u8, [Option<String>; 2]) = book.nested().await.expect("nested");
    assert_eq!(nested, (1, [None, Some(title)]));
}

#[tokio::test]
async fn a_reply_may_borrow_from_a_parameter() {
    let (session, _peer) = testing::pair((), BookServer::new(novel()));
    let book = BookClient::from(session);
    let first: String = book.first_word("a b").await.expect("first_word");
    assert_eq!(first, "a");
    let last: String = book.last_word("a b").await.expect("last_word");
    assert_eq!(last, "b");
    assert!(matches!(book.last_word("").await, Err(CallError::Service(NoSuchLine))));
}

#[tokio::test]
async fn errors_stay_errors_whatever_is_borrowed() {
    let (session, _peer) = testing::pair((), BookServer::new(novel()));
    let book = BookClient::from(session);
    assert_eq!(book.line(0).await.expect("line"), "War and Peace");
    assert!(matches!(book.line(1).await, Err(CallError::Service(NoSuchLine))));
    assert_eq!(book.try_line(0).await.expect("try_line").as_deref(), Some("War and Peace"));
    assert_eq!(book.try_line(1).await.expect("try_line"), None);
    assert!(matches!(book.try_line(2).await, Err(CallError::Service(NoSuchLine))));
}

#[tokio::test(start_paused = true)]
async fn on_the_wire_nobody_sees_what_was_borrowed() {
    let (mut peer, _session) = Raw::peer_of(BookServer::new(novel()), Limits::client());
    for (call, reply) in [
        (r#""id":1,"method":"title"}"#, r#""id":1,"result":"War and Peace"}"#),
        (r#""id":2,"method":"words","params":[2]}"#, r#""id":2,"result":["Peace"]}"#),
        (r#""id":3,"method":"line","params":[2]}"#, r#""id":3,"error":{"code":1,"message":"no such line"}}"#),
        (r#""id":4,"method":"nothing"}"#, r#""id":4,"result":null}"#),
    ] {
        assert_eq!(
            peer.ask(&format!(r#"{{"jsonrpc":"2.0",{call}"#)).await,
            format!(r#"{{"jsonrpc":"2.0",{reply}"#)
        );
    }
}

#[rpc_service]
trait Unwritable {
    async fn lent(&self) -> &BTreeMap<(u8, u8), u8>;
}

struct Pairs(BTreeMap<(u8, u8), u8>);

impl Unwritable for Pairs {
    async fn lent(&self) -> &BTreeMap<(u8, u8), u8> {
        &self.0
    }
}

#[tokio::test(start_paused = true)]
async fn a_borrowed_value_that_cannot_be_written_is_an_internal_error() {
    let pairs = Pairs(BTreeMap::from([((1, 2), 3)]));
    let (mut peer, _session) = Raw::peer_of(UnwritableServer::new(pairs), Limits::client());
    let reply = peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"lent"}"#).await;
    assert_eq!(reply, r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"internal error"}}"#);
}
