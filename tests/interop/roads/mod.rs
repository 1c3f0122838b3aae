//! The same conversation with Python over every road that both have; either side connects. What is particular to messages is said over
//! TCP, elsewhere.

mod road;

use futures::{StreamExt, future::join_all};
use rpc::{CallError, ConnectError, SubscriptionStyle, transport::tls::PeerCertificates};
use rpc_tests::{Authority, Issued};
use serde_json::json;

use self::road::{Ends, Road, Side};
use crate::{
    lost::every_call_ends_when_python_is_killed,
    python::soon,
    service::{CalcClient, SpendError},
};

/// More characters than one record of TLS has room for, and a socket takes at once. Python writes each as six bytes.
const LONG: usize = 100_000;

async fn both_talk(ends: &mut Ends) {
    both_call_and_notify(ends).await;
    both_call_back(ends).await;
    both_send_much(ends).await;
    we_subscribe(ends).await;
}

async fn both_call_and_notify(Ends { session, python, .. }: &mut Ends) {
    let calc = CalcClient::from(session.clone());
    assert_eq!(
        soon(calc.greet("Ann \u{2028}\n", "Καλημέρα").into_future()).await.expect("answered"),
        "Καλημέρα, Ann \u{2028}\n"
    );
    let error = soon(calc.spend(9).into_future()).await.expect_err("not enough");
    assert!(matches!(error, CallError::Service(SpendError::NotEnough { have: 5, need: 9 })), "{error:?}");
    calc.note("from us").await.expect("sent");
    assert_eq!(soon(calc.notes().into_future()).await.expect("answered"), ["from us"]);

    let greet = json!(["request", "greet", {"name": "Ann \u{2028}\n", "greeting": "Καλημέρα"}]);
    assert_eq!(python.run(greet).await, json!({"result": "Καλημέρα, Ann \u{2028}\n"}));
    let error = json!({"code": 2, "message": "5 is not enough, 9 needed", "data": {"have": 5, "need": 9}});
    assert_eq!(python.run(json!(["request", "spend", [9]])).await, json!({"error": error}));
    python.run(json!(["notify", "note", ["from Python"]])).await;
    assert_eq!(python.run(json!(["request", "notes", []])).await, json!({"result": ["from Python"]}));
}

async fn both_call_back(Ends { session, python, .. }: &mut Ends) {
    let nested = json!(["relay", ["relay", ["add", [1, 2]]]]);
    let sum = soon(session.call::<i64>("relay", &nested).into_future()).await;
    assert_eq!(sum.expect("relayed three times"), 3);
    assert_eq!(python.run(json!(["request", "relay", nested])).await, json!({"result": 3}));
}

async fn both_send_much(Ends { session, python, .. }: &mut Ends) {
    let calc = CalcClient::from(session.clone());
    let sums = soon(join_all((0..1000).map(|n| calc.add(n, 1).into_future()))).await;
    assert!((1..).zip(sums).all(|(n, sum)| sum.is_ok_and(|sum| sum == n)));
    let args: Vec<_> = (0..1000).map(|n| [n, 1]).collect();
    assert_eq!(python.run(json!(["pipeline", "add", args])).await, json!((1..=1000).collect::<Vec<_>>()));

    let long = "λ".repeat(LONG);
    let greeted = soon(calc.greet(&long, "Hello").into_future()).await;
    assert!(greeted.expect("answered") == format!("Hello, {long}"));
    let greet = json!(["request", "greet", {"name": long, "greeting": "Hello"}]);
    assert!(python.run(greet).await == json!({"result": format!("Hello, {long}")}));
}

async fn we_subscribe(Ends { session, python, .. }: &mut Ends) {
    let begun = session.subscribe::<String>("status", ("a",)).style(SubscriptionStyle::Electrum);
    let mut items = soon(begun.into_future()).await.expect("begun");
    python.run(json!(["notify", "status", ["a", "a1"]])).await;
    for item in ["a0", "a1"] {
        assert_eq!(soon(items.next()).await.expect("an item").expect("a text"), item);
    }
}

/// Whoever has connected: we end it in good order, and are told of a Python that has died.
async fn it_goes_well(road: &Road) {
    for side in [Side::We, Side::Python] {
        println!("{side:?} connect");
        let mut ends = road.open(side).await;
        both_talk(&mut ends).await;
        ends.close().await;

        let ends = road.open(side).await;
        every_call_ends_when_python_is_killed(&ends.session, ends.python).await;
    }
}

#[tokio::test]
async fn over_tls_with_certificates_that_somebody_has_issued() {
    it_goes_well(&Road::tls()).await;
}

#[tokio::test]
async fn over_tls_with_a_certificate_that_has_signed_itself() {
    it_goes_well(&Road::pinned_tls()).await;
}

#[tokio::test]
async fn over_tls_where_both_show_a_certificate() {
    let (road, python) = Road::mutual_tls();
    it_goes_well(&road).await;
    let ends = road.open(Side::Python).await;
    let shown = ends.session.extensions().get::<PeerCertificates>().expect("Python has shown one");
    assert!(shown.end_entity() == python.certificate.der().as_ref());
}

#[tokio::test]
async fn over_unix_sockets() {
    it_goes_well(&Road::unix()).await;
}

#[tokio::test]
async fn we_refuse_a_python_whose_certificate_is_somebody_elses() {
    let road = Road::tls();
    for tls in [Authority::new().trusted(), Issued::by_itself(&["localhost"]).pinned()] {
        let (_python, connector) = road.python_serves().await;
        match soon(connector.tls(tls).connect()).await {
            Err(ConnectError::Tls { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
}
