//! Lists of what is lent: `&[&str]` and the like, on both sides.

use std::path::Path;

use futures::{Stream, StreamExt as _, stream};
use rpc::{CallError, Limits, Session, rpc_service, testing};
use rpc_tests::Raw;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::io::DuplexStream;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Point {
    x: u8,
}

#[rpc_service]
trait Lists {
    async fn join(&self, words: &[&str], separator: Option<&[&str]>) -> String;
    fn join_now(&self, words: &[&str]) -> String;
    #[rpc(blocking)]
    fn join_slowly(&self, words: &[&str]) -> String;
    async fn longest<'a>(&self, words: &[&'a str]) -> Option<&'a str>;
    fn longest_now<'a>(&self, #[rpc(rest)] words: &[&'a str]) -> &'a str;
    async fn sum(&self, rows: &[&[u8]]) -> u32;
    async fn points(&self, points: &[&Point], paths: &[&Path]) -> Vec<Point>;
    async fn missing(&self, #[rpc(default)] words: &[&str]) -> usize;
    #[rpc(params = "by_name")]
    async fn named(&self, words: &[&str]) -> usize;
    #[rpc(notification)]
    async fn log(&self, lines: &[&str]);
    #[rpc(subscription)]
    async fn follow(&self, words: &[&str]) -> impl Stream<Item = String>;
}

/// A service whose type parameter is in a list.
#[rpc_service]
trait Several<T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static> {
    async fn last(&self, all: &[&T]) -> Option<T>;
}

struct MyLists;

impl Lists for MyLists {
    async fn join(&self, words: &[&str], separator: Option<&[&str]>) -> String {
        tokio::task::yield_now().await;
        words.join(&separator.map_or_else(String::new, <[&str]>::concat))
    }
    fn join_now(&self, words: &[&str]) -> String {
        words.join("+")
    }
    fn join_slowly(&self, words: &[&str]) -> String {
        words.join("~")
    }
    async fn longest<'a>(&self, words: &[&'a str]) -> Option<&'a str> {
        words.iter().copied().max_by_key(|word| word.len())
    }
    fn longest_now<'a>(&self, words: &[&'a str]) -> &'a str {
        words.iter().copied().max_by_key(|word| word.len()).unwrap_or_default()
    }
    async fn sum(&self, rows: &[&[u8]]) -> u32 {
        rows.iter().copied().flatten().map(|&n| u32::from(n)).sum()
    }
    async fn points(&self, points: &[&Point], paths: &[&Path]) -> Vec<Point> {
        let parts = paths.iter().map(|path| path.components().count());
        points
            .iter()
            .zip(parts)
            .map(|(point, n)| Point { x: point.x * u8::try_from(n).expect("few") })
            .collect()
    }
    async fn missing(&self, words: &[&str]) -> usize {
        words.len()
    }
    async fn named(&self, words: &[&str]) -> usize {
        words.len()
    }
    async fn log(&self, _: &[&str]) {}
    async fn follow(&self, words: &[&str]) -> impl Stream<Item = String> {
        stream::iter(words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>())
    }
}

impl Several<String> for MyLists {
    async fn last(&self, all: &[&String]) -> Option<String> {
        all.last().copied().cloned()
    }
}

fn client() -> (ListsClient<Session>, Session) {
    let (session, served) = testing::pair((), ListsServer::new(MyLists));
    (ListsClient::from(session), served)
}

#[tokio::test(start_paused = true)]
async fn lists_are_lent_by_the_caller_and_to_the_method() -> Result<(), CallError> {
    let (lists, _served) = client();
    // What is lent need not live longer than the call.
    let owned = [String::from("a"), String::from("bc")];
    let words: Vec<&str> = owned.iter().map(String::as_str).collect();
    assert_eq!(lists.join(&words, Some(&["-", ">"])).await?, "a->bc");
    assert_eq!(lists.join(&["x"], None).await?, "x");
    assert_eq!(lists.join(&[], None).await?, "");
    assert_eq!(lists.join_now(&words).await?, "a+bc");
    assert_eq!(lists.join_slowly(&words).await?, "a~bc");
    assert_eq!(lists.longest(&words).await?.as_deref(), Some("bc"));
    assert_eq!(lists.longest_now(&words).await?, "bc");
    assert_eq!(lists.sum(&[&[1, 2], &[], &[250]]).await?, 253);
    let point = Point { x: 7 };
    let paths = [Path::new("a/b"), Path::new("c")];
    assert_eq!(lists.points(&[&point, &point], &paths).await?, [Point { x: 14 }, point]);
    assert_eq!(lists.named(&words).await?, 2);
    lists.log(&words).await.expect("it is open");
    let followed: Vec<_> = lists.follow(&words).await?.map(|item| item.expect("an item")).collect().await;
    assert_eq!(followed, owned);

    let (session, _served) = testing::pair((), SeveralServer::<String, _>::new(MyLists));
    let last = SeveralClient::<String, _>::from(session).last(&[&owned[0], &owned[1]]).await?;
    assert_eq!(last.as_deref(), Some("bc"));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn texts_with_escapes_are_what_they_stand_for() -> Result<(), CallError> {
    let (lists, _served) = client();
    let strange = ["\"quoted\"\n", "\u{1f980}\u{0}", "back\\slash", "ä"];
    assert_eq!(lists.join(&strange, None).await?, strange.concat());
    assert_eq!(lists.join_now(&strange).await?, strange.join("+"));

    // As others write them.
    let (mut peer, _session): (Raw<DuplexStream>, _) =
        Raw::peer_of(ListsServer::new(MyLists), Limits::client());
    let sent = r#"{"jsonrpc":"2.0","id":1,"method":"join","params":[["\u0041\/","\ud83e\udd80"]]}"#;
    assert_eq!(peer.ask(sent).await, r#"{"jsonrpc":"2.0","id":1,"result":"A/🦀"}"#);
    for (params, expected) in [
        (r#"[["a",1]]"#, "parameter 1 (`words`): invalid type: integer `1`, expected a string"),
        (r#"["a"]"#, r#"parameter 1 (`words`): invalid type: string \"a\", expected a sequence"#),
        (r"{}", "`words` is missing"),
    ] {
        let sent = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"join","params":{params}}}"#);
        let refused = peer.ask(&sent).await;
        assert!(refused.contains(r#""code":-32602"#) && refused.contains(expected), "{params}: {refused}");
    }
    assert_eq!(
        peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"missing"}"#).await,
        r#"{"jsonrpc":"2.0","id":1,"result":0}"#
    );
    Ok(())
}
