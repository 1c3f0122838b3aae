//! `vscode-jsonrpc`, which language servers and editors speak, over standard input and output and over TCP, both ways.

pub(crate) mod node;
mod road;
mod work;

use futures::{StreamExt, future::join_all};
use rpc::{CallError, CloseReason, Progress, transport::stdio::ChildProcess};
use serde_json::{Value, json};

use self::{road::Road, work::WorkClient};
use crate::{
    driven::soon,
    service::{CalcClient, SpendError},
};

#[tokio::test]
async fn both_call() {
    for road in Road::ALL {
        let mut ends = road.open().await;
        assert_eq!(ends.node_calls("add", json!([1, 2])).await, json!({"result": 3}));
        assert_eq!(ends.node_calls("add", json!({"a": 1, "b": 2})).await, json!({"result": 3}));
        assert_eq!(ends.node_calls("notes", json!([])).await, json!({"result": []}));
        // Lengths are counted in bytes.
        let greet = json!({"name": "Ann \u{2028}\n", "greeting": "Καλημέρα"});
        assert_eq!(ends.node_calls("greet", greet).await, json!({"result": "Καλημέρα, Ann \u{2028}\n"}));
        assert_eq!(ends.we_call("add", json!([1, 2])).await, json!({"result": 3}));
        assert_eq!(ends.we_call("notes", json!([])).await, json!({"result": []}));

        if let Some(session) = ends.session {
            let calc = CalcClient::from(session);
            assert_eq!(soon(calc.add(1, 2).into_future()).await.expect("a sum"), 3);
            let greeting = soon(calc.greet("Ann \u{2028}\n", "Καλημέρα").into_future()).await;
            assert_eq!(greeting.expect("by name"), "Καλημέρα, Ann \u{2028}\n");
        }
    }
}

