//! A reply that cannot be used names the method that it answers, whatever carried it.

use rpc::{BatchError, CallError, Limits, ProtocolError, Session};
use rpc_tests::{
    Raw, echo,
    http::{HttpPeer, ok},
};

/// What a client of a session makes of one answer to `call`, which is given the id 1.
async fn answered<T, F: Future<Output = T>>(answer: &str, call: impl FnOnce(Session) -> F) -> T {
    let (mut peer, session) = Raw::peer_of((), Limits::client());
    let (outcome, ()) = tokio::join!(call(session), peer.send(answer));
    outcome
}

const TEXT: &str = r#"{"jsonrpc":"2.0","id":1,"result":"a text"}"#;
const BOTH: &str = r#"{"jsonrpc":"2.0","id":1,"result":1,"error":{"code":1,"message":""}}"#;

/// Which method, and whether it is the type or the protocol.
fn named(error: CallError) -> (String, &'static str) {
    assert!(rpc::chain(&error).to_string().contains("`sell`"), "{error}");
    match error {
        CallError::Decode { method, .. } => (method, "decode"),
        CallError::Protocol { method, .. } => (method, "protocol"),
        other => panic!("{other:?}"),
    }
}

fn of_sell(kind: &'static str) -> (String, &'static str) {
    ("sell".to_owned(), kind)
}

#[tokio::test(start_paused = true)]
async fn calls_over_a_session() {
    for (answer, kind) in [(TEXT, "decode"), (BOTH, "protocol")] {
        let outcome = answered(answer, async |session| session.call::<u8>("sell", ()).await).await;
        assert_eq!(named(outcome.expect_err(answer)), of_sell(kind));
    }
    let subscribed = answered(BOTH, async |session| session.subscribe::<u8>("sell", ()).await.map(drop));
    assert_eq!(named(subscribed.await.expect_err("it is malformed")), of_sell("protocol"));
}

#[tokio::test(start_paused = true)]
async fn calls_over_http() {
    for (answer, kind) in
        [(TEXT, "decode"), (BOTH, "protocol"), (r#"{"jsonrpc":"2.0","id":2,"result":1}"#, "protocol")]
    {
        let (mut peer, client) = HttpPeer::of_client();
        let (outcome, ()) = tokio::join!(async { client.call::<u8>("sell", ()).await }, async {
            let mut connection = peer.accept().await;
            connection.request().await;
            connection.write(ok(answer)).await;
        });
        assert_eq!(named(outcome.expect_err(answer)), of_sell(kind));
    }
}

/// Each member its own.
#[tokio::test(start_paused = true)]
async fn members_of_a_batch() {
    let answer = r#"[{"jsonrpc":"2.0","id":1,"result":1},{"jsonrpc":"2.0","id":2,"result":"a text"}]"#;
    let outcomes = answered(answer, async |session| {
        session.batch((session.call::<u8>("buy", ()), session.call::<u8>("sell", ()))).await
    });
    let (bought, sold) = outcomes.await.expect("there is an answer");
    assert_eq!(bought.expect("a number"), 1);
    assert_eq!(named(sold.expect_err("a text")), of_sell("decode"));

    let outcome = answered(answer, async |session| {
        session.try_batch((session.call::<u8>("buy", ()), session.call::<u8>("sell", ()))).await
    });
    let Err(BatchError::Member { index: 1, method, source }) = outcome.await else { panic!("a text") };
    assert_eq!(method, "sell");
    let source = *source.downcast::<CallError>().expect("the error of the call");
    assert_eq!(named(source), of_sell("decode"));
    // The first has no reply at all.
    let answer = r#"[{"jsonrpc":"2.0","id":2,"result":1}]"#;
    let outcomes = answered(answer, async |session| {
        session.batch((session.call::<u8>("sell", ()), session.call::<u8>("buy", ()))).await
    });
    let (sold, bought) = outcomes.await.expect("there is an answer");
    assert_eq!(named(sold.expect_err("none")), of_sell("protocol"));
    assert_eq!(bought.expect("a number"), 1);
}

/// A caller that is no session reads a reply and says whose it was.
#[tokio::test(start_paused = true)]
async fn a_reply_that_is_read_by_hand() {
    let error = rpc::Reply::result(&"a text").expect("JSON").decode::<u8>().expect_err("a text");
    assert_eq!(named(CallError::of_reply("sell", error)), of_sell("decode"));
    let (session, _peer) = rpc::testing::pair((), echo());
    let error = session.call::<u8>("sell", ()).await.expect_err("there is no such method");
    assert!(matches!(error, CallError::Rpc(_)), "{error:?}");
    let too_large = ProtocolError::ReplyTooLarge { size: 2, limit: 1 };
    let error: CallError = CallError::Protocol { method: "sell".into(), source: too_large };
    assert_eq!(
        rpc::chain(&error).to_string(),
        "the reply to `sell` cannot be used: the peer's reply is over the limit of 1 bytes: 2 bytes of it have come, and were dropped"
    );
}
