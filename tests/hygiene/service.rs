//! Nothing of an expansion warns, however strict its crate is: no allowance here is for generated code.
#![deny(warnings, missing_docs, missing_debug_implementations, unreachable_pub, unused_qualifications)]
#![deny(rust_2018_idioms, single_use_lifetimes, clippy::all, clippy::pedantic)]

use rpc::{Context, RpcError, rpc_service};

/// A failure of either kind.
#[derive(Debug, thiserror::Error, PartialEq, RpcError)]
pub enum DivError {
    /// The divisor is zero.
    #[error("division by zero")]
    #[rpc(code = -32001)]
    ByZero,
    /// There is too little.
    #[error("{have} is not enough, {need} needed")]
    #[rpc(code = -32002)]
    NotEnough {
        /// What there is.
        have: u64,
        /// What there should be.
        need: u64,
    },
    /// Something else.
    #[error("{0}")]
    #[rpc(code = 7)]
    Other(String),
    /// Two things at once.
    #[error("{0} and {1}")]
    #[rpc(code = -9_223_372_036_854_775_808)]
    Both(String, u8),
}

/// A failure of one kind.
#[derive(Debug, thiserror::Error, PartialEq, RpcError)]
#[error("no such file: {path}")]
#[rpc(code = 2)]
pub struct NotFound {
    /// The file.
    pub path: String,
}

/// Codes beside those that are reserved.
#[derive(Debug, thiserror::Error, RpcError)]
pub enum AtTheEdges {
    /// The greatest below.
    #[error("a")]
    #[rpc(code = -32769)]
    Below,
    /// The least of the servers'.
    #[error("b")]
    #[rpc(code = -32099)]
    Least,
    /// The greatest of the servers'.
    #[error("c")]
    #[rpc(code = -32000)]
    Greatest,
    /// The least above.
    #[error("d")]
    #[rpc(code = -31999)]
    Above,
}

/// A result whose name says so to people only.
pub type Outcome<T> = Result<T, DivError>;

/// What a calculator offers.
#[rpc_service(namespace = "calc", separator = ".")]
pub trait Calc {
    /// Adds two numbers.
    async fn add(&self, a: i64, b: i64) -> i64;

    /// Borrowed in, on both sides.
    async fn greet(&self, name: &str) -> String;

    /// Slices are lent too.
    async fn sum(&self, values: &[i64], scale: &Option<i64>) -> i64;

    /// And lists of what is lent.
    async fn join(&self, words: &[&str], more: Option<&[&Option<i64>]>) -> String;

    /// Borrowed inside.
    async fn tag(&self, name: std::borrow::Cow<'_, str>) -> String;

    /// Typed failure.
    ///
    /// # Errors
    /// If `b` is zero.
    async fn div(&self, a: i64, b: i64) -> Result<i64, DivError>;

    /// The same, by another name.
    ///
    /// # Errors
    /// If `b` is zero.
    async fn divide(&self, a: i64, b: i64) -> Outcome<i64>;

    /// Not asynchronous.
    fn version(&self) -> u32;

    /// Not asynchronous, with everything.
    ///
    /// # Errors
    /// Never.
    fn check(&self, #[rpc(context)] cx: &Context, name: &str) -> Result<u32, NotFound>;

    /// No reply travels back.
    #[rpc(notification)]
    async fn log(&self, line: &str);

    /// Nor here, at once.
    #[rpc(notification, params = "by_name")]
    fn tick(&self);

    /// The other side.
    ///
    /// # Errors
    /// Never.
    #[rpc(name = "renameIt", params = "by_name")]
    async fn rename(
        &self,
        #[rpc(context)] cx: &Context,
        #[rpc(name = "old")] from: &str,
        to: &str,
    ) -> Result<usize, DivError>;

    /// Has a body.
    async fn twice(&self, a: i64) -> i64 {
        self.add(a, a).await
    }

    /// Has a body that fails.
    ///
    /// # Errors
    /// If it is odd.
    async fn half(&self, a: i64) -> Outcome<i64> {
        if a % 2 == 1 {
            return Err(DivError::Other("odd".into()));
        }
        self.div(a, 2).await?;
        Ok(a / 2)
    }

    /// Old.
    #[deprecated = "use `add`"]
    async fn plus(&self, a: i64, b: i64) -> i64;

    /// Has as many parameters as there can be.
    #[allow(clippy::too_many_arguments)]
    async fn many(
        &self,
        a: u8,
        b: u8,
        c: u8,
        d: u8,
        e: u8,
        f: u8,
        g: u8,
        h: u8,
        i: u8,
        j: u8,
        k: u8,
        l: u8,
        m: u8,
        n: u8,
        o: u8,
        p: u8,
    );
}

/// Seen by this crate only.
pub(crate) mod inner {
    /// Empty.
    #[rpc::rpc_service]
    pub(crate) trait Empty {}

    /// Private and used by nobody.
    #[rpc::rpc_service]
    trait Unused {
        fn nothing(&self, _ignored: u8);
    }
}

struct MyCalc;

impl Calc for MyCalc {
    async fn add(&self, a: i64, b: i64) -> i64 {
        a + b
    }
    async fn greet(&self, name: &str) -> String {
        format!("Hello, {name}")
    }
    async fn sum(&self, values: &[i64], scale: &Option<i64>) -> i64 {
        values.iter().sum::<i64>() * scale.unwrap_or(1)
    }
    async fn join(&self, words: &[&str], more: Option<&[&Option<i64>]>) -> String {
        format!("{} {more:?}", words.concat())
    }
    async fn tag(&self, name: std::borrow::Cow<'_, str>) -> String {
        name.into_owned()
    }
    async fn div(&self, a: i64, b: i64) -> Result<i64, DivError> {
        a.checked_div(b).ok_or(DivError::ByZero)
    }
    async fn divide(&self, a: i64, b: i64) -> Outcome<i64> {
        self.div(a, b).await
    }
    fn version(&self) -> u32 {
        1
    }
    fn check(&self, _: &Context, name: &str) -> Result<u32, NotFound> {
        Err(NotFound { path: name.to_owned() })
    }
    async fn log(&self, _line: &str) {}
    fn tick(&self) {}
    async fn rename(&self, _: &Context, from: &str, to: &str) -> Result<usize, DivError> {
        Ok(from.len() + to.len())
    }
    async fn plus(&self, a: i64, b: i64) -> i64 {
        a + b
    }
    async fn many(
        &self,
        _: u8,
        _: u8,
        _: u8,
        _: u8,
        _: u8,
        _: u8,
        _: u8,
        _: u8,
        _: u8,
        _: u8,
        _: u8,
        _: u8,
        _: u8,
        _: u8,
        _: u8,
        _: u8,
    ) {
    }
}

fn main() {
    let _server = CalcServer::new(MyCalc);
}
