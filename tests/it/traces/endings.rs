//! The ways in which requests end, whatever they came by: one by one, as notifications, and in batches.

use std::{collections::BTreeSet, pin::pin, time::Duration};

use futures::future::{Either, select};
use rpc::{Call, Caller, Limits, Outgoing, OutgoingBatch};
use rpc_tests::{Event, Events, Gate, soon};
use serde_json::{Value, json};
use tracing::Level;

use super::road::Road;

/// A method, its parameters, and what the log says of a call of it.
type Case = (&'static str, Value, Outcome);

/// The outcome, and the code of an error.
type Outcome = (&'static str, Option<i64>);

fn cases() -> Vec<Case> {
    vec![
        ("value", json!([1]), ("result", None)),
        ("plain", json!([1]), ("result", None)),
        ("blocking", json!([1]), ("result", None)),
        ("later", json!([1]), ("result", None)),
        ("fail", json!([1]), ("error", Some(-7))),
        ("fail_later", json!([1]), ("error", Some(-7))),
        ("burst", json!([1]), ("panicked", None)),
        ("burst_later", json!([1]), ("panicked", None)),
        ("value", json!(["one"]), ("refused", Some(-32602))),
        ("nothing", json!([1]), ("unknown", Some(-32601))),
    ]
}

/// What the log has had of the ends of requests, since it was asked last.
pub(super) struct Ends<'a> {
    events: &'a Events,
    peer: &'static str,
    seen: usize,
}

/// The method, whether it was a request, and the outcome.
pub(super) type End = (String, bool, String, Option<i64>);

impl<'a> Ends<'a> {
    pub(super) fn new(events: &'a Events, peer: &'static str) -> Self {
        Self { events, peer, seen: 0 }
    }

    /// Waits until there are `number` of them, and every span is closed. Each is as it should be.
    pub(super) async fn next(&mut self, number: usize) -> Vec<End> {
        let all = |events: &Events| events.of("request").split_off(self.seen);
        soon(self.events.until(|events| all(events).len() >= number && events.open_spans() == 0)).await;
        let new = all(self.events);
        self.seen += new.len();
        let mut ends: Vec<End> = new.iter().map(|event| self.end(event)).collect();
        ends.sort();
        ends
    }

    fn end(&self, event: &Event) -> End {
        assert_eq!((event.level, event.target), (Level::DEBUG, "rpc::request"), "{event:?}");
        assert!(event.span.is_some(), "it is in its span");
        let outcome = event.field("outcome");
        let is_refusal = matches!(outcome, "refused" | "unknown");
        let has_code = is_refusal || outcome == "error";
        let is_request = !event.field("jsonrpc.request.id").is_empty();
        let always =
            ["rpc.system.name", "rpc.method", "session", "network.peer.address", "outcome", "duration"];
        let sometimes = [
            ("jsonrpc.request.id", is_request),
            ("rpc.response.status_code", has_code),
            ("error", is_refusal),
        ];
        let sometimes = sometimes.into_iter().filter_map(|(name, has)| has.then_some(name));
        let names: BTreeSet<&str> = event.fields.keys().copied().collect();
        assert_eq!(names, always.into_iter().chain(sometimes).collect(), "{event:?}");
        assert_eq!(event.field("rpc.system.name"), "jsonrpc");
        assert!(event.field("network.peer.address").starts_with(self.peer), "{event:?}");
        assert!(event.field("session").parse::<u64>().is_ok(), "{event:?}");
        let code = event.fields.get("rpc.response.status_code").map(|code| code.parse().expect("a number"));
        (event.field("rpc.method").to_owned(), is_request, outcome.to_owned(), code)
    }
}

fn end((method, _, (outcome, code)): &Case, is_request: bool) -> End {
    ((*method).to_owned(), is_request, (*outcome).to_owned(), *code)
}

/// What handlers have said is in the spans of their requests, and nothing else is in any.
pub(super) fn nothing_leaks(events: &Events) {
    let ends: BTreeSet<_> = events.of("request").iter().map(|event| event.span).collect();
    assert_eq!(ends.len(), events.of("request").len(), "each has a span of its own");
    for event in events.of("a handler says") {
        assert_eq!(event.field("rpc.method"), event.field("handler"));
        assert!(ends.contains(&event.span), "{event:?}");
    }
    assert!(
        events.of("elsewhere").iter().all(|event| event.span.is_none()),
        "tasks of handlers are not theirs"
    );
    let around =
        ["rpc::driver", "rpc::server", "rpc::client", "rpc::session::batch", "rpc::session::pending"];
    for event in events.all() {
        let is_around = around.iter().any(|module| event.target.starts_with(module));
        assert!(!is_around || event.span.is_none(), "{event:?}");
    }
}

pub(super) async fn every_outcome<C: Caller>(open: impl AsyncFn(Gate, Limits) -> Road<C>) {
    let events = Events::capture();
    let road = open(Gate::closed(), Limits::server()).await;
    let (caller, mut ends) = (&road.caller, Ends::new(&events, road.peer));
    let mut batch = OutgoingBatch::new();
    let mut expected = Vec::new();
    for case in &cases() {
        let (method, params, _) = case;
        let reply: Result<Value, _> = soon(Call::untyped(caller, method, params)).await;
        if *method == "blocking" {
            assert_eq!(reply.expect("a reply"), json!(true), "it is in the span");
        }
        assert_eq!(ends.next(1).await, [end(case, true)]);
        soon(caller.notify(Outgoing::new(method, params).expect("JSON"))).await.expect("sent");
        assert_eq!(ends.next(1).await, [end(case, false)]);
        let both = batch.call(method, params).and_then(|batch| batch.notify(method, params));
        batch = both.expect("JSON");
        expected.extend([end(case, true), end(case, false)]);
    }
    expected.sort();
    soon(caller.batch(batch)).await.expect("replies");
    assert_eq!(ends.next(expected.len()).await, expected);
    // Twice in a handler that waits, each time: alone, as a notification, and both in a batch.
    let said = events.of("a handler says").into_iter();
    assert_eq!(said.filter(|event| event.field("handler") == "later").count(), 2 * 4);
    nothing_leaks(&events);
}

/// Several at once, of which none finishes: a call and a notification by themselves, or in a batch.
async fn hanging<C: Caller>(caller: &C, in_batch: bool) {
    let hangs = || Outgoing::new("hang", &[1]).expect("JSON");
    if in_batch {
        let batch = OutgoingBatch::new().call("hang", &[1]).and_then(|batch| batch.notify("hang", &[2]));
        drop(caller.batch(batch.expect("JSON")).await);
    } else {
        drop(futures::future::join(caller.call(hangs()), caller.notify(hangs())).await);
    }
}

fn both(outcome: &str) -> [End; 2] {
    [false, true].map(|is_request| ("hang".to_owned(), is_request, outcome.to_owned(), None))
}

pub(super) async fn timeouts<C: Caller>(open: impl AsyncFn(Gate, Limits) -> Road<C>) {
    let events = Events::capture();
    let mut limits = Limits::server();
    limits.request_timeout = Some(Duration::from_millis(50));
    let road = open(Gate::closed(), limits).await;
    let mut ends = Ends::new(&events, road.peer);
    for in_batch in [false, true] {
        soon(hanging(&road.caller, in_batch)).await;
        assert_eq!(ends.next(2).await, both("timeout"));
    }
    nothing_leaks(&events);
}

pub(super) async fn the_end_of_the_caller<C: Caller>(open: impl AsyncFn(Gate, Limits) -> Road<C>) {
    for in_batch in [false, true] {
        let (events, gate) = (Events::capture(), Gate::closed());
        let mut limits = Limits::server();
        limits.request_timeout = None;
        // A peer that has only ended its stream may still wait for replies.
        limits.close_timeout = Some(Duration::from_millis(50));
        let road = open(gate.clone(), limits).await;
        {
            let begun = pin!(soon(gate.until(|gate| gate.waiting() == 2)));
            match select(pin!(hanging(&road.caller, in_batch)), begun).await {
                Either::Left(_) => panic!("they hang"),
                Either::Right(((), _calls)) => (road.leave)(&road.caller),
            }
        }
        let mut ends = Ends::new(&events, road.peer);
        // By itself, a notification over HTTP was answered when it was begun: it has nothing to do with its caller any more.
        if road.peer.starts_with("http") && !in_batch {
            soon(gate.until(|gate| gate.dropped() == 1)).await;
            gate.open();
            let ([notification, _], [_, call]) = (both("result"), both("abandoned"));
            assert_eq!(ends.next(2).await, [notification, call]);
        } else {
            assert_eq!(ends.next(2).await, both("abandoned"));
        }
        nothing_leaks(&events);
    }
}

/// For sessions: nothing else can take a request back.
pub(super) async fn cancellation<C: Caller>(open: impl AsyncFn(Gate, Limits) -> Road<C>) {
    let (events, gate) = (Events::capture(), Gate::closed());
    let road = open(gate.clone(), Limits::server()).await;
    let mut ends = Ends::new(&events, road.peer);
    for (in_batch, number) in [(false, 1), (true, 2)] {
        let calls = async {
            let mut batch = OutgoingBatch::new().call("hang", &[1]).expect("JSON");
            match in_batch {
                true => {
                    batch = batch.call("hang", &[2]).expect("JSON");
                    drop(road.caller.batch(batch).await);
                }
                false => drop(road.caller.call(Outgoing::new("hang", &[1]).expect("JSON")).await),
            }
        };
        let begun = pin!(soon(gate.until(|gate| gate.waiting() == number)));
        assert!(matches!(select(pin!(calls), begun).await, Either::Right(_)), "they hang");
        let cancelled = ("hang".to_owned(), true, "cancelled".to_owned(), None);
        assert_eq!(ends.next(number).await, vec![cancelled; number]);
    }
    nothing_leaks(&events);
}
