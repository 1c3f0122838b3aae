//! What a client sends, seen where it leaves the client.

use std::{
    future::{Ready, ready},
    sync::{Arc, Mutex},
    time::Duration,
};

use rpc::{BatchError, CallError, Caller, Outgoing, OutgoingBatch, Reply};
use serde_json::Value;

/// Answers every call with the same value, and keeps what was asked. Clones keep it together.
#[derive(Debug, Clone)]
pub(crate) struct Recorder {
    answer: Value,
    sent: Arc<Mutex<Vec<Sent>>>,
}

/// One call or notification.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sent {
    pub(crate) method: String,
    pub(crate) params: Option<String>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) idempotent: bool,
}

impl Recorder {
    pub(crate) fn answering(answer: impl Into<Value>) -> Self {
        Self { answer: answer.into(), sent: Arc::default() }
    }

    fn record(&self, outgoing: &Outgoing<'_>) {
        let sent = Sent {
            method: outgoing.method().to_owned(),
            params: outgoing.params().map(str::to_owned),
            timeout: outgoing.timeout(),
            idempotent: outgoing.is_idempotent(),
        };
        self.sent.lock().expect("nobody panics").push(sent);
    }

    /// What was sent since the last time.
    pub(crate) fn take(&self) -> Vec<Sent> {
        std::mem::take(&mut self.sent.lock().expect("nobody panics"))
    }

    /// The method and the parameters, if any, of the one thing that was sent.
    pub(crate) fn message(&self) -> String {
        match &self.take()[..] {
            [Sent { method, params: Some(params), .. }] => format!("{method} {params}"),
            [Sent { method, params: None, .. }] => method.clone(),
            other => panic!("not one message: {other:?}"),
        }
    }
}

impl Caller for Recorder {
    type Call<'a> = Ready<Result<Reply, CallError>>;
    type Notify<'a> = Ready<Result<(), CallError>>;
    type Batch<'a> = Ready<Result<Vec<Result<Reply, CallError>>, BatchError>>;

    fn call<'a>(&self, call: Outgoing<'a>) -> Self::Call<'a> {
        self.record(&call);
        ready(Ok(Reply::result(&self.answer).expect("a value")))
    }

    fn notify<'a>(&self, notification: Outgoing<'a>) -> Self::Notify<'a> {
        self.record(&notification);
        ready(Ok(()))
    }

    fn batch<'a>(&self, batch: OutgoingBatch<'a>) -> Self::Batch<'a> {
        batch.items().iter().for_each(|item| self.record(item.outgoing()));
        let calls = batch.items().iter().filter(|item| item.is_call());
        ready(Ok(calls.map(|_| Ok(Reply::result(&self.answer).expect("a value"))).collect()))
    }
}
