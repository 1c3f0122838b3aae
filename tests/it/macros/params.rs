//! Parameters: missing ones, a list of what is left, the whole of them, lent ones, and what they are called in Rust.

use std::{borrow::Cow, collections::BTreeMap, path::Path};

use rpc::{CallError, Context, Limits, ParamInfo, rpc_service, testing};
use rpc_tests::Raw;
use serde::{Deserialize, Serialize};
use tokio::io::DuplexStream;

use super::recorder::Recorder;

#[derive(Debug, Serialize, Deserialize)]
struct Initialize {
    root: String,
    #[serde(default)]
    locale: Option<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Options {
    depth: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Ids(Vec<u8>);

#[rpc_service]
trait Params {
    async fn page(
        &self,
        text: &str,
        #[rpc(default)] skip: u32,
        #[rpc(default)] sort: &str,
        most: Option<u32>,
    ) -> String;
    async fn sum(&self, first: i64, #[rpc(rest)] others: Vec<i64>) -> i64;
    fn join(
        &self,
        #[rpc(rest)]
        /// Put together with commas.
        texts: &[String],
        #[rpc(context)] _cx: &Context,
    ) -> String;
    #[rpc(params = "by_name")]
    fn named(&self, first: i64, #[rpc(rest)] others: Ids) -> usize;
    #[rpc(params = "by_name")]
    fn alone(&self, #[rpc(rest)] r#all: Ids) -> usize;
    async fn initialize(&self, #[rpc(whole)] params: Initialize) -> String;
    fn options(&self, #[rpc(whole)] _: &Options, #[rpc(context)] cx: &Context) -> String;
    fn optional(&self, #[rpc(whole)] params: Option<Initialize>) -> bool;
    fn map(&self, #[rpc(whole)] entries: BTreeMap<String, u8>) -> usize;
    fn array(&self, #[rpc(whole, default)] numbers: [u8; 2]) -> u8;
    async fn maybe(&self, text: Option<&str>, numbers: Option<&[u8]>, more: Option<&Vec<u8>>) -> String;
    fn in_a_path(&self, path: &Path, cow: Cow<'_, str>) -> String;
    async fn longest<'a>(&self, a: &'a str, b: &'a str, c: Option<&'a str>) -> usize;
    fn unnamed(&self, #[rpc(name = "size")] _: u8, _unused: u8, r#fn: u8) -> u8 {
        r#fn
    }
}

struct MyParams;

impl Params for MyParams {
    async fn page(&self, text: &str, skip: u32, sort: &str, most: Option<u32>) -> String {
        format!("{text} {skip} {sort:?} {most:?}")
    }
    async fn sum(&self, first: i64, others: Vec<i64>) -> i64 {
        first + others.iter().sum::<i64>()
    }
    fn join(&self, texts: &[String], _: &Context) -> String {
        texts.join(",")
    }
    fn named(&self, _: i64, others: Ids) -> usize {
        others.0.len()
    }
    fn alone(&self, all: Ids) -> usize {
        all.0.len()
    }
    async fn initialize(&self, params: Initialize) -> String {
        format!("{} {:?}", params.root, params.locale)
    }
    fn options(&self, options: &Options, cx: &Context) -> String {
        format!("{} {}", cx.method(), options.depth)
    }
    fn optional(&self, params: Option<Initialize>) -> bool {
        params.is_some()
    }
    fn map(&self, entries: BTreeMap<String, u8>) -> usize {
        entries.len()
    }
    fn array(&self, numbers: [u8; 2]) -> u8 {
        numbers[1]
    }
    async fn maybe(&self, text: Option<&str>, numbers: Option<&[u8]>, more: Option<&Vec<u8>>) -> String {
        tokio::task::yield_now().await;
        format!("{text:?} {numbers:?} {more:?}")
    }
    fn in_a_path(&self, path: &Path, cow: Cow<'_, str>) -> String {
        path.join(&*cow).display().to_string()
    }
    async fn longest<'a>(&self, a: &'a str, b: &'a str, c: Option<&'a str>) -> usize {
        [a, b, c.unwrap_or_default()].map(str::len).into_iter().max().unwrap_or_default()
    }
}

/// What the service answers to `method` with each of `params`.
async fn answers<const N: usize>(method: &str, cases: [(&str, &str); N]) {
    let (mut peer, _session): (Raw<DuplexStream>, _) =
        Raw::peer_of(ParamsServer::new(MyParams), Limits::client());
    for (params, expected) in cases {
        let params = if params.is_empty() { String::new() } else { format!(r#","params":{params}"#) };
        let reply = peer.ask(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"{params}}}"#)).await;
        let reply: serde_json::Value = serde_json::from_str(&reply).expect("JSON");
        let text = match (&reply["result"], &reply["error"]["message"]) {
            (serde_json::Value::Null, message) => message.as_str().expect("a text").to_owned(),
            (serde_json::Value::String(text), _) => text.clone(),
            (other, _) => other.to_string(),
        };
        assert_eq!(text, expected, "{method} {params}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_a_default_may_be_missing_but_not_null() {
    answers(
        "page",
        [
            (r#"["x"]"#, r#"x 0 "" None"#),
            (r#"["x",1]"#, r#"x 1 "" None"#),
            (r#"["x",1,"s"]"#, r#"x 1 "s" None"#),
            (r#"["x",1,"s",2]"#, r#"x 1 "s" Some(2)"#),
            (r#"{"text":"x"}"#, r#"x 0 "" None"#),
            (r#"{"text":"x","sort":"s"}"#, r#"x 0 "s" None"#),
            (
                r#"["x",null]"#,
                "invalid params for `page`: parameter 2 (`skip`): invalid type: null, expected u32",
            ),
            (r#"{"skip":1}"#, "invalid params for `page`: `text` is missing"),
        ],
    )
    .await;
    let has_default = ParamsServer::<MyParams>::METHODS[0].params().iter().map(ParamInfo::has_default);
    assert_eq!(has_default.collect::<Vec<_>>(), [false, true, true, false]);
}

#[tokio::test(start_paused = true)]
async fn an_option_may_be_missing_or_null() {
    answers(
        "page",
        [
            (r#"["x",1,"s",null]"#, r#"x 1 "s" None"#),
            (r#"{"text":"x","most":null}"#, r#"x 0 "" None"#),
            (r#"{"text":"x","most":3}"#, r#"x 0 "" Some(3)"#),
        ],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_rest_is_whatever_follows() {
    answers(
        "sum",
        [
            ("[1,2,3,4]", "10"),
            ("[1]", "1"),
            (r#"{"first":1,"others":[2,3]}"#, "6"),
            (r#"{"first":1}"#, "1"),
            (
                "[]",
                "invalid params for `sum`: too few: it takes at least 1 parameter, got 0; `first` is missing",
            ),
            (
                "[1,[2,3]]",
                "invalid params for `sum`: parameter 2 (`others`): invalid type: sequence, expected i64",
            ),
            (
                r#"[1,2,3,"x"]"#,
                "invalid params for `sum`: parameter 4 (`others`): invalid type: string \"x\", expected i64",
            ),
        ],
    )
    .await;
    answers("join", [("", ""), ("[]", ""), ("{}", ""), (r#"["a","b"]"#, "a,b"), (r#"{"texts":["a"]}"#, "a")])
        .await;
    answers("named", [("[1,2,3]", "2"), (r#"{"first":1,"others":[2]}"#, "1")]).await;
    assert_eq!(ParamsServer::<MyParams>::METHODS[2].params()[0].docs(), "Put together with commas.");
}

#[tokio::test]
async fn the_rest_is_sent_as_it_is_read() {
    let recorder = Recorder::answering(0);
    let client = ParamsClient::from(recorder.clone());
    client.sum(1, vec![2, 3]).await.expect("an answer");
    assert_eq!(recorder.message(), "sum [1,2,3]");
    client.named(1, Ids(vec![2, 3])).await.expect("an answer");
    assert_eq!(recorder.message(), r#"named {"first":1,"others":[2,3]}"#);
    client.alone(Ids(vec![2])).await.expect("an answer");
    assert_eq!(recorder.message(), r#"alone {"all":[2]}"#);

    let (session, _peer) = testing::pair((), ParamsServer::new(MyParams));
    let client = ParamsClient::from(session);
    assert_eq!(client.sum(1, vec![2, 3]).await.expect("sum"), 6);
    assert_eq!(client.sum(1, vec![]).await.expect("sum"), 1);
    assert_eq!(client.join(&["a".into(), "b".into()]).await.expect("join"), "a,b");
    assert_eq!(client.named(1, Ids(vec![2, 3])).await.expect("named"), 2);
}

#[tokio::test(start_paused = true)]
async fn the_whole_of_the_parameters_can_be_one_value() {
    answers(
        "initialize",
        [
            (r#"{"root":"/"}"#, "/ None"),
            (r#"{"root":"/","locale":"en"}"#, r#"/ Some("en")"#),
            (r#"["/","en"]"#, r#"/ Some("en")"#),
            ("{}", "invalid params for `initialize`: missing field `root`"),
            ("", "invalid params for `initialize`: they are missing"),
            (
                r#"{"root":5}"#,
                "invalid params for `initialize`: invalid type: integer `5`, expected a string",
            ),
        ],
    )
    .await;
    answers("options", [("", "options 0"), ("{}", "options 0"), (r#"{"depth":3}"#, "options 3")]).await;
    answers("optional", [("", "false"), ("[]", "false"), (r#"{"root":"/"}"#, "true")]).await;
    answers("map", [("", "0"), (r#"{"a":1,"b":2}"#, "2")]).await;
    answers(
        "array",
        [
            ("", "0"),
            ("[1,2]", "2"),
            ("[1]", "invalid params for `array`: invalid length 1, expected an array of length 2"),
        ],
    )
    .await;
    assert!(ParamsServer::<MyParams>::METHODS[5].params()[0].is_whole());
}

#[tokio::test]
async fn the_whole_is_sent_as_it_is() {
    let recorder = Recorder::answering("");
    let client = ParamsClient::from(recorder.clone());
    client.initialize(Initialize { root: "/".into(), locale: None }).await.expect("an answer");
    assert_eq!(recorder.message(), r#"initialize {"root":"/","locale":null}"#);
    client.options(&Options { depth: 1 }).await.expect("an answer");
    assert_eq!(recorder.message(), r#"options {"depth":1}"#);

    let recorder = Recorder::answering(0);
    let client = ParamsClient::from(recorder.clone());
    client.array([1, 2]).await.expect("an answer");
    assert_eq!(recorder.message(), "array [1,2]");

    let (session, _peer) = testing::pair((), ParamsServer::new(MyParams));
    let client = ParamsClient::from(session);
    assert!(!client.optional(None).await.expect("optional"));
    let some = Initialize { root: String::new(), locale: None };
    assert!(client.optional(Some(some)).await.expect("optional"));
}

#[tokio::test]
async fn what_is_lent_may_be_missing() {
    let (session, _peer) = testing::pair((), ParamsServer::new(MyParams));
    let client = ParamsClient::from(session);
    let text = String::from("x");
    assert_eq!(
        client.maybe(Some(&text), Some(&[1]), Some(&vec![2])).await.expect("maybe"),
        r#"Some("x") Some([1]) Some([2])"#
    );
    assert_eq!(client.maybe(None, None, None).await.expect("maybe"), "None None None");
    answers("maybe", [("[]", "None None None"), (r#"{"text":"x"}"#, r#"Some("x") None None"#)]).await;
    assert_eq!(client.in_a_path(Path::new("a"), text.as_str().into()).await.expect("in_a_path"), "a/x");
    assert_eq!(client.longest("a", &text, Some("abc")).await.expect("longest"), 3);
}

#[tokio::test(start_paused = true)]
async fn a_parameter_may_be_called_anything_or_nothing_in_rust() {
    answers("unnamed", [(r#"{"size":1,"_unused":2,"fn":3}"#, "3"), ("[1,2,3]", "3")]).await;
    let (session, _peer) = testing::pair((), ParamsServer::new(MyParams));
    let answer: Result<u8, CallError> = ParamsClient::from(session).unnamed(1, 2, 3).await;
    assert_eq!(answer.expect("unnamed"), 3);
}

#[rpc_service(params = "by_name")]
trait Lists {
    async fn list(
        &self,
        cursor: Option<&str>,
        most: Option<u32>,
        #[rpc(rest)] others: Vec<u8>,
    ) -> (Option<String>, Option<u32>);
    async fn set(&self, value: Option<Option<u32>>) -> bool;
    #[rpc(notification)]
    async fn listed(&self, cursor: Option<String>);
    #[rpc(params = "by_position")]
    async fn listed_by_position(&self, cursor: Option<u32>, most: Option<u32>);
}

struct MyLists;

impl Lists for MyLists {
    async fn list(
        &self,
        cursor: Option<&str>,
        most: Option<u32>,
        _: Vec<u8>,
    ) -> (Option<String>, Option<u32>) {
        (cursor.map(Into::into), most)
    }
    async fn set(&self, value: Option<Option<u32>>) -> bool {
        value.is_some()
    }
    async fn listed(&self, _: Option<String>) {}
    async fn listed_by_position(&self, _: Option<u32>, _: Option<u32>) {}
}

#[tokio::test(start_paused = true)]
async fn an_option_that_is_none_is_left_out_by_name() {
    let (mut peer, session) = Raw::peer_of((), Limits::server());
    let lists = ListsClient::from(session);
    let sent = async {
        drop(lists.listed(None).await);
        drop(lists.listed(Some("x".to_owned())).await);
        let calls = (
            lists.list(None, None, vec![]).into_future(),
            lists.list(Some("c"), None, vec![]).into_future(),
            lists.set(None).into_future(),
            lists.set(Some(None)).into_future(),
            lists.set(Some(Some(1))).into_future(),
            lists.listed_by_position(None, Some(1)).into_future(),
        );
        drop(tokio::join!(calls.0, calls.1, calls.2, calls.3, calls.4, calls.5));
    };
    let received = async {
        for line in [
            r#""method":"listed","params":{}}"#,
            r#""method":"listed","params":{"cursor":"x"}}"#,
            r#""id":1,"method":"list","params":{"others":[]}}"#,
            r#""id":2,"method":"list","params":{"cursor":"c","others":[]}}"#,
            r#""id":3,"method":"set","params":{}}"#,
            r#""id":4,"method":"set","params":{"value":null}}"#,
            r#""id":5,"method":"set","params":{"value":1}}"#,
            r#""id":6,"method":"listed_by_position","params":[null,1]}"#,
        ] {
            peer.expect(&format!(r#"{{"jsonrpc":"2.0",{line}"#)).await;
        }
    };
    tokio::select! {
        () = sent => panic!("they wait for replies"),
        () = received => {}
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_left_out_is_none_again() {
    let (session, _peer) = testing::pair((), ListsServer::new(MyLists));
    let lists = ListsClient::from(session);
    assert_eq!(lists.list(None, Some(3), vec![]).await.unwrap(), (None, Some(3)));
    assert_eq!(lists.list(Some("c"), None, vec![]).await.unwrap(), (Some("c".to_owned()), None));
    assert!(!lists.set(None).await.unwrap());
}

/// Plain Rust takes lifetimes that are left out in paths, without a warning.
#[deny(warnings)]
#[allow(elided_lifetimes_in_paths, reason = "they are left out on purpose")]
mod left_out {
    use std::borrow::Cow;

    use rpc::{rpc_service, testing};

    #[rpc_service]
    trait Texts {
        async fn length(&self, text: Cow<str>, more: &[Cow<str>], last: Option<Cow<str>>) -> usize;
    }

    struct MyTexts;

    impl Texts for MyTexts {
        async fn length(
            &self,
            text: Cow<'_, str>,
            more: &[Cow<'_, str>],
            last: Option<Cow<'_, str>>,
        ) -> usize {
            text.len() + more.iter().map(|text| text.len()).sum::<usize>() + last.map_or(0, |text| text.len())
        }
    }

    #[tokio::test]
    async fn lifetimes_may_be_left_out_in_paths() {
        let (session, _peer) = testing::pair((), TextsServer::new(MyTexts));
        let client = TextsClient::from(session);
        let text = String::from("abc");
        let call = client.length(text.as_str().into(), &["de".into()], Some(Cow::Borrowed(&text)));
        drop(text);
        assert_eq!(call.await.expect("a length"), 8);
    }
}