#[tokio::test]
async fn both_get_errors_with_their_data() {
    for road in Road::ALL {
        let mut ends = road.open().await;
        let not_enough =
            json!({"code": 2, "message": "5 is not enough, 9 needed", "data": {"have": 5, "need": 9}});
        assert_eq!(ends.node_calls("spend", json!([9])).await, json!({"error": not_enough}));
        assert_eq!(ends.we_call("spend", json!([9])).await, json!({"error": not_enough}));
        for (method, params, code) in
            [("nosuch", json!([]), -32601), ("add", json!([1]), -32602), ("crash", json!([]), -32603)]
        {
            let outcome = ends.node_calls(method, params).await;
            assert_eq!(outcome["error"]["code"], code, "{method}: {outcome}");
        }
        assert_eq!(ends.we_call("nosuch", json!([])).await["error"]["code"], -32601);
        assert_eq!(ends.we_call("crash", json!([])).await["error"]["code"], -32603);

        if let Some(session) = ends.session {
            match soon(CalcClient::from(session).spend(9).into_future()).await {
                Err(CallError::Service(SpendError::NotEnough { have: 5, need: 9 })) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn both_notify() {
    for road in Road::ALL {
        let mut ends = road.open().await;
        for text in ["one", "two"] {
            assert_eq!(ends.run(json!(["notify", "note", [text]])).await, Value::Null);
        }
        // Nobody answers these.
        ends.run(json!(["notify", "note", []])).await;
        ends.run(json!(["notify", "nosuch", {}])).await;
        assert_eq!(ends.node_calls("notes", json!([])).await, json!({"result": ["one", "two"]}));

        if let Some(session) = ends.session {
            let calc = CalcClient::from(session);
            calc.note("one").await.expect("sent");
            calc.note("two").await.expect("sent");
            assert_eq!(soon(calc.notes().into_future()).await.expect("answered"), ["one", "two"]);
        }
    }
}

#[tokio::test]
async fn both_are_called_while_they_wait() {
    for road in Road::ALL {
        let mut ends = road.open().await;
        let nested = json!(["relay", ["relay", ["add", [1, 2]]]]);
        assert_eq!(ends.node_calls("relay", nested.clone()).await, json!({"result": 3}));
        assert_eq!(ends.we_call("relay", nested).await, json!({"result": 3}));
    }
}

#[tokio::test]
async fn both_send_much() {
    for road in Road::ALL {
        let mut ends = road.open().await;
        let args: Vec<_> = (0..1000).map(|n| [n, 1]).collect();
        let sums: Vec<_> = (1..=1000).collect();
        assert_eq!(ends.run(json!(["pipeline", "add", args])).await, json!(sums));
        // More than a pipe holds.
        let long = "λ".repeat(100_000);
        let greet = json!({"name": long, "greeting": "Hello"});
        assert!(ends.node_calls("greet", greet).await == json!({"result": format!("Hello, {long}")}));

        if let Some(session) = ends.session {
            let calc = CalcClient::from(session);
            let sums = soon(join_all((0..1000).map(|n| calc.add(n, 1).into_future()))).await;
            assert!((1..).zip(sums).all(|(n, sum)| sum.is_ok_and(|sum| sum == n)));
            let greeted = soon(calc.greet(&long, "Hello").into_future()).await;
            assert!(greeted.expect("answered") == format!("Hello, {long}"));
        }
    }
}

#[tokio::test]
async fn both_take_requests_back() {
    for road in Road::ALL {
        let mut ends = road.open().await;
        // The handler was dropped before the next request was read.
        let taken_back = ends.run(json!(["cancel"])).await;
        assert_eq!((&taken_back["before"], &taken_back["after"]), (&json!(1), &json!(0)), "{taken_back}");
        assert_eq!(taken_back["outcome"]["error"]["code"], -32800, "{taken_back}");
        assert_eq!(ends.node_calls("giveUp", json!([])).await, json!({"result": [1, 0]}));
        // The answer to what was taken back hurts nobody.
        assert_eq!(ends.we_call("add", json!([1, 2])).await, json!({"result": 3}));
    }
}

#[tokio::test]
async fn both_report_their_progress() {
    for road in Road::ALL {
        let mut ends = road.open().await;
        let followed = json!({"steps": [1, 2, 3], "outcome": {"result": 6}});
        assert_eq!(ends.run(json!(["follow", 3])).await, followed);
        // Who asks for no reports gets none.
        assert_eq!(ends.node_calls("count", json!({"to": 3})).await, json!({"result": 6}));
        assert_eq!(ends.node_calls("follow", json!([3])).await, json!({"result": [[1, 2, 3], 6]}));

        if let Some(session) = ends.session {
            let work = soon(WorkClient::from(session).count(2).into_future()).await.expect("begun");
            let items: Vec<_> = soon(work.map(|item| item.expect("an item")).collect()).await;
            assert_eq!(items, [Progress::Step(1), Progress::Step(2), Progress::Done(3)]);
        }
    }
}

#[tokio::test]
async fn both_follow_a_subscription_by_id() {
    for road in Road::ALL {
        let mut ends = road.open().await;
        let id = ends.node_calls("ticks", json!([2])).await["result"].take();
        assert!(id.is_string(), "{id}");
        assert_eq!(ends.taken("ticks", 2).await, json!([[id, 1], [id, 2]]));
        // It has ended, and nothing has come that Node.js did not ask for.
        assert_eq!(ends.node_calls("unticks", json!([id])).await, json!({"result": false}));
        assert_eq!(ends.we_call("add", json!([1, 2])).await, json!({"result": 3}));
        assert_eq!(ends.taken("unknown", 0).await, json!([]));

        if let Some(session) = ends.session.clone() {
            let mut ticks = soon(WorkClient::from(session).ticks(2).into_future()).await.expect("begun");
            for n in [1, 2] {
                assert_eq!(soon(ticks.next()).await.expect("an item").expect("a number"), n);
            }
            drop(ticks);
            assert_eq!(ends.taken("unticked", 1).await, json!(["an id"]));
        }
    }
}

#[tokio::test]
async fn both_end_it() {
    for road in Road::ALL {
        let mut ends = road.open().await;
        assert_eq!(ends.we_call("add", json!([1, 2])).await, json!({"result": 3}));
        match &ends.session {
            // Our program ends with the connection, and well.
            None => assert_eq!(ends.run(json!(["end"])).await, json!({"code": 0, "signal": null})),
            Some(session) => {
                let process = session.extensions().get::<ChildProcess>();
                soon(session.close()).await;
                match process {
                    Some(process) => assert!(soon(process.exited()).await.expect("it has ended").success()),
                    None => assert_eq!(ends.run(json!(["ended"])).await, Value::Null),
                }
            }
        }
    }
    for road in [Road::WeConnect, Road::NodeConnects] {
        let mut ends = road.open().await;
        ends.run(json!(["end"])).await;
        let reason = soon(ends.session.expect("it is ours").closed()).await;
        assert!(matches!(reason, CloseReason::Peer), "{reason}");
    }
}

#[tokio::test]
async fn calls_end_when_node_is_killed() {
    for road in [Road::WeConnect, Road::NodeConnects] {
        let ends = road.open().await;
        let (session, node) = (ends.session.expect("it is ours"), ends.node.expect("it has commands"));
        let work = WorkClient::from(session.clone());
        let killed = async {
            // Behind the other: when it is answered that has arrived.
            assert_eq!(work.waiting().await.expect("Node.js lives"), 1);
            node.kill().await;
        };
        let (outcome, ()) = soon(async { tokio::join!(work.wait(), killed) }).await;
        assert!(matches!(outcome, Err(CallError::Closed { .. })), "{outcome:?}");
    }
}

/// That is what a language server does which crashes.
#[tokio::test]
async fn calls_end_when_the_process_that_we_have_started_does() {
    let session = Road::WeSpawn.open().await.session.expect("it is ours");
    let process = session.extensions().get::<ChildProcess>().expect("we have started it");
    let work = WorkClient::from(session.clone());
    let exit = session.call::<Value>("drive", (json!(["exit", 3]),));
    let (waited, exited) = soon(async { tokio::join!(work.wait(), exit) }).await;
    assert!(matches!(waited, Err(CallError::Closed { .. })), "{waited:?}");
    assert!(matches!(exited, Err(CallError::Closed { .. })), "{exited:?}");
    assert_eq!(soon(process.exited()).await.expect("it has ended").code(), Some(3));
}
