//! What a wrong call gets: the right code, and a message that names the method and what was wrong.

use rpc::{Context, ErrorObject, Limits, Params, Router, rpc_service};
use rpc_tests::{CalcServer, MyCalc, Raw, echo};
use tokio::io::DuplexStream;

#[rpc_service]
trait Users {
    async fn find(&self, name: &str, limit: Option<u32>) -> String;
}

struct MyUsers;

impl Users for MyUsers {
    async fn find(&self, name: &str, limit: Option<u32>) -> String {
        format!("{name} {limit:?}")
    }
}

fn calc() -> (Raw<DuplexStream>, rpc::Session) {
    Raw::peer_of(CalcServer::new(MyCalc), Limits::client())
}

fn error(id: &str, code: i64, message: &str) -> String {
    let message = serde_json::to_string(message).expect("a text");
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":{message}}}}}"#)
}

#[tokio::test(start_paused = true)]
async fn parameters_that_do_not_fit_are_refused_with_what_is_wrong() {
    let (mut peer, _session) = calc();
    for (params, message) in [
        ("[1]", "too few: it takes 2 parameters, got 1; `b` is missing"),
        ("[]", "too few: it takes 2 parameters, got 0; `a` is missing"),
        ("null", "too few: it takes 2 parameters, got 0; `a` is missing"),
        ("{}", "`a` is missing"),
        ("[1,2,3]", "too many: it takes 2 parameters, got 3"),
        (r#"[1,"x"]"#, "parameter 2 (`b`): invalid type: string \"x\", expected i64"),
        (r#"[null,2]"#, "parameter 1 (`a`): invalid type: null, expected i64"),
        (r#"{"a":1}"#, "`b` is missing"),
        (r#"{"a":1,"b":2,"c":3}"#, "unknown parameter `c`: it takes `a`, `b`"),
        (r#"{"a":1,"b":2,"a":3}"#, "`a` is given twice"),
        (r#"{"a":1.5,"b":2}"#, "parameter 1 (`a`): invalid type: floating point `1.5`, expected i64"),
    ] {
        for line in [
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"add","params":{params}}}"#),
            format!(r#"{{"jsonrpc":"2.0","method":"add","params":{params},"id":1}}"#),
            format!(r#"{{"params":{params},"method":"add","id":1,"jsonrpc":"2.0"}}"#),
        ] {
            let expected = error("1", -32602, &format!("invalid params for `add`: {message}"));
            assert_eq!(peer.ask(&line).await, expected, "{line}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn parameters_that_are_no_array_and_no_object_reach_no_handler() {
    // This one would take anything.
    let (mut peer, _session) = Raw::peer_of(echo(), Limits::client());
    for params in ["1", "\"[1]\"", "true", "-1.5"] {
        for (line, id) in [
            (format!(r#"{{"jsonrpc":"2.0","id":1,"method":"echo","params":{params}}}"#), "1"),
            (format!(r#"{{"jsonrpc":"2.0","method":"echo","params":{params},"id":1}}"#), "1"),
            (format!(r#"{{"params":{params},"method":"echo","id":1,"jsonrpc":"2.0"}}"#), "1"),
            (format!(r#"{{"jsonrpc":"2.0","method":"echo","params":{params}}}"#), "null"),
        ] {
            let answer = peer.ask(&line).await;
            let expected = format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32600,"#);
            assert!(answer.starts_with(&expected), "{line}: {answer}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_method_without_parameters_takes_none_however_that_is_said() {
    let (mut peer, _session) = calc();
    for params in ["", r#","params":[]"#, r#","params":{}"#, r#","params":null"#] {
        let line = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping"{params}}}"#);
        assert_eq!(peer.ask(&line).await, r#"{"jsonrpc":"2.0","id":1,"result":"pong"}"#);
    }
    let answer = peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}"#).await;
    assert_eq!(
        answer,
        error("1", -32602, "invalid params for `ping`: too many: it takes no parameters, got 1")
    );
    let answer = peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":1}}"#).await;
    assert_eq!(answer, error("1", -32602, "invalid params for `ping`: unknown parameter `x`: it takes none"));
}

#[tokio::test(start_paused = true)]
async fn an_optional_parameter_may_be_absent_by_position_and_by_name() {
    let (mut peer, _session) = Raw::peer_of(UsersServer::new(MyUsers), Limits::client());
    for (params, found) in [
        (r#"["x"]"#, "x None"),
        (r#"["x",null]"#, "x None"),
        (r#"["x",5]"#, "x Some(5)"),
        (r#"{"name":"x"}"#, "x None"),
        (r#"{"limit":5,"name":"x"}"#, "x Some(5)"),
    ] {
        let line = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"find","params":{params}}}"#);
        assert_eq!(peer.ask(&line).await, format!(r#"{{"jsonrpc":"2.0","id":1,"result":"{found}"}}"#));
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_method_is_not_found_and_a_huge_name_is_not_sent_back() {
    let (mut peer, _session) = calc();
    for (method, shown) in
        [("nope", "nope"), ("", ""), ("rpc.discover", "rpc.discover"), ("Add", "Add"), ("add ", "add ")]
    {
        let answer =
            peer.ask(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":[1]}}"#)).await;
        assert_eq!(answer, error("1", -32601, &format!("method `{shown}` not found")));
    }
    let answer = peer.ask(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{}"}}"#, "é".repeat(50_000))).await;
    assert_eq!(answer, error("1", -32601, &format!("method `{}…` not found", "é".repeat(100))));
}

#[tokio::test(start_paused = true)]
async fn a_method_is_found_however_its_name_is_written() {
    let (mut peer, _session) = calc();
    let answer = peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"\u0061dd","params":[1,2]}"#).await;
    assert_eq!(answer, r#"{"jsonrpc":"2.0","id":1,"result":3}"#);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_request_is_refused() {
    let (mut peer, _session) = calc();
    for (line, id, code, message) in [
        ("5", "null", -32600, "invalid request: a message is an object, not 5"),
        ("null", "null", -32600, "invalid request: a message is an object, not null"),
        ("\"text\"", "null", -32600, "invalid request: a message is an object, not \"text\""),
        (r#"{"jsonrpc":"2.0","id":1}"#, "1", -32600, "invalid request: `method` is missing"),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":5}"#,
            "1",
            -32600,
            "invalid request: `method` must be a string, not 5",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"add","params":"x"}"#,
            "1",
            -32600,
            "invalid request: `params` must be an array or an object, not \"x\"",
        ),
        (
            r#"{"jsonrpc":"1.0","id":1,"method":"add"}"#,
            "1",
            -32600,
            "invalid request: `jsonrpc` must be \"2.0\", not \"1.0\"",
        ),
        (
            r#"{"id":1,"method":"add"}"#,
            "1",
            -32600,
            "invalid request: `jsonrpc` is missing: it must be \"2.0\"",
        ),
    ] {
        assert_eq!(peer.ask(line).await, error(id, code, message), "{line}");
    }
}

/// The usual envelope is recognised without being parsed. Whatever is wrong behind it gets the very answer that the full reader gives
/// to the same members in another order.
#[tokio::test(start_paused = true)]
async fn a_broken_request_in_the_usual_envelope_is_answered_as_in_any_other() {
    let (mut peer, _session) = calc();
    for (line, id, code) in [
        (r#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2],"id":7}"#, "7", -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2],"method":"ping"}"#, "1", -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2],"params":[3]}"#, "1", -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2],"jsonrpc":"2.0"}"#, "1", -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2],"result":1}"#, "1", -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"add","params":5}"#, "1", -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":"x"}"#, "1", -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[],"id":7}"#, "7", -32600),
        (r#"{"jsonrpc":"2.0","method":"ping","params":[],"id":[]}"#, "null", -32600),
        (r#"{"jsonrpc":"2.0","method":"unknown","params":[],"id":true}"#, "null", -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2]]}"#, "null", -32700),
        (r#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2}"#, "null", -32700),
        (r#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2]} x}"#, "null", -32700),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":}"#, "null", -32700),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[NaN]}"#, "null", -32700),
        (r#"{"jsonrpc":"2.0","id":1,"method":"unknown","params":[NaN]}"#, "null", -32700),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[],}"#, "null", -32700),
        (r#"{"jsonrpc":"2.0","id":1,"method":"log","params":["x"]}}"#, "null", -32700),
        // A form feed is white space in ASCII, and not in JSON.
        ("{\"jsonrpc\":\"2.0\",\"method\":\"ping\",\"params\":[]\x0c,\"id\":\"a\"}", "null", -32700),
    ] {
        let answer = peer.ask(line).await;
        let start = format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"#);
        assert!(answer.starts_with(&start), "{line}: {answer}");
        // White space before the first member is enough for the scan to look away.
        assert_eq!(
            peer.ask(&line.replacen('{', "{ ", 1)).await.replace("column ", ""),
            answer_shifted(&answer),
            "{line}"
        );
    }
}

/// The full reader counts columns, and the blank moved them by one.
fn answer_shifted(answer: &str) -> String {
    match answer.split_once("column ") {
        Some((before, after)) => {
            let end = after.find(|c: char| !c.is_ascii_digit()).expect("more follows");
            let column: usize = after[..end].parse().expect("digits");
            format!("{before}{}{}", column + 1, &after[end..])
        }
        None => answer.to_owned(),
    }
}

#[tokio::test(start_paused = true)]
async fn an_unusual_request_in_the_usual_envelope_is_served() {
    for (line, answer) in [
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2],"extra":[{"id":5}]}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":3}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","method":"add","params":[1,2],"id":1.0}"#,
            r#"{"jsonrpc":"2.0","id":1.0,"result":3}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","method":"add","id":1,"params":[1,2]}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":3}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","method":"ping","params":[],"id":null}"#,
            r#"{"jsonrpc":"2.0","id":null,"result":"pong"}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"add","params": [ 1 , 2 ] }"#,
            r#"{"jsonrpc":"2.0","id":1,"result":3}"#,
        ),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping" }"#, r#"{"jsonrpc":"2.0","id":1,"result":"pong"}"#),
    ] {
        let (mut peer, _session) = calc();
        assert_eq!(peer.ask(line).await, answer, "{line}");
    }
    let (mut peer, _session) = Raw::peer_of(echo(), Limits::client());
    let line = r#"{"jsonrpc":"2.0","method":"echo","params":[",\"id\":1}",{"id":7,"x":1}],"id":"x"}"#;
    assert_eq!(peer.ask(line).await, r#"{"jsonrpc":"2.0","id":"x","result":[",\"id\":1}",{"id":7,"x":1}]}"#);
}

#[tokio::test(start_paused = true)]
async fn an_untyped_handler_takes_wrong_parameters_for_none_only_where_there_are_none() {
    let router = Router::new()
        .method("none", async |params: Params, _: Context| params.parse::<()>())
        .method("maybe", async |params: Params, _: Context| {
            Ok::<_, ErrorObject>(params.parse::<Option<(i64,)>>()?.map(|(n,)| n))
        });
    let (mut peer, _session) = Raw::peer_of(router, Limits::client());
    for (call, answer) in [
        (r#""method":"none""#, r#""result":null"#),
        (r#""method":"none","params":[]"#, r#""result":null"#),
        (r#""method":"none","params":null"#, r#""result":null"#),
        (r#""method":"none","params":[1]"#, r#""error":{"code":-32602,"#),
        (r#""method":"none","params":{"a":1}"#, r#""error":{"code":-32602,"#),
        (r#""method":"maybe","params":[5]"#, r#""result":5"#),
        (r#""method":"maybe""#, r#""result":null"#),
        (r#""method":"maybe","params":["x"]"#, r#""error":{"code":-32602,"#),
        (r#""method":"maybe","params":[1,2]"#, r#""error":{"code":-32602,"#),
    ] {
        let got = peer.ask(&format!(r#"{{"jsonrpc":"2.0","id":1,{call}}}"#)).await;
        assert!(got.starts_with(&format!(r#"{{"jsonrpc":"2.0","id":1,{answer}"#)), "{call}: {got}");
    }
}
