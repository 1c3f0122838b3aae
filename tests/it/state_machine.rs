//! Whatever two sides say to each other, in whatever order and however it is cut, every call ends once, with its own answer.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::future::join_all;
use proptest::{collection::vec, prelude::*};
use rpc::{
    Connector, Context, ErrorObject, Limits, Params,
    Protocol::{self, Detect, Loose, V1, V2},
    Router, Session,
};
use rpc_tests::{
    Choppy,
    conversation::{Conversation, Kind, Shape, Step, Who},
};

/// The versions that understand each other, both ways. 1.0 and those who write 2.0 do not: its replies have other members.
const PAIRS: [(Protocol, Protocol); 12] = [
    (V1, V1),
    (V1, Detect),
    (Detect, V1),
    (V2, V2),
    (V2, Loose),
    (Loose, V2),
    (V2, Detect),
    (Detect, V2),
    (Loose, Loose),
    (Loose, Detect),
    (Detect, Loose),
    (Detect, Detect),
];

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![Just(Who::A), Just(Who::B)]
}

fn kind() -> impl Strategy<Value = Kind> {
    let shape = || prop_oneof![Just(Shape::Positional), Just(Shape::Named)];
    prop_oneof![2 => shape().prop_map(Kind::Call), 1 => shape().prop_map(Kind::Notification)]
}

/// What those do who keep to the rules, over a link that does.
fn polite_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (who(), kind()).prop_map(|(who, kind)| Step::Send(who, kind)),
        2 => (who(), vec(kind(), 1..8)).prop_map(|(who, kinds)| Step::Batch(who, kinds)),
        4 => (who(), any::<usize>(), any::<bool>()).prop_map(|(who, which, fails)| Step::Answer(who, which, fails)),
        4 => (who(), 0..400_usize).prop_map(|(who, bytes)| Step::Flow(who, bytes)),
    ]
}

