//! The trait that both sides serve: we with the code below, Python with that of peer.py.

use std::sync::{Arc, Mutex};

use rpc::{CallError, Context, ErrorCode, ErrorObject, RpcError, rpc_service};
use serde_json::Value;

#[rpc_service]
pub(crate) trait Calc {
    async fn add(&self, a: i64, b: i64) -> i64;
    #[rpc(params = "by_name")]
    async fn greet(&self, name: &str, greeting: &str) -> String;
    /// Never goes well.
    async fn spend(&self, amount: u64) -> Result<(), SpendError>;
    async fn fail(&self, code: i64, message: &str) -> Result<(), ErrorObject>;
    async fn crash(&self);
    /// Never answers.
    async fn hold(&self);
    #[rpc(notification)]
    async fn note(&self, text: &str);
    /// What was noted.
    async fn notes(&self) -> Vec<String>;
    /// Calls whoever calls, and answers what they answered.
    async fn relay(
        &self,
        #[rpc(context)] cx: &Context,
        method: &str,
        args: &[Value],
    ) -> Result<Value, ErrorObject>;
}

#[derive(Debug, PartialEq, thiserror::Error, RpcError)]
pub(crate) enum SpendError {
    #[error("nothing to spend")]
    #[rpc(code = 1)]
    Nothing,
    #[error("{have} is not enough, {need} needed")]
    #[rpc(code = 2)]
    NotEnough { have: u64, need: u64 },
}

#[derive(Debug, Clone, Default)]
pub(crate) struct MyCalc {
    notes: Arc<Mutex<Vec<String>>>,
}

impl Calc for MyCalc {
    async fn add(&self, a: i64, b: i64) -> i64 {
        a + b
    }

    async fn greet(&self, name: &str, greeting: &str) -> String {
        format!("{greeting}, {name}")
    }

    async fn spend(&self, amount: u64) -> Result<(), SpendError> {
        match amount {
            0 => Err(SpendError::Nothing),
            need => Err(SpendError::NotEnough { have: 5, need }),
        }
    }

    async fn fail(&self, code: i64, message: &str) -> Result<(), ErrorObject> {
        Err(ErrorObject::new(code, message.to_owned()))
    }

    async fn crash(&self) {
        panic!("a secret of the handler");
    }

    async fn hold(&self) {
        std::future::pending::<()>().await;
    }

    async fn note(&self, text: &str) {
        self.notes.lock().expect("nobody panics while holding it").push(text.to_owned());
    }

    async fn notes(&self) -> Vec<String> {
        self.notes.lock().expect("nobody panics while holding it").clone()
    }

    async fn relay(&self, cx: &Context, method: &str, args: &[Value]) -> Result<Value, ErrorObject> {
        cx.session().call(method, args).await.map_err(|error| match error {
            CallError::Rpc(error) => error,
            other => ErrorObject::new(ErrorCode::INTERNAL_ERROR, other.to_string()),
        })
    }
}
