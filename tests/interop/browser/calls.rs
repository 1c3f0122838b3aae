//! A page of the server's own calls, subscribes, and is called back, on one port.

use futures::{Stream, StreamExt, stream};
use rpc::{Broadcast, CallError, CloseReason, Server, Session, WebAccess, rpc_service};
use serde_json::json;

use super::{
    app::{App, serve},
    chromium::{Chromium, robot},
    example,
};
use crate::{
    driven::soon,
    service::{CalcClient, CalcServer, MyCalc, SpendError},
};

#[rpc_service]
trait Clock {
    #[rpc(subscription)]
    async fn count(&self, from: u32, to: u32) -> impl Stream<Item = u32>;
    /// Ends with an error.
    #[rpc(subscription)]
    async fn run_out(&self) -> impl Stream<Item = Result<u32, SpendError>>;
    /// Whatever is published, for ever.
    #[rpc(subscription)]
    async fn ticks(&self) -> impl Stream<Item = u32>;
}

#[derive(Clone)]
struct MyClock(Broadcast<u32>);

impl Clock for MyClock {
    async fn count(&self, from: u32, to: u32) -> impl Stream<Item = u32> {
        stream::iter(from..=to)
    }

    async fn run_out(&self) -> impl Stream<Item = Result<u32, SpendError>> {
        stream::iter([Ok(1), Ok(2), Err(SpendError::NotEnough { have: 0, need: 1 })])
    }

    async fn ticks(&self) -> impl Stream<Item = u32> {
        self.0.subscribe().map(|n| *n)
    }
}

/// Opens a session. What the page serves is what [`MyCalc`] does, or some of it.
const OPEN: &str = r#"
    globalThis.noted = [];
    globalThis.session = await RpcSession.open("/rpc", {
        add: (a, b) => a + b,
        greet: ({ name, greeting }) => `${greeting}, ${name}`,
        spend: async (need) => {
            throw new RpcError({ code: 2, message: `5 is not enough, ${need} needed`, data: { have: 5, need } });
        },
        crash: () => undefined.secret,
        note: (text) => noted.push(text),
        notes: () => noted,
        relay: (method, args) => session.call(method, args),
    });
    // The server knows of it, too, when it has answered.
    await session.call("add", [1, 2]);
"#;

#[tokio::test]
async fn a_page_calls_subscribes_and_is_called_back() {
    let ticks = Broadcast::new(16);
    let server = Server::builder()
        .service(CalcServer::new(MyCalc::default()))
        .service(ClockServer::new(MyClock(ticks.clone())))
        .build()
        .expect("different methods");
    let app = App::start(server.start(), WebAccess::new(), |router| router).await;
    let mut chromium = Chromium::start(&app.origin()).await;
    let opened = async |chromium: &Chromium| {
        assert_eq!(chromium.run(OPEN).await, json!({"result": null}));
        app.server.sessions().pop().expect("the page has one")
    };

    let session = opened(&chromium).await;
    it_calls(&chromium).await;
    it_subscribes(&chromium, &session, &ticks).await;
    it_is_called(&chromium, session).await;
    it_posts(&chromium).await;
    let came: Vec<_> = app.came();
    assert_eq!(came[0], "GET - 101", "{came:?}");
    assert!(came[1..].iter().all(|line| line == "POST application/json 200"), "{came:?}");

    // Either may end it, and either's calls end with it.
    page_closes(&chromium, opened(&chromium).await).await;
    server_closes(&chromium, opened(&chromium).await).await;
    server_aborts(&chromium, opened(&chromium).await).await;

    the_page_of_the_example_works(&mut chromium).await;
}