/// What happens otherwise.
fn rude_step() -> impl Strategy<Value = Step> {
    let line = || {
        prop_oneof![
            vec(any::<u8>(), 0..40),
            Just(br#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"m"}}"#.to_vec()),
            Just(br#"{"result":"x","error":null,"id":1}"#.to_vec()),
            Just(br#"{"id":1,"method":"m","params":["x"]}"#.to_vec()),
            Just(
                br#"[{"jsonrpc":"2.0","id":2,"result":1},{"jsonrpc":"2.0","id":2,"method":"m"},5]"#.to_vec()
            ),
            Just(b"[]".to_vec()),
        ]
    };
    let which = any::<usize>;
    prop_oneof![
        10 => polite_step(),
        3 => (who(), which()).prop_map(|(who, which)| Step::Forget(who, which)),
        1 => (who(), which()).prop_map(|(who, which)| Step::Lose(who, which)),
        3 => (who(), which()).prop_map(|(who, which)| Step::Double(who, which)),
        1 => (who(), which()).prop_map(|(who, which)| Step::Delay(who, which)),
        1 => (who(), line()).prop_map(|(who, line)| Step::MakeUp(who, line)),
    ]
}

fn any_protocol() -> impl Strategy<Value = Protocol> {
    prop_oneof![Just(V1), Just(V2), Just(Loose), Just(Detect)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn two_who_understand_each_other_answer_every_call_once(steps in vec(polite_step(), 0..60)) {
        for (a, b) in PAIRS {
            let mut conversation = Conversation::polite(a, b);
            steps.iter().for_each(|step| conversation.step(step));
            conversation.settle();
            conversation.assert_everything_was_answered();
        }
    }

    #[test]
    fn a_bad_link_and_a_bad_peer_end_no_call_twice_and_none_with_the_answer_to_another(
        a in any_protocol(),
        b in any_protocol(),
        steps in vec(rude_step(), 0..200),
    ) {
        let mut conversation = Conversation::rude(a, b);
        steps.iter().for_each(|step| conversation.step(step));
        conversation.settle();
        conversation.hang_up();
    }
}

#[test]
fn those_who_speak_only_1_0_do_not_understand_2_0() {
    for other in [V2, Loose] {
        let mut conversation = Conversation::rude(V1, other);
        conversation.step(&Step::Send(Who::A, Kind::Call(Shape::Positional)));
        conversation.settle();
        assert_eq!(conversation.answered(Who::A), 0, "{other:?} answers in 2.0");
    }
}

/// What a session is asked to do: one message.
#[derive(Debug, Clone)]
enum Said {
    /// A call that takes so many milliseconds to answer.
    Call(u8),
    Notification,
    Batch(Vec<u8>),
}

fn said() -> impl Strategy<Value = Said> {
    // Most are answered at once.
    let takes = || prop_oneof![Just(0_u8), 0..5_u8];
    prop_oneof![
        4 => takes().prop_map(Said::Call),
        2 => Just(Said::Notification),
        1 => vec(takes(), 1..6).prop_map(Said::Batch),
    ]
}

type Heard = Arc<Mutex<BTreeSet<String>>>;

fn service(heard: &Heard) -> Router {
    let heard = Arc::clone(heard);
    Router::new()
        .method("echo", async |params: Params, _: Context| {
            let (text, takes): (String, u64) = params.parse()?;
            if takes > 0 {
                tokio::time::sleep(Duration::from_millis(takes)).await;
            }
            Ok::<_, ErrorObject>(text)
        })
        .notification("hear", move |params: Params, _: Context| {
            let (text,): (String,) = params.parse().expect("a text");
            assert!(heard.lock().expect("nobody fails").insert(text), "a notification came twice");
            async {}
        })
}

/// Says all of it at once, and looks at every answer. Gives the texts of the notifications.
async fn say(session: &Session, name: &str, all: &[Said], batches: bool) -> BTreeSet<String> {
    let texts = all.iter().enumerate().map(move |(number, said)| async move {
        let text = format!("{number} of {name}: \"é\"\r\n");
        match said {
            Said::Call(takes) => {
                let answer: String = session.call("echo", (&text, takes)).await.expect("an answer");
                assert_eq!(answer, text);
                None
            }
            Said::Notification => {
                session.notify("hear", (&text,)).await.expect("it is sent");
                Some(text)
            }
            Said::Batch(_) if !batches => None,
            Said::Batch(members) => {
                let texts: Vec<_> = (0..members.len()).map(|member| format!("{text}{member}")).collect();
                let calls =
                    texts.iter().zip(members).map(|(text, takes)| session.call("echo", (text, takes)));
                let answers: Vec<String> =
                    session.try_batch(calls.collect::<Vec<_>>()).await.expect("answers");
                assert_eq!(answers, texts);
                None
            }
        }
    });
    join_all(texts).await.into_iter().flatten().collect()
}

async fn talk(protocols: (Protocol, Protocol), said: &[Vec<Said>; 2], cuts: &[Vec<usize>; 2], room: usize) {
    // Nothing is refused for want of a place.
    let mut limits = Limits::client();
    limits.requests_in_flight = usize::MAX;
    let (io_a, io_b) = rpc::transport::memory(room);
    let heard = [Heard::default(), Heard::default()];
    let connect = async |io, protocol, cuts: &Vec<usize>, heard| {
        let connector = Connector::over(Choppy::new(io, cuts.clone())).protocol(protocol);
        connector.service(service(heard)).limits(limits.clone()).connect().await.expect("a session")
    };
    let a = connect(io_a, protocols.0, &cuts[0], &heard[0]).await;
    let b = connect(io_b, protocols.1, &cuts[1], &heard[1]).await;
    // Who has still to find out what is spoken hears first, where it may be 1.0.
    for (session, speaks) in [(&a, protocols.0), (&b, protocols.1)] {
        if speaks == V1 {
            let answer: String = session.call("echo", ("hello", 0)).await.expect("an answer");
            assert_eq!(answer, "hello");
        }
    }
    // Who finds out cannot know whether 1.0 is all that the other one speaks.
    let batches = protocols.0 != V1 && protocols.1 != V1;
    let told = tokio::join!(say(&a, "A", &said[0], batches), say(&b, "B", &said[1], batches));
    // Requests start in the order in which they came: by this answer the notifications before it have been heard.
    for session in [&a, &b] {
        let answer: String = session.call("echo", ("bye", 0)).await.expect("an answer");
        assert_eq!(answer, "bye");
    }
    for session in [a, b] {
        session.close().await;
        assert_eq!((session.calls_in_flight(), session.requests_in_flight()), (0, 0));
    }
    let [heard_by_a, heard_by_b] = heard.map(|heard| heard.lock().expect("nobody fails").clone());
    assert_eq!((told.0, told.1), (heard_by_b, heard_by_a));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn two_sessions_answer_every_call_once_however_their_streams_are_cut(
        said in [vec(said(), 0..30), vec(said(), 0..30)],
        cuts in [vec(0..60_usize, 0..8), vec(0..60_usize, 0..8)],
        room in 1..5000_usize,
    ) {
        // A stream that never moves is not cut.
        let cuts = cuts.map(|cuts| if cuts.iter().all(|size| *size == 0) { Vec::new() } else { cuts });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            for protocols in PAIRS {
                talk(protocols, &said, &cuts, room).await;
            }
        });
    }
}
