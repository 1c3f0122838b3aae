//! Parameters, results and items that are null or empty arrive as they were sent.

use futures::{Stream, StreamExt, stream};
use rpc::{Progress, Protocol, Router, Subscription, SubscriptionStyle, rpc_service, testing};
use rpc_tests::{echo, soon};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{DIALECTS, sessions};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Nothing;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Limit(Option<u32>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Sparse {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    what: Option<u32>,
}

type All = (Option<u32>, (), Nothing, Value, Limit, Sparse, String, Vec<u8>);

fn all() -> All {
    (None, (), Nothing, Value::Null, Limit(None), Sparse { what: None }, String::new(), vec![])
}

/// Each gives its parameter back, which is the whole of the result.
#[rpc_service]
trait Echo {
    async fn option(&self, value: Option<u32>) -> Option<u32>;
    async fn unit(&self, value: ());
    async fn unit_struct(&self, value: Nothing) -> Nothing;
    async fn json(&self, value: Value) -> Value;
    async fn newtype(&self, value: Limit) -> Limit;
    async fn sparse(&self, value: Sparse) -> Sparse;
    async fn boxed(&self, value: Box<Option<u32>>) -> Option<Box<u32>>;
    async fn text(&self, value: String) -> String;
    async fn list(&self, value: Vec<Option<u32>>) -> Vec<Option<u32>>;
    async fn all(&self, a: Option<u32>, b: (), c: Nothing, d: Value, e: Limit, f: Sparse) -> All;
    async fn rest(&self, #[rpc(rest)] values: Vec<Option<u32>>) -> Vec<Option<u32>>;
    async fn nothing(&self);
    async fn fallible(&self, value: Option<u32>) -> Result<Option<u32>, rpc::ErrorObject>;
}

/// The same with names.
#[rpc_service(namespace = "named", params = "by_name")]
trait Named {
    async fn option(&self, value: Option<u32>) -> Option<u32>;
    async fn unit(&self, value: ());
    async fn newtype(&self, value: Limit) -> Limit;
    async fn json(&self, value: Value) -> Value;
    async fn nothing(&self);
}

struct Service;

impl Echo for Service {
    async fn option(&self, value: Option<u32>) -> Option<u32> {
        value
    }
    async fn unit(&self, _: ()) {}
    async fn unit_struct(&self, value: Nothing) -> Nothing {
        value
    }
    async fn json(&self, value: Value) -> Value {
        value
    }
    async fn newtype(&self, value: Limit) -> Limit {
        value
    }
    async fn sparse(&self, value: Sparse) -> Sparse {
        value
    }
    async fn boxed(&self, value: Box<Option<u32>>) -> Option<Box<u32>> {
        value.map(Box::new)
    }
    async fn text(&self, value: String) -> String {
        value
    }
    async fn list(&self, value: Vec<Option<u32>>) -> Vec<Option<u32>> {
        value
    }
    async fn all(&self, a: Option<u32>, b: (), c: Nothing, d: Value, e: Limit, f: Sparse) -> All {
        (a, b, c, d, e, f, String::new(), vec![])
    }
    async fn rest(&self, values: Vec<Option<u32>>) -> Vec<Option<u32>> {
        values
    }
    async fn nothing(&self) {}
    async fn fallible(&self, value: Option<u32>) -> Result<Option<u32>, rpc::ErrorObject> {
        Ok(value)
    }
}

impl Named for Service {
    async fn option(&self, value: Option<u32>) -> Option<u32> {
        value
    }
    async fn unit(&self, _: ()) {}
    async fn newtype(&self, value: Limit) -> Limit {
        value
    }
    async fn json(&self, value: Value) -> Value {
        value
    }
    async fn nothing(&self) {}
}

#[tokio::test(start_paused = true)]
async fn parameters_and_results_in_every_dialect() {
    for dialects in DIALECTS {
        let (session, _serving) = sessions(dialects, EchoServer::new(Service)).await;
        let echo = EchoClient::from(session);
        assert_eq!(echo.option(None).await.expect("option"), None);
        assert_eq!(echo.option(Some(0)).await.expect("option"), Some(0));
        echo.unit(()).await.expect("unit");
        assert_eq!(echo.unit_struct(Nothing).await.expect("unit_struct"), Nothing);
        for value in [Value::Null, json!([]), json!({}), json!(""), json!([null])] {
            assert_eq!(echo.json(value.clone()).await.expect("json"), value);
        }
        assert_eq!(echo.newtype(Limit(None)).await.expect("newtype"), Limit(None));
        assert_eq!(echo.sparse(Sparse { what: None }).await.expect("sparse"), Sparse { what: None });
        assert_eq!(echo.boxed(Box::new(None)).await.expect("boxed"), None);
        assert_eq!(echo.text(String::new()).await.expect("text"), "");
        for list in [vec![], vec![None], vec![None, Some(0)]] {
            assert_eq!(echo.list(list.clone()).await.expect("list"), list);
            assert_eq!(echo.rest(list.clone()).await.expect("rest"), list);
        }
        let (a, b, c, d, e, f, ..) = all();
        assert_eq!(echo.all(a, b, c, d, e, f).await.expect("all"), all());
        echo.nothing().await.expect("nothing");
        assert_eq!(echo.fallible(None).await.expect("fallible"), None);
    }
}

#[tokio::test(start_paused = true)]
async fn parameters_by_name() {
    for dialects in DIALECTS.into_iter().filter(|(_, here)| *here != Protocol::V1) {
        let (session, _serving) = sessions(dialects, NamedServer::new(Service)).await;
        let named = NamedClient::from(session.clone());
        assert_eq!(named.option(None).await.expect("option"), None);
        named.unit(()).await.expect("unit");
        assert_eq!(named.newtype(Limit(None)).await.expect("newtype"), Limit(None));
        assert_eq!(named.json(Value::Null).await.expect("json"), Value::Null);
        named.nothing().await.expect("nothing");
        let (option, unit) = session.batch((named.option(None), named.unit(()))).await.expect("sent");
        assert_eq!(option.expect("option"), None);
        unit.expect("unit");
    }
}

/// Each subscription has two items.
#[rpc_service]
trait Ticks {
    #[rpc(subscription)]
    async fn options(&self, value: Option<u32>) -> impl Stream<Item = Option<u32>>;
    #[rpc(subscription)]
    async fn units(&self) -> impl Stream<Item = ()>;
    #[rpc(subscription, style = "electrum")]
    async fn status(&self, value: Option<u32>) -> impl Stream<Item = Option<u32>>;
    #[rpc(subscription, style = "electrum")]
    async fn beats(&self) -> impl Stream<Item = ()>;
    #[rpc(subscription, style = "progress")]
    async fn work(&self) -> impl Stream<Item = Progress<(), Option<u32>>>;
    #[rpc(subscription, style = "mcp_progress")]
    async fn tool(&self) -> impl Stream<Item = Progress<Sparse, ()>>;
}

impl Ticks for Service {
    async fn options(&self, value: Option<u32>) -> impl Stream<Item = Option<u32>> {
        stream::iter([value, None])
    }
    async fn units(&self) -> impl Stream<Item = ()> {
        stream::iter([(), ()])
    }
    async fn status(&self, value: Option<u32>) -> impl Stream<Item = Option<u32>> {
        stream::iter([value, None])
    }
    async fn beats(&self) -> impl Stream<Item = ()> {
        stream::iter([(), ()])
    }
    async fn work(&self) -> impl Stream<Item = Progress<(), Option<u32>>> {
        stream::iter([Progress::Step(()), Progress::Done(None)])
    }
    async fn tool(&self) -> impl Stream<Item = Progress<Sparse, ()>> {
        stream::iter([Progress::Step(Sparse { what: None }), Progress::Done(())])
    }
}

async fn items<T: DeserializeOwned>(stream: Subscription<T>) -> Vec<T> {
    soon(stream.map(|item| item.expect("an item")).collect()).await
}

#[tokio::test(start_paused = true)]
async fn items_in_every_dialect() {
    for dialects in DIALECTS.into_iter().filter(|(_, here)| *here != Protocol::V1) {
        let (session, _serving) = sessions(dialects, TicksServer::new(Service)).await;
        let ticks = TicksClient::from(session);
        assert_eq!(items(ticks.options(None).await.expect("begun")).await, [None, None]);
        assert_eq!(items(ticks.units().await.expect("begun")).await, [(), ()]);
        assert_eq!(items(ticks.status(None).await.expect("begun")).await, [None, None]);
        assert_eq!(items(ticks.beats().await.expect("begun")).await, [(), ()]);
        let work = items(ticks.work().await.expect("begun")).await;
        assert_eq!(work, [Progress::Step(()), Progress::Done(None)]);
        let tool = items(ticks.tool().await.expect("begun")).await;
        assert_eq!(tool, [Progress::Step(Sparse { what: None }), Progress::Done(())]);
    }
}

/// The value of a subscription in the style of Electrum needs no names: 1.0 has it.
#[tokio::test(start_paused = true)]
async fn items_without_names_in_1_0() {
    let (session, _serving) = sessions((Protocol::V1, Protocol::V1), TicksServer::new(Service)).await;
    let mut status: Subscription<Option<u32>> = session
        .subscribe::<Option<u32>>("status", (None::<u32>,))
        .style(SubscriptionStyle::Electrum)
        .await
        .expect("begun");
    for _ in 0..2 {
        assert_eq!(soon(status.next()).await.expect("an item").expect("a value"), None);
    }
}

/// No parameters are `()` to a listener, as they are to a handler.
#[tokio::test(start_paused = true)]
async fn notifications_without_parameters_are_units_and_options_of_none() {
    for dialects in DIALECTS {
        let (calling, serving) = sessions(dialects, Router::new()).await;
        let mut units = serving.notifications::<()>("news");
        let mut structs = serving.notifications::<Nothing>("news");
        let mut options = serving.notifications::<Option<(u32,)>>("news");
        let mut values = serving.notifications::<Value>("news");
        let mut lists = serving.notifications::<Vec<u32>>("news");
        calling.notify("news", ()).await.expect("sent");
        soon(units.next()).await.expect("one").expect("a unit");
        assert_eq!(soon(structs.next()).await.expect("one").expect("a unit"), Nothing);
        assert_eq!(soon(options.next()).await.expect("one").expect("none"), None);
        assert_eq!(soon(values.next()).await.expect("one").expect("JSON"), json!([]));
        assert_eq!(soon(lists.next()).await.expect("one").expect("a list"), [0; 0]);
        // A null among them is a value.
        let mut of_one = serving.notifications::<(Option<u32>,)>("news");
        calling.notify("news", (None::<u32>,)).await.expect("sent");
        assert_eq!(soon(of_one.next()).await.expect("one").expect("a null"), (None,));
    }
}

#[tokio::test(start_paused = true)]
async fn untyped_calls_take_null_for_what_it_is() {
    let (session, _serving) = testing::pair((), echo());
    for params in [json!([null]), json!([]), json!({"a": null}), json!({}), json!([[]]), json!([""])] {
        assert_eq!(session.call::<Value>("echo", &params).await.expect("an echo"), params);
    }
}
