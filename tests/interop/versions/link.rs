//! A connection between one of our versions and one of Python's, on which both sides do the same things and show what came of them
//! in the same form:
//!
//! - `{"result": …}`
//! - `{"error": {"code": …, "message": …, "data": …}}`: the other side answered so
//! - `{"refused": …}`: this side would not send it, or could not read the answer

use rpc::{
    BatchError, CallError, Connector, Limits, OutgoingBatch, ReplyError, Server, ServerHandle, Session,
};
use serde_json::{Value, json};

use super::pairs::{Pair, Side};
use crate::{
    python::{Python, soon},
    service::{CalcServer, MyCalc},
};

pub(super) struct Link {
    pub(super) session: Session,
    pub(super) python: Python,
    /// What came of the first call, `add` with 1 and 2, by the side that connected.
    pub(super) first: Value,
    /// Ours, where Python connected to it.
    pub(super) _server: Option<ServerHandle>,
}

/// A member of a batch: the method, its parameters, and whether it is answered.
pub(super) type Member = (&'static str, Value, bool);

impl Link {
    /// Both have connected, and the first call was made: whoever detects has detected.
    pub(super) async fn new(pair: Pair) -> Self {
        Self::with_limits(pair, Limits::server()).await
    }

    pub(super) async fn with_limits(pair: Pair, limits: Limits) -> Self {
        match pair.begins {
            Side::We => {
                let mut link = Self::connected(pair, limits).await;
                link.first = link.call(Side::We, "add", json!([1, 2])).await;
                link
            }
            Side::Python => {
                let (server, mut python) = Self::listening(pair, limits).await;
                let first = python.run(json!(["request", "add", [1, 2]])).await;
                // Whoever was answered has been accepted.
                let session = server.sessions().pop().expect("Python has a session");
                Self { session, python, first, _server: Some(server) }
            }
        }
    }

    /// A client of ours, which has not said anything yet.
    pub(super) async fn connected(pair: Pair, limits: Limits) -> Self {
        let (python, url) = Python::serve(pair.theirs).await;
        let connector = Connector::new(&url).expect("a URL").service(CalcServer::new(MyCalc::default()));
        let session = connector.limits(limits).protocol(pair.ours).connect().await.expect("Python listens");
        Self { session, python, first: Value::Null, _server: None }
    }

    /// A server of ours, to which Python has not said anything yet.
    pub(super) async fn listening(pair: Pair, limits: Limits) -> (ServerHandle, Python) {
        let builder = Server::builder().service(CalcServer::new(MyCalc::default())).limits(limits);
        let server =
            builder.protocol(pair.ours).bind("tcp://127.0.0.1:0").await.expect("a free port").start();
        let python = Python::connect(server.endpoint(), pair.theirs).await;
        (server, python)
    }

    pub(super) async fn call(&mut self, side: Side, method: &str, params: Value) -> Value {
        match side {
            Side::Python => self.python.run(json!(["request", method, params])).await,
            Side::We => match soon(self.session.call::<Value>(method, params).into_future()).await {
                Ok(result) => json!({"result": result}),
                Err(error) => shown(error),
            },
        }
    }

    /// Gives null, or why it was not sent.
    pub(super) async fn notify(&mut self, side: Side, method: &str, params: Value) -> Value {
        match side {
            Side::Python => self.python.run(json!(["notify", method, params])).await,
            Side::We => self.session.notify(method, params).await.map_or_else(shown, |()| Value::Null),
        }
    }

    /// Gives what came of each member that is answered, or why there is nothing of the kind.
    pub(super) async fn batch(&mut self, side: Side, members: &[Member]) -> Value {
        match side {
            Side::Python => self.python.run(json!(["batch", members])).await,
            Side::We => {
                let mut batch = OutgoingBatch::new();
                for (method, params, is_answered) in members {
                    let added =
                        if *is_answered { batch.call(method, params) } else { batch.notify(method, params) };
                    batch = added.expect("JSON is JSON");
                }
                match soon(self.session.batch(batch).into_future()).await {
                    Ok(replies) => replies
                        .into_iter()
                        .map(|reply| match reply.map(rpc::Reply::decode::<Value>) {
                            Ok(Ok(result)) => json!({"result": result}),
                            Ok(Err(ReplyError::Error(error))) => json!({"error": error}),
                            Ok(Err(error)) => json!({"refused": error.to_string()}),
                            Err(error) => shown(error),
                        })
                        .collect(),
                    Err(BatchError::Unsupported(why)) => json!({"refused": why.to_string()}),
                    Err(other) => panic!("{other}"),
                }
            }
        }
    }

    /// Both can end it, and do.
    pub(super) async fn close(mut self) {
        assert_eq!(self.session.calls_in_flight(), 0);
        soon(self.session.close()).await;
        assert_eq!(self.python.run(json!(["ended"])).await, Value::Null);
    }
}

fn shown(error: CallError) -> Value {
    match error {
        CallError::Rpc(error) => json!({"error": error}),
        CallError::Protocol { source, .. } => json!({"refused": source.to_string()}),
        CallError::Encode { source, .. } => json!({"refused": source.to_string()}),
        CallError::Unsupported { source, .. } => json!({"refused": source.to_string()}),
        other => panic!("{other}"),
    }
}

/// The code of an error.
pub(super) fn code(outcome: &Value) -> &Value {
    &outcome["error"]["code"]
}