async fn it_calls(page: &Chromium) {
    let call = async |code: &str| page.run(&format!("return session.{code}")).await;
    assert_eq!(call("call('add', [1, 2])").await, json!({"result": 3}));
    let greeting = call(r#"call("greet", { name: "Ann \u2028\n", greeting: "Καλημέρα" })"#).await;
    assert_eq!(greeting, json!({"result": "Καλημέρα, Ann \u{2028}\n"}));
    let not_enough =
        json!({"code": 2, "message": "5 is not enough, 9 needed", "data": {"have": 5, "need": 9}});
    assert_eq!(call("call('spend', [9])").await, json!({"error": not_enough}));
    for (code, expected) in
        [("call('nosuch')", -32601), ("call('add', [1])", -32602), ("call('crash')", -32603)]
    {
        let outcome = call(code).await;
        assert_eq!(outcome["error"]["code"], expected, "{code}: {outcome}");
    }
    page.run("for (const text of ['one', 'two']) session.notify('note', [text])").await;
    assert_eq!(call("call('notes')").await, json!({"result": ["one", "two"]}));
    let batch = call("batch([['add', [1, 2]], ['spend', [9]], ['notes']])").await;
    assert_eq!(
        batch,
        json!({"result": [
            {"status": "fulfilled", "value": 3},
            // As JSON, an error is what it has beside its message.
            {"status": "rejected", "reason": {"name": "RpcError", "code": 2, "data": {"have": 5, "need": 9}}},
            {"status": "fulfilled", "value": ["one", "two"]},
        ]})
    );
    let many = "return Promise.all([...Array(1000).keys()].map((n) => session.call('add', [n, 1])))";
    assert_eq!(page.run(many).await, json!({"result": (1..=1000).collect::<Vec<_>>()}));
    let long = "const name = 'ü'.repeat(100_000);\
                return await session.call('greet', { name, greeting: 'Hello' }) === `Hello, ${name}`";
    assert_eq!(page.run(long).await, json!({"result": true}));
}

async fn it_subscribes(page: &Chromium, session: &Session, ticks: &Broadcast<u32>) {
    // Taken as they come, and taken when all of them are there.
    let take = r#"
        const items = [];
        try {
            for await (const item of await taken) items.push(item);
            return [items];
        } catch ({ code, data }) {
            return [items, code, data];
        }
    "#;
    for (subscribe, expected) in [
        ("session.subscribe('count', [1, 500])", json!([(1..=500).collect::<Vec<_>>()])),
        ("session.subscribe('run_out')", json!([[1, 2], 2, {"have": 0, "need": 1}])),
    ] {
        let as_they_come = page.run(&format!("globalThis.taken = {subscribe};{take}")).await;
        assert_eq!(as_they_come, json!({"result": expected}));
        page.run(&format!("globalThis.taken = await {subscribe}")).await;
        let calc = CalcClient::from(session.clone());
        soon(async {
            // What it sends is sent in order: with the answer to the last of these, the page has had all.
            while session.subscriptions_served() > 0 {
                calc.add(1, 2).await.expect("a sum");
            }
            calc.add(1, 2).await.expect("a sum");
        })
        .await;
        assert_eq!(page.run(take).await, json!({"result": expected}));
    }

    // The page leaves the loop.
    let follow = async || {
        page.run("globalThis.ticks = await session.subscribe('ticks')").await;
        assert_eq!((ticks.subscribers(), session.subscriptions_served()), (1, 1));
    };
    follow().await;
    for n in [7, 8, 9] {
        ticks.publish(n);
    }
    let two = "const items = []; for await (const n of ticks) if (items.push(n) === 2) break; return items";
    assert_eq!(page.run(two).await, json!({"result": [7, 8]}));
    assert_eq!((ticks.subscribers(), session.subscriptions_served()), (0, 0));
    // It ends the loop from outside, where it waits.
    follow().await;
    let stop = "const next = ticks.next(); await ticks.return(); return [await next, await ticks.next()]";
    assert_eq!(page.run(stop).await, json!({"result": [{"done": true}, {"done": true}]}));
    assert_eq!((ticks.subscribers(), session.subscriptions_served()), (0, 0));
}

async fn it_is_called(page: &Chromium, session: Session) {
    // By a handler, while the page waits for it; and once more from within that.
    let relayed = page.run("return session.call('relay', ['add', [3, 4]])").await;
    assert_eq!(relayed, json!({"result": 7}));
    let nested = page.run("return session.call('relay', ['relay', ['relay', ['spend', [9]]]])").await;
    assert_eq!(nested["error"]["data"], json!({"have": 5, "need": 9}), "{nested}");

    let calc = CalcClient::from(session.clone());
    assert_eq!(soon(calc.add(3, 4).into_future()).await.expect("a sum"), 7);
    assert_eq!(soon(calc.greet("Ann", "Hello").into_future()).await.expect("by name"), "Hello, Ann");
    match soon(calc.spend(9).into_future()).await {
        Err(CallError::Service(SpendError::NotEnough { have: 5, need: 9 })) => {}
        other => panic!("{other:?}"),
    }
    calc.note("one").await.expect("sent");
    let (notes, sum) =
        soon(session.batch((calc.notes(), calc.add(1, 2))).into_future()).await.expect("answered");
    assert_eq!((notes.expect("noted"), sum.expect("a sum")), (vec!["one".to_owned()], 3));
    match soon(calc.crash().into_future()).await {
        Err(CallError::Rpc(error)) => {
            assert_eq!((error.code().value(), error.message()), (-32603, "internal error"));
        }
        other => panic!("{other:?}"),
    }
    match soon(calc.fail(1, "").into_future()).await {
        Err(CallError::Service(error)) => assert_eq!(error.code().value(), -32601),
        other => panic!("{other:?}"),
    }
}

async fn it_posts(page: &Chromium) {
    assert_eq!(page.run("return post('/rpc', 'add', [1, 2])").await, json!({"result": 3}));
    let not_enough =
        json!({"code": 2, "message": "5 is not enough, 9 needed", "data": {"have": 5, "need": 9}});
    assert_eq!(page.run("return post('/rpc', 'spend', [9])").await, json!({"error": not_enough}));
}

async fn page_closes(page: &Chromium, session: Session) {
    let closed = page.run("session.close(); return session.closed").await;
    assert_eq!(closed, json!({"result": {"code": 1000, "reason": ""}}));
    let cause = soon(session.closed()).await;
    assert!(matches!(cause, CloseReason::PeerClosed { code: 1000, .. }), "{cause}");
    let late = page.run("return session.call('add', [1, 2])").await;
    assert_eq!(late, json!({"thrown": "Error: the session has ended"}));
}

async fn server_closes(page: &Chromium, session: Session) {
    soon(session.close()).await;
    assert_eq!(page.run("return session.closed").await, json!({"result": {"code": 1000, "reason": ""}}));
}

async fn server_aborts(page: &Chromium, session: Session) {
    page.run("globalThis.held = session.call('hold').catch(String); globalThis.ticks = await session.subscribe('ticks')")
        .await;
    session.abort();
    // No word of a close came.
    let ended = "Error: the session has ended: 1006 ";
    let ends =
        page.run("return [(await session.closed).code, await held, await ticks.next().catch(String)]").await;
    assert_eq!(ends, json!({"result": [1006, ended, ended]}));
}

/// What people see who open it.
async fn the_page_of_the_example_works(chromium: &mut Chromium) {
    let (application, server) = example::app().expect("it starts");
    let (addr, serving) = serve(application.merge(robot())).await;
    chromium.visit(&format!("http://{addr}")).await;
    let open = r#"
        const frame = Object.assign(document.createElement("iframe"), { src: "/" });
        document.body.append(frame);
        await new Promise((resolve) => (frame.onload = resolve));
        globalThis.element = (id) => frame.contentDocument.getElementById(id);
        globalThis.until = (is_so) => new Promise((resolve) => {
            const look = () => is_so() && resolve();
            const what = { subtree: true, childList: true, attributes: true };
            new MutationObserver(look).observe(frame.contentDocument, what);
            look();
        });
        await until(() => !element("call").disabled);
        return element("state").textContent;
    "#;
    assert_eq!(chromium.run(open).await, json!({"result": "The WebSocket is open."}));
    let post = r#"element("post").click(); await until(() => element("posted").textContent); return element("posted").textContent"#;
    assert_eq!(chromium.run(post).await, json!({"result": "Hello, Ann at 127.0.0.1"}));
    for (answer, expected) in [
        ("element('name').value = 'Bob'; element('asked').querySelector('button').click()", "Bob"),
        ("element('asked').close()", "stranger"),
    ] {
        let call = format!(
            r#"
            element("called").textContent = "";
            element("call").click();
            await until(() => element("asked").open);
            const question = element("question").textContent;
            {answer};
            await until(() => element("called").textContent);
            return [question, element("called").textContent];
            "#
        );
        let greeting = format!("Good morning, {expected} at 127.0.0.1");
        assert_eq!(chromium.run(&call).await, json!({"result": ["Who are you?", greeting]}));
    }
    let count = r#"
        element("subscribe").click();
        await until(() => element("count").textContent === "19");
        element("stop").click();
        await until(() => !element("subscribe").disabled);
        return element("count").textContent;
    "#;
    assert_eq!(chromium.run(count).await, json!({"result": "19"}));
    let session = server.sessions().pop().expect("the page has one");
    assert_eq!(session.subscriptions_served(), 0);
    serving.abort();
}
