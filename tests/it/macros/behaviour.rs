//! What an expansion does when it runs: a service on one end of an in-memory session, its client on the other.

use rpc::{CallError, Context, MethodInfo, ParamInfo, RpcError, Service, Session, rpc_service, testing};

#[derive(Debug, PartialEq, thiserror::Error, RpcError)]
enum DivError {
    #[error("division by zero")]
    #[rpc(code = -32001)]
    ByZero,
    #[error("{have} is not enough, {need} needed")]
    #[rpc(code = -32002)]
    NotEnough { have: u64, need: u64 },
    #[error("{0}")]
    #[rpc(code = 7)]
    Other(String),
    #[error("{0} and {1}")]
    #[rpc(code = 8)]
    Both(String, u8),
}

#[derive(Debug, PartialEq, thiserror::Error, RpcError)]
#[error("no file {path}")]
#[rpc(code = 2)]
struct NotFound {
    path: String,
}

/// A `Result` whose name does not say so.
type Outcome<T> = Result<T, DivError>;

mod not_std {
    /// A type that is called like one and is none.
    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    pub(super) struct Result<T>(pub(super) T);
}

#[rpc_service(namespace = "calc", separator = ".")]
trait Calc {
    /// Adds two numbers.
    ///
    /// Both of them.
    async fn add(&self, a: i64, b: i64) -> i64;
    async fn greet(&self, name: &str, greeting: &Option<String>) -> String;
    async fn sum(&self, values: &[i64]) -> i64;
    async fn fail(&self, how: u8) -> Result<u8, DivError>;
    async fn fail_by_alias(&self) -> Outcome<()>;
    async fn not_a_result(&self) -> not_std::Result<u8>;
    fn at_once(&self, #[rpc(context)] cx: &Context, path: &str) -> Result<String, NotFound>;
    #[rpc(name = "renameIt", params = "by_name")]
    async fn rename(
        &self,
        #[rpc(name = "type")] from: &str,
        #[rpc(context)] cx: &Context,
        r#to: String,
    ) -> String;
    #[rpc(notification)]
    async fn log(&self, line: &str);
    async fn twice(&self, a: i64) -> i64 {
        self.add(a, a).await
    }
}

struct MyCalc {
    lines: tokio::sync::mpsc::UnboundedSender<String>,
}

impl Calc for MyCalc {
    async fn add(&self, a: i64, b: i64) -> i64 {
        a + b
    }

    async fn greet(&self, name: &str, greeting: &Option<String>) -> String {
        tokio::task::yield_now().await;
        format!("{} {name}", greeting.as_deref().unwrap_or("Hello"))
    }

    async fn sum(&self, values: &[i64]) -> i64 {
        values.iter().sum()
    }

    async fn fail(&self, how: u8) -> Result<u8, DivError> {
        match how {
            0 => Err(DivError::ByZero),
            1 => Err(DivError::NotEnough { have: 1, need: 2 }),
            2 => Err(DivError::Other("other".into())),
            3 => Err(DivError::Both("both".into(), 3)),
            fine => Ok(fine),
        }
    }

    async fn fail_by_alias(&self) -> Outcome<()> {
        Err(DivError::ByZero)
    }

    async fn not_a_result(&self) -> not_std::Result<u8> {
        not_std::Result(5)
    }

    fn at_once(&self, cx: &Context, path: &str) -> Result<String, NotFound> {
        if path.is_empty() { Err(NotFound { path: path.to_owned() }) } else { Ok(cx.method().to_owned()) }
    }

    async fn rename(&self, from: &str, cx: &Context, to: String) -> String {
        format!("{} {from} {to}", cx.method())
    }

    async fn log(&self, line: &str) {
        self.lines.send(line.to_owned()).expect("the test waits for it");
    }
}

/// A client, and what its service was told to log.
async fn calc() -> (CalcClient, tokio::sync::mpsc::UnboundedReceiver<String>, Session) {
    let (lines, logged) = tokio::sync::mpsc::unbounded_channel();
    let (serving, calling) = testing::pair(CalcServer::new(MyCalc { lines }), ());
    (CalcClient::from(calling), logged, serving)
}

#[tokio::test]
async fn parameters_are_owned_or_lent() {
    let (calc, ..) = calc().await;
    let name = String::from("Ann");
    assert_eq!(calc.add(1, 2).await.expect("add"), 3);
    assert_eq!(calc.greet(&name, &None).await.expect("greet"), "Hello Ann");
    assert_eq!(calc.greet(&name, &Some("Bye".into())).await.expect("greet"), "Bye Ann");
    assert_eq!(calc.sum(&[1, 2, 3]).await.expect("sum"), 6);
    assert_eq!(calc.twice(4).await.expect("a body in the trait"), 8);
}

#[tokio::test]
async fn errors_come_back_as_what_they_were() {
    let (calc, ..) = calc().await;
    for (how, expected) in [
        (0, DivError::ByZero),
        (1, DivError::NotEnough { have: 1, need: 2 }),
        (2, DivError::Other("other".into())),
        (3, DivError::Both("both".into(), 3)),
    ] {
        match calc.fail(how).await {
            Err(CallError::Service(error)) => assert_eq!(error, expected),
            other => panic!("{expected:?} became {other:?}"),
        }
    }
    assert_eq!(calc.fail(4).await.expect("no error"), 4);
    assert!(matches!(calc.at_once("").await, Err(CallError::Service(NotFound { .. }))));
}

#[tokio::test]
async fn whether_a_reply_is_a_result_is_not_a_matter_of_its_name() {
    let (calc, ..) = calc().await;
    assert!(matches!(calc.fail_by_alias().await, Err(CallError::Service(DivError::ByZero))));
    assert_eq!(calc.not_a_result().await.expect("it cannot fail"), not_std::Result(5));
}

#[tokio::test]
async fn a_context_takes_its_place_among_the_parameters() {
    let (calc, ..) = calc().await;
    assert_eq!(calc.at_once("x").await.expect("at_once"), "calc.at_once");
    assert_eq!(calc.rename("a", "b".into()).await.expect("rename"), "calc.renameIt a b");
}

#[tokio::test]
async fn a_notification_arrives() {
    let (calc, mut logged, _serving) = calc().await;
    calc.log("a line").await.expect("sent");
    assert_eq!(logged.recv().await.as_deref(), Some("a line"));
}

#[test]
fn the_table_says_what_the_trait_says() {
    let methods = CalcServer::<MyCalc>::METHODS;
    let names: Vec<_> = methods.iter().map(MethodInfo::name).collect();
    assert_eq!(
        names,
        [
            "calc.add",
            "calc.greet",
            "calc.sum",
            "calc.fail",
            "calc.fail_by_alias",
            "calc.not_a_result",
            "calc.at_once",
            "calc.renameIt",
            "calc.log",
            "calc.twice"
        ]
    );
    let params: Vec<_> = methods[7].params().iter().map(ParamInfo::name).collect();
    assert_eq!(params, ["type", "to"]);
    assert_eq!(methods[0].docs(), "Adds two numbers.\n\nBoth of them.");
    assert_eq!(CalcServer::<MyCalc>::declared().len(), methods.len());
}

#[test]
fn an_error_keeps_its_fields() {
    let error = DivError::NotEnough { have: 1, need: 2 };
    let object = error.to_error_object();
    assert_eq!((object.code().value(), object.message()), (-32002, "1 is not enough, 2 needed"));
    assert_eq!(DivError::from_error_object(&object), Some(error));
    assert_eq!(NotFound::from_error_object(&object), None, "another's code");
}
